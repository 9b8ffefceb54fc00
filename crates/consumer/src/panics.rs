//! Panics of tasks in the background: without a word, they would be silence for ever.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `future`; a panic in it is an error that carries its message.
///
/// Whoever calls this makes the state good again that the future shares with others.
///
/// # Cancel safety
/// As that of `future`.
pub(crate) async fn catch<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(message(&*payload))),
    })
    .await
}

/// Runs `work` that may panic without harm.
pub(crate) fn ignore(work: impl FnOnce()) {
    // The panic's hook has printed it.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_a_suspension_is_an_error_with_its_message() {
        let number = 7;
        let caught = catch(async {
            tokio::task::yield_now().await;
            panic!("number {number}")
        });
        assert_eq!(caught.await, Err::<(), _>("number 7".to_owned()));
        assert_eq!(catch(async { panic!("static") }).await, Err::<(), _>("static".to_owned()));
        let strange = catch(async { std::panic::panic_any(7) });
        assert_eq!(strange.await, Err::<(), _>("a panic without a message".to_owned()));
        assert_eq!(catch(async { 7 }).await, Ok(7));
    }
}
