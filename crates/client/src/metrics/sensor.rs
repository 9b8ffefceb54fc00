use std::time::Duration;

use super::Sampling;
use super::snapshot::{Metric, Tags};
use super::window::Window;

/// What a metric says of the values recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stat {
    /// Mean of the window.
    Avg,
    /// Largest of the window.
    Max,
    /// Smallest of the window.
    Min,
    /// Sum per second.
    Rate,
    /// Events per second, whatever their values.
    EventRate,
    /// Share of the time; the values are nanoseconds.
    Ratio,
    /// Sum since the start.
    Total,
    /// Events since the start.
    EventTotal,
    /// The latest value.
    Last,
}

/// A metric of a sensor: what it says, its Kafka name, and a description.
pub(super) type Spec = (Stat, &'static str, &'static str);

/// Where metrics belong: their group and tags.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) group: &'static str,
    pub(super) tags: Tags,
}

/// One measured quantity, and the metrics it shows as.
#[derive(Debug)]
pub(super) struct Sensor {
    specs: &'static [Spec],
    window: Window,
    total: f64,
    events: u64,
    last: f64,
}

impl Sensor {
    pub(super) fn new(specs: &'static [Spec], sampling: Sampling) -> Self {
        Self { specs, window: Window::new(sampling), total: 0.0, events: 0, last: 0.0 }
    }

    pub(super) fn record(&mut self, now: Duration, value: f64) {
        self.window.record(now, value);
        self.total += value;
        self.events += 1;
        self.last = value;
    }

    /// Milliseconds, with their fractions.
    pub(super) fn record_ms(&mut self, now: Duration, value: Duration) {
        self.record(now, value.as_secs_f64() * 1e3);
    }

    /// Nanoseconds.
    pub(super) fn record_ns(&mut self, now: Duration, value: Duration) {
        self.record(now, value.as_nanos() as f64);
    }

    pub(super) fn value(&mut self, stat: Stat, now: Duration) -> f64 {
        let measured = self.window.measure(now);
        match stat {
            Stat::Avg => measured.avg,
            Stat::Max => measured.max,
            Stat::Min => measured.min,
            Stat::Rate => measured.sum / measured.seconds,
            Stat::EventRate => measured.events / measured.seconds,
            Stat::Ratio => measured.sum / (measured.seconds * 1e9),
            Stat::Total => self.total,
            Stat::EventTotal => self.events as f64,
            Stat::Last => self.last,
        }
    }

    pub(super) fn collect(&mut self, scope: &Scope, now: Duration, out: &mut Vec<Metric>) {
        for &(stat, name, description) in self.specs {
            let value = self.value(stat, now);
            out.push(Metric { group: scope.group, name, tags: scope.tags.clone(), value, description });
        }
    }
}

/// Declares a struct of sensors, each with the metrics it shows as, so that a sensor stands in one
/// place: `new` makes them all, `collect` reads them all.
macro_rules! sensors {
    (
        $(#[$doc:meta])*
        struct $name:ident {
            $( $field:ident: [ $( ($stat:ident, $metric:literal, $description:literal) ),+ $(,)? ] ),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $name {
            $( $field: Sensor, )+
        }

        impl $name {
            fn new(sampling: Sampling) -> Self {
                Self {
                    $( $field: Sensor::new(&[$( (Stat::$stat, $metric, $description) ),+], sampling), )+
                }
            }

            fn collect(&mut self, scope: &Scope, now: Duration, out: &mut Vec<Metric>) {
                $( self.$field.collect(scope, now, out); )+
            }
        }
    };
}

pub(super) use sensors;
