//! What user code does (callbacks, interceptors, observers, partitioners) is its own affair: it harms nobody, and is waited for.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use milena_broker::{ApiKey, ErrorCode};
use milena_client::metrics::{
    BatchAcknowledged, BatchFailed, BatchRetried, Connected, Disconnected, Observer, RequestCompleted,
    Throttled,
};
use milena_producer::partitioner::{Partitioner, Partitioning, PartitioningInput, Placement};
use milena_producer::{
    Acknowledgement, AddedHeaders, DeliveryError, DeliveryErrorKind, ProducerConfig, ProducerInterceptor,
    Record,
};

use crate::support::*;

/// Panics wherever it is called.
struct Panicking;

impl Observer for Panicking {
    fn on_connected(&self, _: &Connected<'_>) {
        panic!("connected");
    }

    fn on_disconnected(&self, _: &Disconnected<'_>) {
        panic!("disconnected");
    }

    fn on_request_completed(&self, _: &RequestCompleted<'_>) {
        panic!("completed");
    }

    fn on_throttled(&self, _: &Throttled<'_>) {
        panic!("throttled");
    }

    fn on_batch_acknowledged(&self, _: &BatchAcknowledged<'_>) {
        panic!("acknowledged");
    }

    fn on_batch_retried(&self, _: &BatchRetried<'_>) {
        panic!("retried");
    }

    fn on_batch_failed(&self, _: &BatchFailed<'_>) {
        panic!("failed");
    }
}

impl ProducerInterceptor for Panicking {
    fn on_send(&self, _: &Record<'_>, headers: &mut AddedHeaders) {
        headers.push("before", "it panicked");
        panic!("sent");
    }

    fn on_acknowledgement(&self, _: &Result<Acknowledgement, DeliveryError>) {
        panic!("told");
    }
}

async fn world_with(observer: Arc<dyn Observer>, configure: impl FnOnce(&mut ProducerConfig)) -> World {
    World::start_with_client(|cluster| cluster, |client| client.observer = Some(observer), configure).await
}

#[tokio::test(start_paused = true)]
async fn panics_in_observers_interceptors_and_callbacks_harm_nobody() {
    patiently(async {
        let intercept = |config: &mut ProducerConfig| config.interceptors = vec![Arc::new(Panicking)];
        let world = world_with(Arc::new(Panicking), intercept).await;
        world.cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::NotEnoughReplicas);
        let mut sent = world.send_batch(2).await;
        sent.remove(0).on_completion(|_| panic!("a callback"));
        acks(sent).await;
        world.cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::InvalidRecord);
        let error = results(world.send_batch(1).await).await.remove(0).expect_err("refused");
        assert!(matches!(error.kind, DeliveryErrorKind::Broker { .. }), "{error}");
        world.cluster.faults().disconnect(1).await;
        acks(world.send_batch(1).await).await;
        assert_eq!(world.values(0), [0, 1, 3]);
        world.producer.clone().close(secs(1)).await.expect("all was told");
    })
    .await;
}

struct PanicsOnce(AtomicBool);

impl Partitioner for PanicsOnce {
    fn place(&self, _: &PartitioningInput<'_>) -> Placement {
        assert!(self.0.swap(true, Ordering::Relaxed), "the partitioner's own affair");
        Placement::Partition(0)
    }
}

/// It runs in the caller's `send`, and so does its panic; nothing was queued.
#[tokio::test(start_paused = true)]
async fn a_partitioner_panics_for_its_caller_only() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            config.partitioning = Partitioning::Custom(Arc::new(PanicsOnce(AtomicBool::new(false))));
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        // The topic is known after this, and `send` does not wait.
        acks(world.send_batch(1).await).await;
        let mut panicking = Box::pin(world.producer.send(Record::to(TOPIC).value("lost")));
        let mut cx = Context::from_waker(Waker::noop());
        let poll = catch_unwind(AssertUnwindSafe(|| panicking.as_mut().poll(&mut cx).is_ready()));
        poll.expect_err("it panics here");
        drop(panicking);
        let sent = world.producer.send(Record::to(TOPIC).value("1")).await.expect("accepted");
        acks(vec![sent]).await;
        world.producer.flush().await.expect("nothing failed");
        assert_eq!(world.values(0), [0, 1]);
    })
    .await;
}

/// User code that tells when it was entered, and stays until it is let go.
struct Gate {
    entered: SyncSender<()>,
    leave: Mutex<Receiver<()>>,
    has_left: AtomicBool,
}

impl Gate {
    fn new() -> (Arc<Self>, Receiver<()>, SyncSender<()>) {
        let (entered, was_entered) = sync_channel(1);
        let (let_go, leave) = sync_channel(1);
        let gate = Self { entered, leave: Mutex::new(leave), has_left: AtomicBool::new(false) };
        (Arc::new(gate), was_entered, let_go)
    }

    fn pass(&self) {
        self.entered.send(()).expect("the test listens");
        self.leave.lock().expect("no panic").recv().expect("the test lets go");
        self.has_left.store(true, Ordering::Release);
    }
}

impl Observer for Gate {
    fn on_batch_failed(&self, _: &BatchFailed<'_>) {
        self.pass();
    }
}

/// Waits on a thread of its own, as the test's runtime may have to go on meanwhile.
async fn wait(was_entered: Receiver<()>) {
    tokio::task::spawn_blocking(move || was_entered.recv().expect("it is entered")).await.expect("no panic");
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_waits_for_callbacks_that_have_begun() {
    let world = World::start().await;
    let (gate, was_entered, let_go) = Gate::new();
    let in_callback = gate.clone();
    world.send().await.on_completion(move |_| in_callback.pass());
    wait(was_entered).await;
    let mut flush = pin!(world.producer.flush());
    assert!(poll_once(flush.as_mut()).is_pending(), "the batch has left the queue, and is not told yet");
    let_go.send(()).expect("it waits");
    flush.await.expect("nothing failed");
    assert!(gate.has_left.load(Ordering::Acquire));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_is_being_told_is_not_missed_by_flush_and_close() {
    for closes in [false, true] {
        let (gate, was_entered, let_go) = Gate::new();
        let world = world_with(gate.clone(), |_| {}).await;
        world.cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::InvalidRecord);
        drop(world.send().await);
        wait(was_entered).await;
        if closes {
            // The time is up, and the failure is counted all the same.
            let error = world.producer.clone().close(ms(0)).await.expect_err("one failed unseen");
            assert_eq!(error.failed_records, 1);
            let_go.send(()).expect("it waits");
        } else {
            let mut flush = pin!(world.producer.flush());
            assert!(poll_once(flush.as_mut()).is_pending(), "it is not told yet");
            let_go.send(()).expect("it waits");
            assert_eq!(flush.await.expect_err("one failed unseen").failed_records, 1);
        }
    }
}

/// Callbacks run without any lock: what they wait for may send to the same partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_may_wait_for_a_send_to_its_own_partition() {
    let world = World::start_with(|cluster| cluster, |config| config.linger = ms(0)).await;
    let producer = world.producer.clone();
    let runtime = tokio::runtime::Handle::current();
    let (told, sent) = tokio::sync::oneshot::channel();
    world.send().await.on_completion(move |_| {
        let sending = std::thread::spawn(move || {
            runtime.block_on(producer.send(Record::to(TOPIC).partition(0).value("1"))).expect("accepted")
        });
        let _ = told.send(sending.join().expect("no panic"));
    });
    let second = sent.await.expect("the callback was called");
    assert_eq!(second.await.expect("acknowledged").offset, Some(1));
}
