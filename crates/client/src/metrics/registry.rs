use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Metric, Sampling, Snapshot};

/// Where the metrics of all parts of a client are read together; cheap to clone.
///
/// It keeps no part alive: with the last handle of a [`ProducerMetrics`](super::ProducerMetrics) its
/// metrics are gone from here.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    sampling: Sampling,
    sources: Mutex<Vec<Weak<dyn MetricSource>>>,
}

/// Something that has metrics; implement it to show numbers of your own beside the client's.
pub trait MetricSource: Send + Sync {
    /// Appends the metrics as they are at `now`.
    fn collect(&self, now: Duration, out: &mut Vec<Metric>);
}

impl Metrics {
    /// An empty registry.
    pub fn new(sampling: Sampling) -> Self {
        Self { inner: Arc::new(Inner { sampling, sources: Mutex::default() }) }
    }

    /// How its metrics are sampled.
    pub fn sampling(&self) -> Sampling {
        self.inner.sampling
    }

    /// Adds a source, which is read for as long as somebody else holds it.
    pub fn register<S: MetricSource + 'static>(&self, source: &Arc<S>) {
        let source: Arc<dyn MetricSource> = source.clone();
        let mut sources = self.sources();
        sources.retain(|source| source.strong_count() > 0);
        sources.push(Arc::downgrade(&source));
    }

    /// All metrics as they are at `now`.
    pub fn snapshot(&self, now: Duration) -> Snapshot {
        // Read outside the lock: a source takes its own.
        let sources: Vec<_> = self.sources().iter().filter_map(Weak::upgrade).collect();
        let mut metrics = Vec::new();
        for source in sources {
            source.collect(now, &mut metrics);
        }
        Snapshot::new(metrics)
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Weak<dyn MetricSource>>> {
        self.inner.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Sampling::default())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("sampling", &self.inner.sampling)
            .field("sources", &self.sources().len())
            .finish()
    }
}
