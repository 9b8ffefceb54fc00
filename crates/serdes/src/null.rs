use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// A format with null: `Option<T>` for the `T` of the format inside.
///
/// `None` is Kafka's null (no key, or a tombstone) and never reaches the inner format, in neither
/// direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nullable<F>(pub F);

impl<T, F: Serializer<T>> Serializer<Option<T>> for Nullable<F> {
    fn serialize(
        &self,
        context: &SerializeContext<'_>,
        value: &Option<T>,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        match value {
            Some(value) => self.0.serialize(context, value, out),
            None => Ok(Presence::Null),
        }
    }
}

impl<'a, T, F: Deserializer<'a, T>> Deserializer<'a, Option<T>> for Nullable<F> {
    fn deserialize(
        &self,
        context: &DeserializeContext<'_>,
        data: Option<&'a [u8]>,
    ) -> Result<Option<T>, DeserializeError> {
        data.map(|data| self.0.deserialize(context, Some(data))).transpose()
    }
}

/// Nothing but null, as `()`. Java: `VoidSerializer`, `VoidDeserializer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Void;

impl Serializer<()> for Void {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        (): &(),
        _: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        Ok(Presence::Null)
    }
}

impl Deserializer<'_, ()> for Void {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&[u8]>) -> Result<(), DeserializeError> {
        match data {
            None => Ok(()),
            Some(data) => Err(DeserializeError::UnexpectedValue { len: data.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BigEndian, Utf8};

    #[test]
    fn none_is_null_and_some_is_the_inner_form() {
        let context = SerializeContext::value("t");
        let mut out = Vec::new();
        let none = Nullable(BigEndian).serialize(&context, &None::<i32>, &mut out).unwrap();
        assert_eq!((none, out.len()), (Presence::Null, 0));
        let some = Nullable(BigEndian).serialize(&context, &Some(1_i32), &mut out).unwrap();
        assert_eq!((some, out.len()), (Presence::Present, 4));
    }

    #[test]
    fn null_reads_as_none_and_the_empty_string_does_not() {
        let context = DeserializeContext::value("t");
        let null: Option<&str> = Nullable(Utf8).deserialize(&context, None).unwrap();
        assert_eq!(null, None);
        let empty: Option<&str> = Nullable(Utf8).deserialize(&context, Some(b"")).unwrap();
        assert_eq!(empty, Some(""));
    }

    #[test]
    fn a_malformed_value_stays_an_error_when_nullable() {
        let read: Result<Option<i32>, _> =
            Nullable(BigEndian).deserialize(&DeserializeContext::value("t"), Some(b"123"));
        assert!(matches!(read, Err(DeserializeError::WrongLength { expected: 4, actual: 3 })));
    }

    #[test]
    fn void_is_null_in_both_directions_and_nothing_else() {
        let mut out = Vec::new();
        assert_eq!(Void.serialize(&SerializeContext::key("t"), &(), &mut out).unwrap(), Presence::Null);
        assert!(out.is_empty());
        assert!(Void.deserialize(&DeserializeContext::key("t"), None).is_ok());
        let value = Void.deserialize(&DeserializeContext::key("t"), Some(b""));
        assert!(matches!(value, Err(DeserializeError::UnexpectedValue { len: 0 })));
    }
}
