use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Told of single events, once per connection, request or batch, never per record.
///
/// For tracing, for metrics of another shape than Kafka's, for tests. Methods do nothing unless
/// implemented. They run on the client's own tasks: they should be quick and must not block. A panic in
/// one is logged and harms nobody.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use milena_client::metrics::{BatchAcknowledged, Observer};
///
/// #[derive(Default)]
/// struct Acknowledged(AtomicU64);
///
/// impl Observer for Acknowledged {
///     fn on_batch_acknowledged(&self, event: &BatchAcknowledged<'_>) {
///         self.0.fetch_add(event.records.into(), Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// A connection is ready for requests.
    fn on_connected(&self, _event: &Connected<'_>) {}

    /// A connection that was ready is gone.
    fn on_disconnected(&self, _event: &Disconnected<'_>) {}

    /// A request got its response, or will get none.
    fn on_request_completed(&self, _event: &RequestCompleted<'_>) {}

    /// A broker asked for a pause.
    fn on_throttled(&self, _event: &Throttled<'_>) {}

    /// New metadata are in use.
    fn on_metadata_updated(&self, _event: &MetadataUpdated) {}

    /// A batch is written, as far as the configured acks tell.
    fn on_batch_acknowledged(&self, _event: &BatchAcknowledged<'_>) {}

    /// A batch will be sent again.
    fn on_batch_retried(&self, _event: &BatchRetried<'_>) {}

    /// A batch has failed for good.
    fn on_batch_failed(&self, _event: &BatchFailed<'_>) {}

    /// A fetch brought records of one partition.
    fn on_records_fetched(&self, _event: &RecordsFetched<'_>) {}
}

/// See [`Observer::on_connected`].
#[derive(Debug, Clone, Copy)]
pub struct Connected<'a> {
    /// Host and port as advertised or configured.
    pub address: &'a str,
    /// The broker's id, unless it is not known yet (a bootstrap connection).
    pub node: Option<i32>,
    /// From the start of the attempt until ready.
    pub took: Duration,
}

/// See [`Observer::on_disconnected`].
#[derive(Clone, Copy)]
pub struct Disconnected<'a> {
    /// Host and port as advertised or configured.
    pub address: &'a str,
    /// The broker's id, unless it is not known (a bootstrap connection).
    pub node: Option<i32>,
    /// Requests that will get no response.
    pub requests_lost: usize,
    /// Why.
    pub reason: &'a (dyn Display + Sync),
}

/// See [`Observer::on_request_completed`].
#[derive(Debug, Clone, Copy)]
pub struct RequestCompleted<'a> {
    /// Host and port as advertised or configured.
    pub address: &'a str,
    /// The broker's id, unless it is not known yet (a bootstrap connection).
    pub node: Option<i32>,
    /// Kafka's name of the API, such as `Produce`.
    pub api: &'static str,
    /// The version spoken.
    pub api_version: i16,
    /// Size of the request's frame.
    pub request_bytes: usize,
    /// Size of the response's frame; `None` when there is no response.
    pub response_bytes: Option<usize>,
    /// From the writing of the request until now.
    pub latency: Duration,
}

/// See [`Observer::on_throttled`].
#[derive(Debug, Clone, Copy)]
pub struct Throttled<'a> {
    /// Host and port as advertised or configured.
    pub address: &'a str,
    /// The broker's id, unless it is not known yet (a bootstrap connection).
    pub node: Option<i32>,
    /// Kafka's name of the API, such as `Produce`.
    pub api: &'static str,
    /// For how long.
    pub throttle_time: Duration,
}

/// See [`Observer::on_metadata_updated`].
#[derive(Debug, Clone, Copy)]
pub struct MetadataUpdated {
    /// Brokers known.
    pub brokers: usize,
    /// Topics known.
    pub topics: usize,
    /// Partitions known that have no leader.
    pub leaderless_partitions: usize,
}

/// See [`Observer::on_batch_acknowledged`].
#[derive(Debug, Clone, Copy)]
pub struct BatchAcknowledged<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Number of its records.
    pub records: u32,
    /// Its size as sent.
    pub bytes: usize,
    /// The offset of its first record, where the broker told it.
    pub base_offset: Option<i64>,
    /// From its first record until now.
    pub latency: Duration,
}

/// See [`Observer::on_batch_retried`].
#[derive(Clone, Copy)]
pub struct BatchRetried<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Number of its records.
    pub records: u32,
    /// Times it has been sent so far.
    pub attempts: u32,
    /// Why it has to be sent again.
    pub reason: &'a (dyn Display + Sync),
}

/// See [`Observer::on_batch_failed`].
#[derive(Clone, Copy)]
pub struct BatchFailed<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Number of its records.
    pub records: u32,
    /// Whether it may have been written all the same.
    pub possibly_written: bool,
    /// Why it failed.
    pub reason: &'a (dyn Display + Sync),
}

