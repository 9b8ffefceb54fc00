//! What reading costs the allocator: nothing per record.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use milena_broker::{Cluster, TopicSpec};
use milena_consumer::{Consumer, RecordBatch, TopicPartition};
use milena_records::Compression;

use crate::support::*;

/// Polls `next` once and tells what that allocated, in this thread.
fn poll_next(consumer: &mut Consumer) -> (Option<RecordBatch>, u64) {
    let mut batch = None;
    let info = allocation_counter::measure(|| {
        let mut next = pin!(consumer.next());
        if let Poll::Ready(ready) = next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            batch = ready.expect("no error");
        }
    });
    (batch, info.count_total)
}

/// Reads `total` records; returns how many allocations all calls of `next` made, and how many batches they brought.
async fn read(world: &World, partition: &TopicPartition, total: usize) -> (u64, u64) {
    let mut consumer = world.consumer(strict(), [partition]);
    let (mut records, mut batches, mut allocations) = (0, 0, 0);
    while records < total {
        let (batch, allocated) = poll_next(&mut consumer);
        allocations += allocated;
        let Some(batch) = batch else {
            // Lets fetch loop and decoder run.
            world.client.env().sleep(std::time::Duration::from_millis(1)).await;
            continue;
        };
        batches += 1;
        let mut bytes = 0;
        let info = allocation_counter::measure(|| {
            for record in &batch {
                bytes += record.value.map_or(0, <[u8]>::len) + record.headers().count();
                records += 1;
            }
        });
        assert!(bytes > 0);
        assert_eq!(info.count_total, 0, "reading {} records", batch.len());
        let info = allocation_counter::measure(|| drop(batch));
        assert_eq!(info.count_total, 0, "to give memory back");
    }
    (allocations, batches)
}

#[tokio::test(start_paused = true)]
async fn next_and_reading_allocate_nothing_per_record() {
    for compression in [Compression::None, Compression::Lz4] {
        let mut world = World::start(Cluster::builder().topic(TopicSpec::new("t").partitions(2))).await;
        let (few, many) = (tp("t", 0), tp("t", 1));
        for _ in 0..50 {
            world.produce_in(&few, 20, compression).await;
            world.produce_in(&many, 2_000, compression).await;
        }
        let (allocations_few, batches_few) = read(&world, &few, 1_000).await;
        let (allocations_many, batches_many) = read(&world, &many, 100_000).await;
        // What there is, is per batch: entries of metrics, turns of partitions.
        assert!(allocations_few <= 10 + 4 * batches_few, "{allocations_few} for {batches_few} batches");
        assert!(allocations_many <= 10 + 4 * batches_many, "{allocations_many} for {batches_many} batches");
        assert!(batches_many * 1_000 < 100_000, "{batches_many} batches");
    }
}
