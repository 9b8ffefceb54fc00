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
