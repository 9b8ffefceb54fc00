//! Numbers about what a client does, under Kafka's names and with Kafka's arithmetic.
//!
//! [`ProducerMetrics`], [`ConsumerMetrics`] and [`ConnectionMetrics`] are written to once per batch,
//! request or poll, never per record; [`Metrics::snapshot`] reads them all. Averages, extremes and
//! rates are over a sliding window ([`Sampling`], a minute at most by default), totals since the start.
//! What Java measures of its I/O thread (`io-*`, `select-*`) has no counterpart: there is no such thread.
//!
//! For single events instead of sums there is the [`Observer`].
//!
//! Time is given to each call, as a duration since one moment of the caller's choice.

mod connection;
mod consumer;
mod histogram;
mod observer;
mod primitive;
mod producer;
mod registry;
mod sensor;
mod snapshot;
#[cfg(test)]
mod tests;
mod window;

pub use connection::{ClientKind, ConnectionMetrics};
pub use consumer::{ConsumerMetrics, ConsumerOperation, TopicFetch};
pub use histogram::{Histogram, HistogramSnapshot};
pub(crate) use observer::Shielded;
pub use observer::{
    BatchAcknowledged, BatchFailed, BatchRetried, Connected, Disconnected, MetadataUpdated, Observer,
    RecordsFetched, RequestCompleted, Throttled,
};
pub use primitive::{Counter, Gauge};
pub use producer::{ProducerMetrics, ProducerOperation, SentBatch};
pub use registry::{MetricSource, Metrics};
pub use snapshot::{Metric, Snapshot, Tags};
pub use window::Sampling;
