use std::sync::atomic::AtomicI64;
use std::task::Wake;

use milena_protocol::ErrorCode;

use super::*;

fn written(base_offset: i64) -> Outcome {
    Outcome::Written { base_offset: Some(base_offset), log_append_time_ms: None }
}

fn failed() -> Outcome {
    Outcome::Failed(Arc::new(BatchFailure {
        kind: DeliveryErrorKind::Broker { code: ErrorCode::InvalidRecord, message: None },
        possibly_written: false,
        blamed: Vec::new(),
    }))
}

fn begin() -> Promise {
    BatchDelivery::begin(TopicPartition::new("t", 3))
}

/// A batch that the test resolves by hand.
fn batch() -> BatchHandle {
    let mut promise = begin();
    promise.is_kept = true;
    promise.delivery.clone()
}

#[test]
fn a_promise_that_is_dropped_fails_what_was_to_be_resolved() {
    let promise = begin();
    let open = promise.delivery().delivery(0, 0);
    drop(promise);
    let error = open.try_result().unwrap().unwrap_err();
    assert_eq!(error.kind, DeliveryErrorKind::Abandoned);
    assert!(!error.possibly_written(), "never sent");

    let mut promise = begin();
    let deliveries: Vec<_> = (0..3).map(|index| promise.delivery().delivery(index, 0)).collect();
    promise.seal(3);
    let mut pieces = promise.split([2, 1]);
    drop(pieces.pop());
    pieces[0].resolve(written(7));
    let results: Vec<_> = deliveries.iter().map(|delivery| delivery.try_result().unwrap()).collect();
    assert_eq!(results[1].as_ref().unwrap().offset, Some(8));
    let error = results[2].as_ref().unwrap_err();
    assert!(error.kind == DeliveryErrorKind::Abandoned && error.possibly_written());
}

#[tokio::test]
async fn one_resolution_gives_each_record_its_own_offset() {
    let batch = batch();
    let deliveries: Vec<_> = (0..3).map(|index| batch.delivery(index, 100 + i64::from(index))).collect();
    batch.resolve(0..3, 3, written(40));
    for (index, delivery) in (0..).zip(deliveries) {
        let ack = delivery.await.unwrap();
        assert_eq!((ack.partition(), ack.offset, ack.timestamp_ms), (3, Some(40 + index), 100 + index));
    }
}

#[tokio::test]
async fn pieces_of_a_split_batch_resolve_each_to_its_own_outcome() {
    let batch = batch();
    let deliveries: Vec<_> = (0..4).map(|index| batch.delivery(index, 0)).collect();
    batch.resolve(2..4, 4, failed());
    assert!(deliveries[3].try_result().is_none());
    batch.resolve(0..2, 4, written(7));
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.ok().and_then(|ack| ack.offset));
    }
    assert_eq!(offsets, [Some(7), Some(8), None, None]);
}

#[test]
fn callbacks_run_once_with_the_result() {
    let sum = Arc::new(AtomicI64::new(0));
    let batch = batch();
    for index in 0..2 {
        let sum = sum.clone();
        batch.delivery(index, 0).on_completion(move |result| {
            sum.fetch_add(result.unwrap().offset.unwrap(), Ordering::Relaxed);
        });
    }
    batch.resolve(0..2, 2, written(10));
    assert_eq!(sum.load(Ordering::Relaxed), 10 + 11);
}

#[test]
fn a_callback_that_comes_late_is_called_at_once() {
    let batch = batch();
    let delivery = batch.delivery(0, 0);
    batch.resolve(0..1, 1, written(10));
    let called = Arc::new(AtomicI64::new(0));
    let seen = called.clone();
    delivery.on_completion(move |result| seen.store(result.unwrap().offset.unwrap(), Ordering::Relaxed));
    assert_eq!(called.load(Ordering::Relaxed), 10);
}

#[test]
fn a_callback_may_add_callbacks_of_the_same_batch() {
    let batch = batch();
    let (first, second) = (batch.delivery(0, 0), batch.delivery(1, 0));
    let called = Arc::new(AtomicI64::new(0));
    let seen = called.clone();
    first.on_completion(move |_| {
        second.on_completion(move |result| seen.store(result.unwrap().offset.unwrap(), Ordering::Relaxed));
    });
    batch.resolve(0..2, 2, written(10));
    assert_eq!(called.load(Ordering::Relaxed), 11);
}

#[test]
fn a_panic_in_a_callback_harms_nobody_else() {
    let batch = batch();
    let other = batch.delivery(1, 0);
    batch.delivery(0, 0).on_completion(|_| panic!("a callback's own affair"));
    batch.resolve(0..2, 2, written(10));
    assert_eq!(other.try_result().unwrap().unwrap().offset, Some(11));
}

#[test]
fn held_counts_deliveries_and_callbacks_and_not_the_producers_own_references() {
    let batch = batch();
    let kept = batch.delivery(0, 0);
    drop(batch.delivery(1, 0));
    batch.delivery(2, 0).on_completion(|_| {});
    let other_handle = batch.clone();
    assert_eq!(batch.held(), 2);
    drop(other_handle);
    drop(kept);
    assert_eq!(batch.held(), 1);
}

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_waiter_that_is_gone_leaves_no_waker_behind() {
    let batch = batch();
    let mut kept = batch.delivery(0, 0);
    let kept_waker = Arc::new(CountingWaker(AtomicUsize::new(0)));
    let waker = kept_waker.clone().into();
    assert!(Pin::new(&mut kept).poll(&mut Context::from_waker(&waker)).is_pending());
    for index in 1..100 {
        let mut delivery = batch.delivery(index, 0);
        // Another task each time, which would be another waker.
        for _ in 0..2 {
            let waker = Arc::new(CountingWaker(AtomicUsize::new(0))).into();
            assert!(Pin::new(&mut delivery).poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    assert_eq!(batch.lock().wakers.slots.len(), 2);
    batch.resolve(0..100, 100, written(0));
    assert_eq!(kept_waker.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn whoever_waits_for_a_batch_finds_its_callbacks_done() {
    let batch = batch();
    let called = Arc::new(AtomicI64::new(0));
    let seen = called.clone();
    batch.delivery(0, 0).on_completion(move |_| {
        std::thread::yield_now();
        seen.store(1, Ordering::Release);
    });
    let handle = batch.clone();
    let (resolving, ()) =
        tokio::join!(tokio::task::spawn_blocking(move || batch.resolve(0..1, 1, written(0))), async {
            handle.resolved().await;
            assert_eq!(called.load(Ordering::Acquire), 1);
        });
    resolving.unwrap();
}
