//! How producers are configured, and what they do.

use std::time::Duration;

use milena_client::Backoff;
use milena_producer::{Acks, Codec, Compression, ProducerConfig};

use crate::clock::ms;
use crate::rng::Rng;

/// One producer, which may be closed on its way and begun anew.
#[derive(Clone, Debug)]
pub(crate) struct ProducerPlan {
    pub(crate) name: String,
    pub(crate) rng: Rng,
    pub(crate) records: u64,
    /// How many producers do the work, one after the other.
    pub(crate) lives: u64,
    /// Records are sent in bursts of at most so many.
    pub(crate) burst_max: u64,
    /// The wait between bursts, at most.
    pub(crate) pause_max: Duration,
    pub(crate) value_bytes: (u64, u64),
    pub(crate) large_percent: u64,
    /// Zero: no keys.
    pub(crate) keys: u64,
    /// Records in a hundred that name their partition.
    pub(crate) explicit_percent: u64,
    pub(crate) flush_percent: u64,
    /// Sends in a hundred that are dropped if they are not accepted at once.
    pub(crate) cancel_percent: u64,
    pub(crate) request_timeout: Duration,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    acks: Acks,
    idempotent: bool,
    linger: Duration,
    batch_size: usize,
    buffer_memory: usize,
    max_in_flight: usize,
    max_block: Duration,
    delivery_timeout: Duration,
    compression: Compression,
    adaptive: bool,
    retries: u32,
}

/// What is done with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    Callback,
    Await,
    Drop,
}

impl ProducerPlan {
    pub(super) fn random(index: u64, records: u64, period: Duration, rng: &mut Rng) -> Self {
        let burst_max = rng.pick(&[30, 60, 100, 200, 500]).max(records / 20);
        let bursts = 2 * records / (burst_max + 1) + 1;
        let request_timeout = ms(rng.pick(&[500, 1_000, 2_000, 4_000]));
        Self {
            name: format!("p{index}"),
            rng: rng.fork(),
            records,
            lives: if rng.percent(30) { 2 } else { 1 },
            burst_max,
            pause_max: 2 * period / bursts as u32,
            value_bytes: rng.pick(&[(8, 20), (8, 60), (10, 200), (10, 800)]),
            large_percent: rng.pick(&[0, 0, 0, 1]),
            keys: rng.pick(&[0, 0, 5, 50]),
            explicit_percent: rng.pick(&[0, 20, 100]),
            flush_percent: rng.pick(&[0, 2, 10]),
            cancel_percent: rng.pick(&[0, 0, 1, 5]),
            request_timeout,
            settings: Settings::random(request_timeout, rng),
        }
    }

    pub(crate) fn config(&self) -> ProducerConfig {
        let settings = &self.settings;
        let mut config = ProducerConfig::default();
        config.acks = settings.acks;
        config.enable_idempotence = settings.idempotent;
        config.linger = settings.linger;
        config.batch_size = settings.batch_size;
        config.buffer_memory = settings.buffer_memory;
        config.max_in_flight = settings.max_in_flight;
        config.max_block = settings.max_block;
        config.delivery_timeout = settings.delivery_timeout;
        config.request_timeout = self.request_timeout;
        config.compression = Codec::new(settings.compression);
        config.partitioner_adaptive = settings.adaptive;
        config.retries = settings.retries;
        config.retry_backoff = Backoff::new(ms(50), ms(500));
        config
    }

    /// What to do with the next delivery.
    pub(crate) fn watching(rng: &mut Rng) -> Watching {
        match rng.below(10) {
            0 => Watching::Drop,
            1..3 => Watching::Await,
            _ => Watching::Callback,
        }
    }
}

impl Settings {
    fn random(request_timeout: Duration, rng: &mut Rng) -> Self {
        let idempotent = rng.percent(75);
        let acks = if idempotent {
            Acks::All
        } else {
            rng.pick(&[Acks::All, Acks::Leader, Acks::Leader, Acks::None])
        };
        let linger = ms(rng.pick(&[0, 5, 5, 10, 20, 50]));
        let batch_size = rng.pick(&[1_000, 4_000, 16_384, 16_384, 16_384, 16_384]);
        let delivery_timeout = linger + request_timeout + ms(rng.pick(&[0, 1_000, 4_000, 15_000]));
        Self {
            acks,
            idempotent,
            linger,
            batch_size,
            buffer_memory: rng.pick(&[4, 20, 1_000]) * batch_size.max(4_000),
            max_in_flight: rng.pick(&[1, 2, 5, 5]),
            max_block: ms(rng.pick(&[500, 3_000, 10_000])),
            delivery_timeout,
            compression: match rng.below(40) {
                0 => Compression::Gzip,
                1 => Compression::Zstd,
                2..5 => Compression::Snappy,
                5..9 => Compression::Lz4,
                _ => Compression::None,
            },
            adaptive: rng.percent(70),
            retries: if !idempotent && rng.percent(20) { 1 } else { u32::MAX },
        }
    }
}

impl ProducerPlan {
    /// For the time in which one broker is frozen: nothing about it is short.
    pub(crate) fn for_bystanders(rng: &mut Rng) -> Self {
        let mut plan = Self::random(0, 1_000, ms(4_000), rng);
        plan.request_timeout = ms(2_000);
        plan.settings.idempotent = true;
        plan.settings.acks = Acks::All;
        plan.settings.linger = ms(5);
        plan.settings.buffer_memory = 4 << 20;
        plan.settings.max_block = ms(10_000);
        plan.settings.delivery_timeout = ms(20_000);
        plan.settings.retries = u32::MAX;
        plan
    }
}
