//! The only door to time, randomness, sockets and tasks.
//!
//! Everything in the client that could differ between two runs goes through an [`Env`]: on a paused tokio clock, with a seed and
//! an in-memory connector, one seed gives one trace.

mod clock;
mod connector;
mod random;
mod task;
mod watch;

pub use connector::{Connecting, Connector, Stream, TcpConnector};
pub use task::Task;
pub use watch::{Seen, Watch};

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clock::WallClock;
use random::Random;
use tokio::runtime::Handle;

/// Clock, random numbers, connector and spawner of one client; cheap to clone.
#[derive(Clone)]
pub struct Env {
    inner: Arc<Inner>,
}

struct Inner {
    wall_clock: WallClock,
    random: Mutex<Random>,
    connector: Arc<dyn Connector>,
    /// Where tasks run.
    runtime: Option<Handle>,
}

impl Env {
    /// The real world: the system's clocks, a seed from the operating system, TCP.
    pub fn system() -> Self {
        Self::builder().build()
    }

    /// Chooses each part by hand.
    pub fn builder() -> EnvBuilder {
        EnvBuilder { seed: None, connector: None, virtual_epoch_ms: None }
    }

    /// The monotonic clock; virtual when tokio's clock is paused.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// The instant `duration` from now; a duration that stands for "no limit" gives an instant that is never reached.
    pub fn deadline_after(&self, duration: Duration) -> Instant {
        later(self.now(), duration)
    }

    /// Milliseconds since 1970, exact.
    pub fn timestamp_ms(&self) -> i64 {
        self.inner.wall_clock.exact_ms(self.now())
    }

    /// Milliseconds since 1970, at most one kernel tick (4 ms) old, for a fraction of the price of an exact reading.
    pub fn coarse_timestamp_ms(&self) -> i64 {
        self.inner.wall_clock.coarse_ms(|| self.now())
    }

    /// Sleeps until `deadline` on this environment's clock.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline.into()).await;
    }

    /// Sleeps for `duration` on this environment's clock.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.deadline_after(duration)).await;
    }

    /// Lets everyone else who is ready to run go first.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn yield_now(&self) {
        tokio::task::yield_now().await;
    }

    /// A re-armable timer for poll functions.
    pub fn timer(&self) -> Timer {
        Timer { sleep: None }
    }

    /// Runs `future`, at most until `deadline`; `None` when the time was up first.
    ///
    /// # Cancel safety
    /// As that of `future`.
    pub async fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(deadline.into(), future).await.ok()
    }

    /// A uniformly distributed number.
    pub fn random_u64(&self) -> u64 {
        self.inner.random.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// A uniformly distributed number in `0.0..1.0`.
    pub fn random_unit(&self) -> f64 {
        // 53 bits are what an f64's mantissa holds.
        (self.random_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Starts a task that lives as long as the returned handle, on the runtime that the environment was built in: whoever calls this may
    /// be on another one, which may end earlier.
    ///
    /// # Panics
    /// When the environment was built outside of a runtime and this is called outside of one, too.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn spawn<F>(&self, future: F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Task::new(match &self.inner.runtime {
            Some(runtime) => runtime.spawn(future),
            None => tokio::spawn(future),
        })
    }

    /// The connector that opens this environment's streams.
    pub fn connector(&self) -> &dyn Connector {
        &*self.inner.connector
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

/// The instant `duration` after `at`; durations that stand for "no limit" do not overflow.
pub(crate) fn later(at: Instant, duration: Duration) -> Instant {
    at.checked_add(duration.min(NEVER)).unwrap_or(at)
}

/// Longer than any client lives.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Builds an [`Env`]; what is not chosen is the real world's.
pub struct EnvBuilder {
    seed: Option<u64>,
    connector: Option<Arc<dyn Connector>>,
    virtual_epoch_ms: Option<i64>,
}

impl EnvBuilder {
    /// Seeds the random numbers, so that a run can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Opens streams with `connector` in place of TCP.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Derives the wall clock from the (possibly paused) monotonic one: it shows `epoch_ms` now.
    pub fn virtual_wall_clock(mut self, epoch_ms: i64) -> Self {
        self.virtual_epoch_ms = Some(epoch_ms);
        self
    }

    /// Finishes the environment. Its tasks will run on the tokio runtime that this is called in; outside of one, on the runtime of whoever
    /// starts them.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn build(self) -> Env {
        let wall_clock = match self.virtual_epoch_ms {
            None => WallClock::System,
            Some(epoch_ms) => WallClock::Virtual { start: tokio::time::Instant::now().into_std(), epoch_ms },
        };
        let seed = self.seed.unwrap_or_else(random::seed_from_system);
        let connector = self.connector.unwrap_or_else(|| Arc::new(TcpConnector::default()));
        let random = Mutex::new(Random::new(seed));
        Env { inner: Arc::new(Inner { wall_clock, random, connector, runtime: Handle::try_current().ok() }) }
    }
}

/// One re-armable timer of a task's poll function; allocates once, when it is first armed.
#[derive(Debug)]
pub struct Timer {
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl Timer {
    /// Arms the timer for `deadline` and polls it: ready once the deadline has passed. `None` never is.
    ///
    /// A deadline that has passed already is ready at once: the runtime's timers would have it wait for their next millisecond.
    pub fn poll_until(
        &mut self,
        cx: &mut std::task::Context<'_>,
        deadline: Option<Instant>,
    ) -> std::task::Poll<()> {
        let Some(deadline) = deadline else { return std::task::Poll::Pending };
        let deadline = tokio::time::Instant::from_std(deadline);
        let is_armed = self.sleep.as_ref().is_some_and(|sleep| sleep.deadline() == deadline);
        if !is_armed && has_passed(deadline) {
            return std::task::Poll::Ready(());
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !is_armed {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "timers are this module's: their clock is the one that they run by"
)]
fn has_passed(deadline: tokio::time::Instant) -> bool {
    deadline <= tokio::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_whose_deadline_has_passed_does_not_wait_for_the_next_tick() {
        let env = Env::system();
        let mut timer = env.timer();
        let mut poll = |deadline| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            timer.poll_until(&mut cx, Some(deadline)).is_ready()
        };
        // Not only where the deadline and a tick coincide.
        for _ in 0..100 {
            let now = env.now();
            assert!(poll(now), "armed for now");
            assert!(!poll(now + std::time::Duration::from_secs(60)), "armed for later");
        }
    }

    #[test]
    fn a_task_outlives_the_runtime_of_whoever_started_it() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (home, guest) = (runtime(), runtime());
        let env = home.block_on(async { Env::system() });
        let (done, told) = tokio::sync::oneshot::channel();
        let task = guest.block_on(async { env.spawn(async { done.send(()).expect("awaited") }) });
        drop(guest);
        home.block_on(async {
            told.await.expect("it ran");
            task.join().await;
        });
    }
}
