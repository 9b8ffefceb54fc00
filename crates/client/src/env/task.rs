//! Tasks that end with their owner.

use tokio::task::JoinHandle;

/// A running task. Dropping the handle cancels the task at its next suspension point.
#[derive(Debug)]
pub struct Task {
    handle: JoinHandle<()>,
}

impl Task {
    pub(super) fn new(handle: JoinHandle<()>) -> Self {
        Self { handle }
    }

    /// Waits for the task to end by itself. A panic in the task is resumed here.
    ///
    /// # Cancel safety
    /// Dropping this future cancels the task.
    pub async fn join(mut self) {
        if let Err(error) = (&mut self.handle).await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
