use std::time::Instant;

use bytes::BytesMut;
use milena_producer::partitioner::KeyHash;
use milena_records::{BatchBuilder, Codec, ProducerStamp, Scratch};
use peer_common::{Args, Latencies, Meter, pool};

use crate::produce::{check, headers, now_ms, partition_data, parts, request};
use crate::socket::Socket;
use crate::{CLIENT, Result};

/// One record, one request, one answer, again and again. Without idempotence: it has no producer id that a real broker gave.
pub(crate) fn run(args: &Args) -> Result<()> {
    let pool = pool(args.size);
    let mut latencies = Latencies::default();
    let mut scratch = Scratch::new();
    let mut buffer = BytesMut::with_capacity(args.batch_bytes);
    let mut meter = Meter::start();
    let connecting = Instant::now();
    let mut socket = Socket::connect(&args.bootstrap)?;
    for number in 0..args.warmup + args.records {
        if number == args.warmup && number > 0 {
            meter = Meter::start();
        }
        let sending = Instant::now();
        let event = &pool[number % pool.len()];
        let headers = headers(event);
        let mut builder = BatchBuilder::new(std::mem::take(&mut buffer), args.batch_bytes);
        builder.try_append(&parts(event, now_ms(), if args.headers { &headers } else { &[] }))?;
        let batch = builder.seal(&Codec::NONE, &mut scratch)?;
        let index = KeyHash::Murmur2.partition(event.key.as_bytes(), args.partitions);
        socket.write(&request(&args.topic, vec![partition_data(index, &batch, &ProducerStamp::NONE)])?)?;
        buffer = batch.recycle().unwrap_or_default();
        let answer = socket.read()?;
        check(answer.clone())?;
        socket.give_back(answer);
        latencies.first_ack.get_or_insert_with(|| connecting.elapsed());
        if number >= args.warmup {
            latencies.each.push(sending.elapsed());
        }
    }
    let bytes = pool[0].key.len() + args.size;
    meter.report(CLIENT, args, args.records, args.records * bytes, latencies);
    Ok(())
}
