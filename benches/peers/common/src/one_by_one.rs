use std::time::Instant;

use crate::{Args, Latencies, Meter};

/// The clock of `latency` and `first`: a record is sent when the one before it is acknowledged.
///
/// ```text
/// let mut clock = OneByOne::start(args);      // then connect
/// while let Some(number) = clock.next() {
///     // send this record, wait for its acknowledgement
///     clock.acknowledged();
/// }
/// clock.report("client");
/// ```
pub struct OneByOne<'a> {
    args: &'a Args,
    meter: Meter,
    connecting: Instant,
    sending: Instant,
    /// How many are acknowledged.
    done: usize,
    latencies: Latencies,
}

impl<'a> OneByOne<'a> {
    /// Before the client connects.
    pub fn start(args: &'a Args) -> Self {
        let latencies = Latencies { each: Vec::with_capacity(args.records), first_ack: None };
        let now = Instant::now();
        Self { args, meter: Meter::start(), connecting: now, sending: now, done: 0, latencies }
    }

    /// The number of the record to be sent now, whose clock starts with this.
    #[expect(clippy::should_implement_trait, reason = "a record that is not acknowledged has no next one")]
    pub fn next(&mut self) -> Option<usize> {
        if self.done == self.args.warmup && self.done > 0 {
            self.meter = Meter::start();
        }
        self.sending = Instant::now();
        (self.done < self.args.warmup + self.args.records).then_some(self.done)
    }

    pub fn acknowledged(&mut self) {
        let now = Instant::now();
        self.latencies.first_ack.get_or_insert(now - self.connecting);
        if self.done >= self.args.warmup {
            self.latencies.each.push(now - self.sending);
        }
        self.done += 1;
    }

    pub fn report(self, client: &str) {
        let Self { args, meter, latencies, .. } = self;
        meter.report(client, args, args.records, args.bytes_of(args.records), latencies);
    }
}
