//! Waiting for everything that was queued.

use crate::shared::Shared;
use milena_protocol::planted;

/// Has all open batches sent, and waits for every batch that exists now.
///
/// # Cancel safety
/// The batches go all the same.
pub(crate) async fn flush(shared: &Shared) {
    let mut pending = Vec::new();
    shared.list_open_batches(|state| {
        pending.extend(state.deliveries().cloned());
        if let Some(open) = &mut state.open {
            open.is_flushed = true;
        }
    });
    if planted("flush_forgets_the_last_batch") {
        pending.pop();
    }
    for batch in pending {
        batch.resolved().await;
    }
}
