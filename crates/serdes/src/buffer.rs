use crate::{Presence, SerializeContext, SerializeError, Serializer};

/// The buffer that a producer's keys and values are serialized into, one record after another.
///
/// It keeps its capacity: once it has held the largest record, serializing allocates nothing.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
}

/// A record's key and value in a [`RecordBuffer`]; `None` is Kafka's null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerializedRecord<'b> {
    /// The key.
    pub key: Option<&'b [u8]>,
    /// The value.
    pub value: Option<&'b [u8]>,
}

impl RecordBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serializes a key and a value, each given beside its format. What was here before is gone.
    ///
    /// # Errors
    /// When either has no form in its format.
    pub fn serialize<K: ?Sized, V: ?Sized>(
        &mut self,
        topic: &str,
        (key_format, key): (&(impl Serializer<K> + ?Sized), &K),
        (value_format, value): (&(impl Serializer<V> + ?Sized), &V),
    ) -> Result<SerializedRecord<'_>, SerializeError> {
        self.bytes.clear();
        let key_presence = key_format.serialize(&SerializeContext::key(topic), key, &mut self.bytes)?;
        let key_len = self.bytes.len();
        let value_presence =
            value_format.serialize(&SerializeContext::value(topic), value, &mut self.bytes)?;
        let (key, value) = self.bytes.split_at(key_len);
        let if_present = |presence, bytes| (presence == Presence::Present).then_some(bytes);
        Ok(SerializedRecord { key: if_present(key_presence, key), value: if_present(value_presence, value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BigEndian, Nullable, Utf8, Void, serializer_fn};

    #[test]
    fn key_and_value_are_apart_and_null_differs_from_empty() {
        let mut buffer = RecordBuffer::new();
        let record = buffer.serialize("t", (&Utf8, "u42"), (&Utf8, "")).unwrap();
        assert_eq!(record, SerializedRecord { key: Some(b"u42"), value: Some(b"") });
        let record = buffer.serialize("t", (&Void, &()), (&BigEndian, &1_i16)).unwrap();
        assert_eq!(record, SerializedRecord { key: None, value: Some(&[0, 1]) });
        let record = buffer.serialize("t", (&Utf8, "u42"), (&Nullable(BigEndian), &None::<i32>)).unwrap();
        assert_eq!(record, SerializedRecord { key: Some(b"u42"), value: None });
    }

    #[test]
    fn what_a_serializer_wrote_before_it_said_null_is_not_sent() {
        let undecided = serializer_fn(|_, (): &(), out| {
            out.extend_from_slice(b"scratch");
            Ok(Presence::Null)
        });
        let mut buffer = RecordBuffer::new();
        let record = buffer.serialize("t", (&undecided, &()), (&Utf8, "v")).unwrap();
        assert_eq!(record, SerializedRecord { key: None, value: Some(b"v") });
    }

    #[test]
    fn a_record_no_larger_than_one_before_allocates_nothing() {
        let mut buffer = RecordBuffer::new();
        let first = buffer.serialize("t", (&Utf8, "u42"), (&Utf8, "a long value")).unwrap();
        let address = first.key.map(<[u8]>::as_ptr);
        for value in ["a value", "", "another one"] {
            let record = buffer.serialize("t", (&Utf8, "u43"), (&Utf8, value)).unwrap();
            assert_eq!(record.key.map(<[u8]>::as_ptr), address);
        }
    }

    #[test]
    fn a_failed_serialization_leaves_nothing_behind() {
        let failing = serializer_fn(|_, (): &(), out| {
            out.extend_from_slice(b"half");
            Err(SerializeError::new("no"))
        });
        let mut buffer = RecordBuffer::new();
        assert!(buffer.serialize("t", (&failing, &()), (&Utf8, "v")).is_err());
        let record = buffer.serialize("t", (&Utf8, "k"), (&Utf8, "v")).unwrap();
        assert_eq!(record, SerializedRecord { key: Some(b"k"), value: Some(b"v") });
    }
}
