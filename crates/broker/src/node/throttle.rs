//! What quotas say of a request: what it uses is counted, and whoever has used too much is to be silent for a while.
//!
//! Java: `RequestHandlerHelper`, and where `KafkaApis` and `ControllerApis` count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode};
use tokio::time::Instant;

use super::RequestContext;
use crate::quota::{ClientLimits, Kind, Limit, MeterOf, Meters, Rate, USER, Windows};
use crate::shared::Shared;
use crate::state::AdminError;
use crate::sync::lock;

/// The meters of a node.
pub(crate) type Rates = Meters<MeterOf, Rate>;

/// What one request has been charged.
#[derive(Debug)]
pub(crate) struct Charges {
    limits: ClientLimits,
    /// For how long what it did has its client be silent.
    work_ms: AtomicI64,
    time: Mutex<WorkTime>,
}

/// How long a processor has worked on a request, as the runtime's clock has it. Under a clock that only moves when all
/// wait, work takes no time, and nobody is limited by it.
#[derive(Debug, Default)]
struct WorkTime {
    spent: Duration,
    /// Since when it has been worked on, if it is.
    since: Option<Instant>,
    /// Counted once, before its answer: for how long its client is to be silent.
    charged_ms: Option<i64>,
}

impl Charges {
    pub(crate) fn of(shared: &Shared, client_id: &str) -> Self {
        let limits = shared.state().client_quotas().limits().of(USER, client_id);
        Self { limits, work_ms: AtomicI64::new(0), time: Mutex::default() }
    }
}

impl RequestContext<'_> {
    /// Does a part of the work that does not wait, and measures it if that is limited.
    pub(crate) fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.charges.limits.get(Kind::Request).is_none() {
            return work();
        }
        let begun = self.shared.clock.instant();
        lock(&self.charges.time).since = Some(begun);
        let result = work();
        let mut time = lock(&self.charges.time);
        time.since = None;
        time.spent += self.shared.clock.instant().saturating_duration_since(begun);
        result
    }

    /// Counts the request's bytes as produced.
    pub(crate) fn charge_produced(&self) {
        let bytes = self.request_bytes as f64;
        let charged_ms = self.charge_rate(Kind::Produce, |rate, limit, windows, now_ms| {
            rate.record(windows, bytes, now_ms);
            rate.excess_ms(windows, limit.bound, now_ms)
        });
        self.charge(charged_ms);
    }

    /// The most bytes that the client may fetch at once without being muted for it.
    pub(crate) fn fetch_bytes_max(&self) -> usize {
        match self.charges.limits.get(Kind::Fetch) {
            Some(limit) => limit.burst(lock(&self.node.rates).windows).min(f64::from(i32::MAX)) as usize,
            None => usize::MAX,
        }
    }

    /// Counts an answer as fetched, whose size `bytes` finds out. Whether it must not be given, because the client has
    /// used too much; it is not counted then.
    pub(crate) fn charge_fetched(&self, bytes: impl FnOnce() -> usize) -> bool {
        let time_ms = self.charge_time();
        let bytes = match self.charges.limits.get(Kind::Fetch) {
            Some(_) => bytes() as f64,
            None => 0.0,
        };
        let charged_ms = self.charge_rate(Kind::Fetch, |rate, limit, windows, now_ms| {
            rate.record(windows, bytes, now_ms);
            let excess_ms = rate.excess_ms(windows, limit.bound, now_ms);
            if excess_ms > 0 || time_ms > 0 {
                rate.record(windows, -bytes, now_ms);
            }
            excess_ms
        });
        self.charge(charged_ms);
        charged_ms > 0 || time_ms > 0
    }

    /// Counts partitions that are to be created or deleted.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED` where the quota is `strict`, for clients that know the error: once it is used up,
    /// nothing may be done until it is not. Older clients may do it, and are muted for it.
    pub(crate) fn charge_mutations(&self, partitions: i32, strict: bool) -> Result<(), AdminError> {
        self.take_mutations(partitions, strict).map_err(|debt_ms| {
            self.charge(debt_ms);
            throttled()
        })
    }

    /// The same for what is created automatically: it is not done, and the client is not told why.
    pub(crate) fn charge_automatic_mutations(&self, partitions: i32) -> Result<(), AdminError> {
        self.take_mutations(partitions, true).map_err(|_| throttled())
    }

    /// For how long the client is muted from now on, when the request has been worked on. The time is free that
    /// brokers ask of each other, and that of requests without an answer.
    pub(crate) fn throttle_time_ms(&self, is_answered: bool) -> i32 {
        let work_ms = self.charges.work_ms.load(Ordering::Relaxed);
        let is_exempt = self.api == ApiKey::WriteTxnMarkers || !is_answered;
        let time_ms = if is_exempt { 0 } else { self.charge_time() };
        i32::try_from(work_ms.max(time_ms)).unwrap_or(i32::MAX)
    }

    fn take_mutations(&self, partitions: i32, strict: bool) -> Result<(), i64> {
        let Some(limit) = self.charges.limits.get(Kind::Mutation) else { return Ok(()) };
        let now_ms = self.shared.clock.moment().elapsed_ms;
        let mut buckets = lock(&self.shared.mutations);
        let windows = buckets.windows;
        let bucket = buckets.of(limit.meter_of(Kind::Mutation, USER, self.client_id), now_ms);
        if strict {
            let debt_ms = bucket.debt_ms(windows, limit.bound, now_ms);
            if debt_ms > 0 {
                return Err(debt_ms);
            }
        }
        bucket.take(windows, limit.bound, f64::from(partitions), now_ms);
        if !strict {
            self.charge(bucket.debt_ms(windows, limit.bound, now_ms));
        }
        Ok(())
    }

    /// Counts the time that the request has taken. For how long the client is to be silent because of it.
    fn charge_time(&self) -> i64 {
        if self.charges.limits.get(Kind::Request).is_none() {
            return 0;
        }
        let percent = {
            let time = lock(&self.charges.time);
            if let Some(charged_ms) = time.charged_ms {
                return charged_ms;
            }
            let running =
                time.since.map(|since| self.shared.clock.instant().saturating_duration_since(since));
            (time.spent + running.unwrap_or_default()).as_secs_f64() * 100.0
        };
        let charged_ms = self.charge_rate(Kind::Request, |rate, limit, windows, now_ms| {
            rate.record(windows, percent, now_ms);
            rate.excess_ms(windows, limit.bound, now_ms).min(windows.window_ms)
        });
        lock(&self.charges.time).charged_ms = Some(charged_ms);
        charged_ms
    }

    fn charge_rate(&self, kind: Kind, charge: impl FnOnce(&mut Rate, Limit, Windows, i64) -> i64) -> i64 {
        let Some(limit) = self.charges.limits.get(kind) else { return 0 };
        let now_ms = self.shared.clock.moment().elapsed_ms;
        let mut rates = lock(&self.node.rates);
        let windows = rates.windows;
        charge(rates.of(limit.meter_of(kind, USER, self.client_id), now_ms), limit, windows, now_ms)
    }

    fn charge(&self, throttle_time_ms: i64) {
        if throttle_time_ms > 0 {
            self.charges.work_ms.store(throttle_time_ms, Ordering::Relaxed);
        }
    }
}

fn throttled() -> AdminError {
    let code = ErrorCode::ThrottlingQuotaExceeded;
    AdminError::new(code, code.description())
}
