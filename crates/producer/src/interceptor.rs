//! User code that sees every record pass.

use crate::error::DeliveryError;
use crate::record::{Acknowledgement, Record};

/// Sees each record before it is sent and after it is acknowledged: for tracing headers, audits, counters.
///
/// Runs on the sending task and on the task that receives answers: it should be quick and must not block. Kafka:
/// `interceptor.classes`.
pub trait ProducerInterceptor: Send + Sync {
    /// Called in `send`, before the partition is chosen; may add headers.
    fn on_send(&self, record: &Record<'_>, headers: &mut AddedHeaders) {
        let _ = (record, headers);
    }

    /// Called once per accepted record, when its result is known, whether or not its delivery is still held.
    fn on_acknowledgement(&self, result: &Result<Acknowledgement, DeliveryError>) {
        let _ = result;
    }
}

/// Headers that interceptors add behind the record's own.
#[derive(Debug, Default)]
pub struct AddedHeaders {
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl AddedHeaders {
    /// Adds a header.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.headers.push((key.into(), Some(value.into())));
    }

    /// The record with what was added.
    pub(crate) fn extend<'a>(&'a self, record: Record<'a>) -> Record<'a> {
        self.headers.iter().fold(record, |record, (key, value)| match value {
            Some(value) => record.header(key, value),
            None => record.null_header(key),
        })
    }
}