/// See [`Observer::on_records_fetched`].
#[derive(Debug, Clone, Copy)]
pub struct RecordsFetched<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset asked for.
    pub fetch_offset: i64,
    /// Size of the batches received.
    pub bytes: usize,
    /// The partition's high watermark.
    pub high_watermark: i64,
}

/// An observer of nothing.
impl Observer for () {}

/// An observer whose panics end here: they must not take the client's tasks with them.
pub(crate) struct Shielded(Arc<dyn Observer>);

impl Shielded {
    pub(crate) fn shield(observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        Arc::new(Self(observer))
    }

    fn call(&self, call: impl FnOnce(&dyn Observer)) {
        if catch_unwind(AssertUnwindSafe(|| call(&*self.0))).is_err() {
            tracing::error!("the observer panicked");
        }
    }
}

/// Forwards every event to another observer, or to several in order.
macro_rules! forward {
    ($($event:ident: $type:ty),+ $(,)?) => {
        impl<O: Observer + ?Sized> Observer for Arc<O> {
            $( fn $event(&self, event: &$type) { (**self).$event(event); } )+
        }

        impl<O: Observer> Observer for Vec<O> {
            $( fn $event(&self, event: &$type) { self.iter().for_each(|observer| observer.$event(event)); } )+
        }

        impl Observer for Shielded {
            $( fn $event(&self, event: &$type) { self.call(|observer| observer.$event(event)); } )+
        }
    };
}

forward! {
    on_connected: Connected<'_>,
    on_disconnected: Disconnected<'_>,
    on_request_completed: RequestCompleted<'_>,
    on_throttled: Throttled<'_>,
    on_metadata_updated: MetadataUpdated,
    on_batch_acknowledged: BatchAcknowledged<'_>,
    on_batch_retried: BatchRetried<'_>,
    on_batch_failed: BatchFailed<'_>,
    on_records_fetched: RecordsFetched<'_>,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Observer for Log {
        fn on_batch_failed(&self, event: &BatchFailed<'_>) {
            self.0.lock().unwrap().push(format!("{}-{}: {}", event.topic, event.partition, event.reason));
        }
    }

    #[test]
    fn every_observer_of_a_list_gets_every_event_and_unhandled_ones_do_nothing() {
        let logs = [Arc::new(Log::default()), Arc::new(Log::default())];
        let all: Vec<Arc<dyn Observer>> = vec![Arc::new(()), logs[0].clone(), logs[1].clone()];
        all.on_metadata_updated(&MetadataUpdated { brokers: 1, topics: 1, leaderless_partitions: 0 });
        all.on_batch_failed(&BatchFailed {
            topic: "orders",
            partition: 3,
            records: 7,
            possibly_written: false,
            reason: &"too large",
        });
        for log in logs {
            assert_eq!(*log.0.lock().unwrap(), ["orders-3: too large"]);
        }
    }

    struct Panicking;

    impl Observer for Panicking {
        fn on_metadata_updated(&self, _: &MetadataUpdated) {
            panic!("the observer's own affair");
        }
    }

    #[test]
    fn a_shielded_observer_panics_for_itself_and_gets_every_event() {
        let event = MetadataUpdated { brokers: 1, topics: 1, leaderless_partitions: 0 };
        Shielded::shield(Arc::new(Panicking)).on_metadata_updated(&event);
        let log = Arc::new(Log::default());
        Shielded::shield(log.clone()).on_batch_failed(&BatchFailed {
            topic: "orders",
            partition: 3,
            records: 7,
            possibly_written: false,
            reason: &"too large",
        });
        assert_eq!(*log.0.lock().unwrap(), ["orders-3: too large"]);
    }
}
