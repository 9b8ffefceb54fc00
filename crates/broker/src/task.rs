//! The broker's only door to tasks.

use tokio::task::JoinHandle;

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Task {
    handle: JoinHandle<()>,
}

impl Task {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this module is the door to tasks")]
        let handle = tokio::spawn(future);
        Self { handle }
    }

    /// Returns when the task has ended by itself.
    pub(crate) async fn ended(mut self) {
        // A task that panicked has ended as well; the panic was reported where it happened.
        let _ = (&mut self.handle).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
