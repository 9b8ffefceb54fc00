use bytes::Bytes;

use crate::{Event, pool};

/// An event whose bytes are shared with every record that is made of it, for clients that take [`Bytes`].
pub struct SharedEvent {
    pub key: Bytes,
    pub value: Bytes,
    pub headers: Vec<(&'static str, Bytes)>,
}

impl From<Event> for SharedEvent {
    fn from(event: Event) -> Self {
        let headers = event.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { key: event.key.into(), value: event.value.into(), headers }
    }
}

/// As [`pool`].
pub fn shared_pool(size: usize, with_headers: bool) -> Vec<SharedEvent> {
    pool(size, with_headers).into_iter().map(SharedEvent::from).collect()
}
