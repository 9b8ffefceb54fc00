use serde::{Deserialize, Serialize};

use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// JSON text, for every type that serde knows. Feature `json`, on by default.
///
/// A type that borrows (`struct Order<'a> { id: &'a str }`) is read without copying where the text has
/// no escapes. `None` is written as the JSON text `null`; for Kafka's null wrap it:
/// `Nullable(Json)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

impl<T: Serialize + ?Sized> Serializer<T> for Json {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        serde_json::to_writer(out, value).map_err(SerializeError::new)?;
        Ok(Presence::Present)
    }
}

impl<'a, T: Deserialize<'a>> Deserializer<'a, T> for Json {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&'a [u8]>) -> Result<T, DeserializeError> {
        let data = data.ok_or(DeserializeError::UnexpectedNull)?;
        serde_json::from_slice(data).map_err(DeserializeError::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Nullable;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order<'a> {
        user: &'a str,
        amount: u32,
    }

    #[test]
    fn json_is_written_compactly_and_read_in_place() {
        let mut out = Vec::new();
        let order = Order { user: "u42", amount: 7 };
        assert_eq!(
            Json.serialize(&SerializeContext::value("t"), &order, &mut out).unwrap(),
            Presence::Present
        );
        assert_eq!(out, br#"{"user":"u42","amount":7}"#);

        let read: Order<'_> = Json.deserialize(&DeserializeContext::value("t"), Some(&out)).unwrap();
        assert_eq!(read, order);
        assert!(out.as_ptr_range().contains(&read.user.as_ptr()));
    }

    #[test]
    fn malformed_json_is_an_error_that_says_where() {
        let read: Result<Order<'_>, _> =
            Json.deserialize(&DeserializeContext::value("t"), Some(br#"{"user":"u42"}"#));
        assert_eq!(read.unwrap_err().to_string(), "missing field `amount` at line 1 column 14");
        let trailing: Result<u32, _> = Json.deserialize(&DeserializeContext::value("t"), Some(b"1 2"));
        assert!(matches!(trailing, Err(DeserializeError::Custom(_))));
    }

    #[test]
    fn a_value_without_a_json_form_is_an_error() {
        let keys_that_are_lists = BTreeMap::from([(vec![1], 2)]);
        let result = Json.serialize(&SerializeContext::value("t"), &keys_that_are_lists, &mut Vec::new());
        assert!(result.unwrap_err().get_ref().is::<serde_json::Error>());
    }

    #[test]
    fn a_tombstone_is_null_only_through_nullable() {
        let mut out = Vec::new();
        let tombstone =
            Nullable(Json).serialize(&SerializeContext::value("t"), &None::<u32>, &mut out).unwrap();
        assert_eq!((tombstone, out.len()), (Presence::Null, 0));
        let text = Json.serialize(&SerializeContext::value("t"), &None::<u32>, &mut out).unwrap();
        assert_eq!((text, &*out), (Presence::Present, &b"null"[..]));
        let read: Result<u32, _> = Json.deserialize(&DeserializeContext::value("t"), None);
        assert!(matches!(read, Err(DeserializeError::UnexpectedNull)));
    }
}
