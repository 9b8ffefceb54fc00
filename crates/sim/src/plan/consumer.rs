//! How consumers are configured, and what they do.

use std::time::Duration;

use milena_consumer::{ConsumerConfig, IsolationLevel, OffsetReset};

use crate::clock::ms;
use crate::rng::Rng;

/// One consumer.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerPlan {
    pub(crate) name: String,
    pub(crate) rng: Rng,
    pub(crate) reading: Reading,
    /// Steps in a hundred in which it does something else than read.
    pub(crate) restless_percent: u64,
    pub(crate) request_timeout: Duration,
    pub(crate) from_the_start: bool,
    read_committed: bool,
    fetch_min_bytes: u32,
    fetch_max_wait: Duration,
    fetch_max_bytes: u32,
    partition_bytes: u32,
    pub(crate) prefetch_bytes: usize,
}

/// How it is handed its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Next,
    Recv,
    Poll,
}

impl ConsumerPlan {
    pub(super) fn random(index: u64, rng: &mut Rng) -> Self {
        let (fetch_max_bytes, partition_bytes) = rng.pick(&[
            (50 << 20, 1 << 20),
            (50 << 20, 1 << 20),
            (50 << 20, 1 << 20),
            (50 << 20, 10_000),
            (50 << 20, 2_000),
            (8_000, 8_000),
        ]);
        Self {
            name: format!("c{index}"),
            rng: rng.fork(),
            reading: rng.pick(&[Reading::Next, Reading::Next, Reading::Recv, Reading::Poll]),
            restless_percent: rng.pick(&[0, 2, 2, 10]),
            request_timeout: ms(rng.pick(&[500, 1_500, 4_000])),
            from_the_start: rng.percent(70),
            read_committed: rng.percent(30),
            // More than an answer may have would make every fetch wait.
            fetch_min_bytes: rng.pick(&[1, 1, 1, partition_bytes / 2]).min(5_000),
            fetch_max_wait: ms(rng.pick(&[100, 500, 500])),
            fetch_max_bytes,
            partition_bytes,
            prefetch_bytes: rng.pick(&[64 << 20, 64 << 20, 30_000, 100_000]),
        }
    }

    pub(crate) fn config(&self) -> ConsumerConfig {
        let mut config = ConsumerConfig::default();
        config.auto_offset_reset =
            if self.from_the_start { OffsetReset::Earliest } else { OffsetReset::Latest };
        config.isolation_level =
            if self.read_committed { IsolationLevel::ReadCommitted } else { IsolationLevel::ReadUncommitted };
        config.fetch_min_bytes = self.fetch_min_bytes;
        config.fetch_max_wait = self.fetch_max_wait;
        config.fetch_max_bytes = self.fetch_max_bytes;
        config.max_partition_fetch_bytes = self.partition_bytes;
        config.prefetch_bytes = self.prefetch_bytes;
        config
    }

    pub(crate) fn isolation(&self) -> milena_history::Isolation {
        match self.read_committed {
            true => milena_history::Isolation::ReadCommitted,
            false => milena_history::Isolation::ReadUncommitted,
        }
    }
}
