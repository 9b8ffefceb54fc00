//! The clock of a test.

use std::future::Future;
use std::time::{Duration, Instant};

use milena_client::Env;

/// The time that a cluster and its clients live by, and a test with them; see [`Cluster::clock`](super::Cluster::clock). Cheap to clone.
///
/// It is tokio's: virtual where that is paused, and the machine's elsewhere.
#[derive(Clone, Debug)]
pub struct Clock {
    env: Env,
    started: Instant,
}

impl Clock {
    /// Begins now; its wall clock shows `start_time_ms`, or what the machine's does.
    pub(super) fn start(start_time_ms: Option<i64>) -> Self {
        let wall_ms = start_time_ms.unwrap_or_else(|| Env::system().timestamp_ms());
        let env = Env::builder().virtual_wall_clock(wall_ms).build();
        Self { started: env.now(), env }
    }

    /// Lets `duration` go by: what is to happen in it happens, each thing at its time. On the virtual clock that takes as long as the
    /// work to be done; otherwise it takes `duration`.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use std::time::Duration;
    /// use milena::testing::Cluster;
    ///
    /// let cluster = Cluster::builder().start().await?;
    /// cluster.clock().advance(Duration::from_secs(3_600)).await; // an hour, in no time
    /// assert_eq!(cluster.clock().elapsed(), Duration::from_secs(3_600));
    /// # Ok::<(), milena::testing::StartError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future has no effect; time that went by has gone by.
    pub async fn advance(&self, duration: Duration) {
        self.env.sleep(duration).await;
    }

    /// How long ago the cluster was started, on this clock.
    pub fn elapsed(&self) -> Duration {
        self.env.now().saturating_duration_since(self.started)
    }

    /// The wall clock of the cluster and its clients, in milliseconds since 1970: what records are stamped with.
    ///
    /// [`Faults::turn_clock`](super::Faults::turn_clock) turns the cluster's away from it.
    pub fn timestamp_ms(&self) -> i64 {
        self.env.timestamp_ms()
    }

    /// Whether time is virtual, which is to say that tokio's clock is paused on this thread's runtime.
    #[expect(clippy::disallowed_methods, reason = "tokio's clock is held against the machine's")]
    pub fn is_virtual(&self) -> bool {
        let (real, shown) = (Instant::now(), self.env.now());
        // Tokio's clock is this one, unless it is paused: it has to show at least the time that goes by between these readings.
        while real.elapsed() < Duration::from_micros(1) {}
        self.env.now() == shown
    }
}

/// Runs `test` to its end, on this thread and on a virtual clock: what `#[tokio::test(start_paused = true)]` does, without a macro.
///
/// For loops over seeds, examples, and tests whose body is to be a value. What `test` gives is given back.
///
/// ```
/// use milena::testing::{Cluster, run};
///
/// let topics = run(async {
///     let cluster = Cluster::builder().start().await?;
///     cluster.kafka().connect().await?.admin().list_topics().await.map_err(Box::<dyn std::error::Error>::from)
/// });
/// assert!(topics.unwrap().is_empty());
/// ```
///
/// # Panics
/// When it is called within a runtime of tokio, and where `test` does.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // No threads and no sockets are asked for.
    runtime.expect("a runtime with a timer only needs nothing of the system").block_on(test)
}
