//! Sending values of the user's types.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milena_producer::{Delivery, Producer, Record, SendError};
use milena_serdes::{RecordBuffer, SerializeError, Serializer};

/// Buffers kept for reuse: as many `send`s of one typed producer allocate nothing at the same time.
const BUFFERS_KEPT_MAX: usize = 16;

/// A [`Producer`] with a format for keys and one for values.
///
/// Cheap to clone; clones share the producer and the buffers.
#[derive(Clone, Debug)]
pub struct TypedProducer<KF, VF> {
    producer: Producer,
    key_format: KF,
    value_format: VF,
    buffers: Buffers,
}

impl<KF, VF> TypedProducer<KF, VF> {
    /// Serializes keys with `key_format` and values with `value_format`, and sends with `producer`.
    pub fn new(producer: Producer, key_format: KF, value_format: VF) -> Self {
        Self { producer, key_format, value_format, buffers: Buffers::default() }
    }

    /// Serializes a key and a value into `record`, which brings the topic and what else there is, and sends it.
    ///
    /// A key or value that `record` has already is replaced.
    ///
    /// # Errors
    /// The key or the value has no form in its format, or the record was not accepted. Nothing was queued.
    ///
    /// # Cancel safety
    /// As [`Producer::send`]: a `send` that is dropped before it completed has queued nothing.
    pub async fn send<K: ?Sized, V: ?Sized>(
        &self,
        record: Record<'_>,
        key: &K,
        value: &V,
    ) -> Result<Delivery, TypedSendError>
    where
        KF: Serializer<K>,
        VF: Serializer<V>,
    {
        let mut buffer = self.buffers.take();
        let result = self.send_through(&mut buffer, record, key, value).await;
        self.buffers.put(buffer);
        result
    }

    async fn send_through<K: ?Sized, V: ?Sized>(
        &self,
        buffer: &mut RecordBuffer,
        record: Record<'_>,
        key: &K,
        value: &V,
    ) -> Result<Delivery, TypedSendError>
    where
        KF: Serializer<K>,
        VF: Serializer<V>,
    {
        let topic = record.topic();
        let serialized = buffer
            .serialize(topic, (&self.key_format, key), (&self.value_format, value))
            .map_err(|error| TypedSendError::Serialize { topic: topic.to_owned(), error })?;
        let record = record.maybe_key(serialized.key).maybe_value(serialized.value);
        Ok(self.producer.send(record).await?)
    }

    /// The producer below.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }
}

/// A typed record that was not accepted: nothing of it was queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedSendError {
    /// The key or the value has no form in its format. The same fails again.
    #[error("{topic}: the record does not serialize: {error}")]
    Serialize {
        /// The topic.
        topic: String,
        /// What the format says.
        error: SerializeError,
    },
    /// The record was not accepted.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl TypedSendError {
    /// Whether the same record may be accepted later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_retriable())
    }

    /// Whether this producer accepts nothing any more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_fatal())
    }
}

/// Buffers that no `send` uses at the moment. One that is dropped while it waits takes its buffer along.
#[derive(Clone, Debug, Default)]
struct Buffers {
    unused: Arc<Mutex<Vec<RecordBuffer>>>,
}

impl Buffers {
    fn take(&self) -> RecordBuffer {
        self.lock().pop().unwrap_or_default()
    }

    fn put(&self, buffer: RecordBuffer) {
        let mut unused = self.lock();
        if unused.len() < BUFFERS_KEPT_MAX {
            unused.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RecordBuffer>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use milena_broker::Cluster;
    use milena_serdes::Utf8;

    use super::*;
    use crate::Kafka;

    #[tokio::test]
    async fn a_send_gives_its_buffer_back_whether_or_not_it_succeeds() {
        let cluster = Cluster::builder().in_memory().start().await.unwrap();
        let kafka = Kafka::connect_to(&cluster).await.unwrap();
        // A partition that the topic does not have is waited for.
        let producer = kafka.producer().max_block(Duration::from_millis(200)).build().await.unwrap();
        let producer = TypedProducer::new(producer, Utf8, Utf8);
        producer.send(Record::to("orders"), "k", "v").await.unwrap().await.unwrap();
        assert_eq!(producer.buffers.lock().len(), 1);
        producer.send(Record::to("orders").partition(99), "k", "v").await.unwrap_err();
        assert_eq!(producer.buffers.lock().len(), 1);
    }

    #[test]
    fn a_buffer_that_was_used_is_used_again_and_only_some_are_kept() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        let first = buffer.serialize("t", (&Utf8, "key"), (&Utf8, "value")).unwrap();
        let address = first.key.map(<[u8]>::as_ptr);
        buffers.put(buffer);
        let mut again = buffers.clone().take();
        let second = again.serialize("t", (&Utf8, "yek"), (&Utf8, "eulav")).unwrap();
        assert_eq!(second.key.map(<[u8]>::as_ptr), address);

        for _ in 0..2 * BUFFERS_KEPT_MAX {
            buffers.put(RecordBuffer::new());
        }
        assert_eq!(buffers.lock().len(), BUFFERS_KEPT_MAX);
    }
}
