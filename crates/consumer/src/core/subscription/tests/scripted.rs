//! One thing at a time.

mod assignment;
mod brokers;
mod detours;
mod memory;
mod positions;
mod trouble;
mod truncation;

use std::time::Duration;

use milena_client::RequestError;
use milena_protocol::{ErrorCode, Uuid};
use milena_records::Compression;
use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::core::fetching::Lane;
use crate::core::partition::{EpochChecks, Question, Watermarks};
use crate::testing::LogBatch;

/// A log of `batches` batches of 10 records, led by `leader`.
fn log(leader: i32, batches: i64) -> Log {
    let mut log = Log::new(leader);
    for batch in 0..batches {
        let start = 10 * batch;
        log.append(start + 10, LogBatch::new(start, 10).encode(), start..start + 10);
    }
    log
}

fn world(logs: impl IntoIterator<Item = Log>) -> World {
    world_with(config(), logs)
}

fn world_with(config: SubscriptionConfig, logs: impl IntoIterator<Item = Log>) -> World {
    World::new(config, (0..).map(tp).zip(logs).collect())
}

fn seek(world: &mut World, partition: i32, offset: i64) {
    world.subscription.seek(&tp(partition), Seek::To(Position::new(offset))).unwrap();
}

fn position(world: &World, partition: i32) -> Option<i64> {
    world.subscription.position(&tp(partition)).unwrap().map(|position| position.offset)
}

/// Partition 0 at offset 0, its fetch not sent yet.
fn at_start(policy: OffsetReset, batches: i64) -> World {
    let mut world = world_with(SubscriptionConfig { policy, ..config() }, [log(1, batches)]);
    seek(&mut world, 0, 0);
    world.ask();
    world
}
