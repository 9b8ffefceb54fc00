//! What the consumer and its tasks share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_client::Client;
use milena_client::connection::ConnectionWatch;
use milena_client::env::Watch;
use milena_client::metrics::{ClientKind, ConsumerMetrics, TopicFetch};
use tokio::sync::Notify;

use crate::config::ConsumerConfig;
use crate::core::{ANSWER_BYTES_MIN, Delivery, Effects, LoopId, Subscription, SubscriptionConfig};
use crate::{decode, panics};

/// The subscription behind one lock, which is taken once per fetch and per batch, and never held across a suspension; and the
/// bells of those who wait for a change in it.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: ConsumerConfig,
    state: Mutex<State>,
    /// Wakes the task that decodes.
    pub(crate) decoder: Notify,
    /// Wakes the task that looks after positions and fetch loops.
    pub(crate) manager: Notify,
    closing: Arc<Watch<bool>>,
    pub(crate) metrics: Arc<ConsumerMetrics>,
    /// Counts the connections of the fetch loops.
    pub(crate) connections: ConnectionWatch,
}

struct State {
    subscription: Subscription,
    /// Wakes the application.
    application: Option<Waker>,
    loops: BTreeMap<LoopId, Arc<LoopBell>>,
}

/// Wakes one fetch loop.
#[derive(Debug, Default)]
pub(crate) struct LoopBell {
    pub(crate) notify: Notify,
}

impl Shared {
    pub(crate) fn new(client: Client, config: ConsumerConfig) -> Self {
        let subscription = Subscription::new(SubscriptionConfig {
            policy: config.auto_offset_reset,
            isolation_level: config.isolation_level,
            fetch_bytes_max: config.fetch_max_bytes as usize,
            partition_fetch_bytes_max: config.max_partition_fetch_bytes as usize,
            fetch_max_wait: config.fetch_max_wait,
            prefetch_bytes: config.prefetch_bytes,
            answer_bytes_min: ANSWER_BYTES_MIN.max(config.fetch_min_bytes as usize),
            decode_ahead_bytes: decode::AHEAD_BYTES,
            retry_backoff: client.config().retry_backoff,
            preferred_replica_lease: client.config().metadata_max_age,
        });
        let client_id = client.config().connection.client_id.as_deref().unwrap_or_default();
        Self {
            metrics: ConsumerMetrics::new(client.metrics_registry(), client_id),
            connections: client.watch_connections(ClientKind::Consumer),
            client,
            config,
            state: Mutex::new(State { subscription, application: None, loops: BTreeMap::new() }),
            decoder: Notify::new(),
            manager: Notify::new(),
            closing: Arc::default(),
        }
    }

    /// Tells all tasks to come to their end, and the application.
    pub(crate) fn close(&self) {
        self.closing.modify(|closing| *closing = true);
        let application = self.lock().application.take();
        if let Some(waker) = application {
            waker.wake();
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.read(|closing| *closing)
    }

    /// Waits until the consumer is being closed.
    pub(crate) fn closing(&self) -> impl Future<Output = ()> + use<> {
        let closing = self.closing.clone();
        async move { closing.wait_until(|closing| closing.then_some(())).await }
    }

    /// The present moment as metrics count it.
    pub(crate) fn metrics_time(&self) -> Duration {
        self.client.metrics_time(self.client.env().now())
    }

    pub(crate) fn record_fetch(&self, latency: Duration, throttle_time_ms: i32) {
        let throttle_time = Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0));
        self.metrics.record_fetch(self.metrics_time(), latency, throttle_time);
    }

    /// Changes the subscription, and wakes whom that concerns.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state.subscription);
        self.ring(state);
        result
    }

    /// Tells that a task in the background panicked: first the application, since telling a `tracing` subscriber may panic.
    pub(crate) fn tell_panic(&self, task: String, message: String) {
        self.with(|subscription| subscription.handle_panic(task.clone(), message.clone()));
        panics::ignore(|| {
            tracing::error!(task, message, "a task of the consumer panicked; it is started again")
        });
    }

    /// Waits before a task that panicked is started again, or for the consumer to be closed. `panics` is how many there were.
    pub(crate) async fn pause_after_panic(&self, panics: u32) {
        let env = self.client.env();
        let pause = self.client.config().reconnect_backoff.delay(panics, env.random_unit());
        env.timeout_at(env.deadline_after(pause), self.closing()).await;
    }

    /// What comes next for the application, at most so many records, or a wake-up of `cx` when there is something.
    pub(crate) fn poll_delivery(&self, cx: &mut Context<'_>, records_max: usize) -> Poll<Delivery> {
        let mut state = self.lock();
        let delivery = state.subscription.poll_delivery(records_max);
        if delivery.is_none() {
            state.subscription.handle_dry(self.client.env().now());
            match &mut state.application {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        self.ring(state);
        delivery.map_or(Poll::Pending, Poll::Ready)
    }

    /// Registers the bell of a new fetch loop.
    pub(crate) fn add_loop(&self, id: LoopId) -> Arc<LoopBell> {
        let bell = Arc::<LoopBell>::default();
        self.lock().loops.insert(id, bell.clone());
        bell
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes outside of the lock, so that nobody wakes up only to wait for it.
    fn ring(&self, mut state: MutexGuard<'_, State>) {
        let effects = state.subscription.take_effects();
        let application = state.application.take_if(|_| effects.application);
        let bells: Vec<_> = effects.loops.iter().filter_map(|id| state.loops.get(id).cloned()).collect();
        drop(state);
        if let Some(waker) = application {
            waker.wake();
        }
        if effects.decoder {
            self.decoder.notify_one();
        }
        if effects.manager {
            self.manager.notify_one();
        }
        for bell in bells {
            bell.notify.notify_one();
        }
        if effects.metadata {
            self.client.metadata().request_update();
        }
        self.record(effects);
    }

    fn record(&self, effects: Effects) {
        for consumed in effects.consumed {
            let topics = consumed.iter().map(|(topic, (records, bytes))| TopicFetch {
                topic,
                records: *records,
                bytes: *bytes,
            });
            self.metrics.record_consumed(self.metrics_time(), topics);
        }
        for (partition, replica) in effects.preferred_replicas {
            self.metrics.set_preferred_read_replica(&partition.topic, partition.partition, replica);
        }
    }
}
