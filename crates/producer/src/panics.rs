//! Panics: those of user code end where it is called; those of our own, which are bugs, must not become silence.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::shared::Shared;

/// Runs what the user gave us. Its panic must neither end the sender, with which the deliveries of others would end, nor abort a
/// drop: it is logged.
pub(crate) fn call_user_code(what: &str, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        tracing::error!(panic = message(&*panic), "{what} panicked");
    }
}

/// Runs one of the producer's tasks. A panic in it fails the producer for good: every delivery is told, and every later send.
pub(crate) async fn supervised(shared: Arc<Shared>, task_name: &'static str, task: impl Future<Output = ()>) {
    let mut task = pin!(task);
    let ended = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    if let Err(panic) = ended.await {
        shared.fail_after_panic(task_name, &*panic);
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use milena_client::env::{Connecting, Connector};
    use milena_client::{Address, Client, ClientConfig, Env, TopicPartition};
    use milena_records::RecordParts;

    use super::*;
    use crate::config::ProducerConfig;
    use crate::core::queue::QueueConfig;
    use crate::delivery::Delivery;
    use crate::error::{DeliveryErrorKind, SendError};
    use crate::flush::flush;
    use crate::partition::Partition;

    struct Nowhere;

    impl Connector for Nowhere {
        fn connect<'a>(&'a self, _: &'a Address) -> Connecting<'a> {
            Box::pin(pending())
        }
    }

    /// A producer without tasks, and a delivery of a batch that is still open.
    fn producer() -> (Arc<Shared>, Delivery) {
        let env = Env::builder().connector(Nowhere).seed(1).build();
        let client = Client::new(ClientConfig::new(Address::parse_list("nowhere:9092").unwrap()), env);
        let shared = Arc::new(Shared::new(client, ProducerConfig::default()));
        let topic = shared.topic_or_insert("t");
        let queue_config = QueueConfig {
            idempotent: true,
            in_flight_max: 5,
            retries_max: u32::MAX,
            retry_backoff: shared.config.retry_backoff,
        };
        topic.resize(1, vec![0], |index| {
            let name = TopicPartition::new(topic.name.clone(), index);
            Arc::new(Partition::new(name, topic.wire_name.clone(), queue_config))
        });
        let partition = topic.partition(0).expect("just made");
        let record = RecordParts { value: Some(b"x"), ..Default::default() };
        let now = || shared.env().now();
        let mut state = partition.lock();
        let appended = partition.append(&mut state, &shared.batch_rules(), &record, &mut None, now);
        let Ok(appended) = appended else { panic!("there is room") };
        drop(state);
        (shared, appended.delivery)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_fails_everything_and_says_so() {
        let (shared, delivery) = producer();
        let panics_later = async {
            tokio::task::yield_now().await;
            panic!("a bug");
        };
        supervised(shared.clone(), "sender", panics_later).await;
        let error = delivery.try_result().expect("told at once").unwrap_err();
        let (task, message) = ("sender", "a bug".to_owned());
        assert_eq!(error.kind, DeliveryErrorKind::Panicked { task, message: message.clone() });
        assert!(error.is_fatal() && !error.possibly_written() && !error.is_retriable());
        assert_eq!(shared.check_open(), Err(SendError::Panicked { task, message }));
        tokio::time::timeout(Duration::from_secs(1), flush(&shared)).await.expect("nothing is left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_fails_nothing() {
        let (shared, delivery) = producer();
        supervised(shared.clone(), "sender", async {}).await;
        assert_eq!(shared.check_open(), Ok(()));
        assert!(delivery.try_result().is_none());
        shared.end(&DeliveryErrorKind::Closed);
    }
}
