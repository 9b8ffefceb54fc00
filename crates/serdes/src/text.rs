//! Bytes as they are, and strings.

use std::borrow::Cow;
use std::str;

use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// The bytes themselves. Java: `ByteArraySerializer`, `ByteArrayDeserializer`.
///
/// Reads into whatever is made of a slice: `&[u8]` without copying, `Vec<u8>`, `Arc<[u8]>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for Raw {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        out.extend_from_slice(value.as_ref());
        Ok(Presence::Present)
    }
}

impl<'a, T: From<&'a [u8]>> Deserializer<'a, T> for Raw {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&'a [u8]>) -> Result<T, DeserializeError> {
        data.map(T::from).ok_or(DeserializeError::UnexpectedNull)
    }
}

/// UTF-8 text. Java: `StringSerializer`, `StringDeserializer`.
///
/// Reads into whatever is made of a string slice: `&str` without copying, `String`, `Arc<str>`.
/// Bytes that are not UTF-8 are an error, where Java silently puts U+FFFD for them: for that there is
/// [`Utf8Lossy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Utf8;

impl<T: AsRef<str> + ?Sized> Serializer<T> for Utf8 {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        out.extend_from_slice(value.as_ref().as_bytes());
        Ok(Presence::Present)
    }
}

impl<'a, T: From<&'a str>> Deserializer<'a, T> for Utf8 {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&'a [u8]>) -> Result<T, DeserializeError> {
        let data = data.ok_or(DeserializeError::UnexpectedNull)?;
        str::from_utf8(data).map(T::from).map_err(DeserializeError::InvalidUtf8)
    }
}

/// UTF-8 text whose malformed parts are read as U+FFFD, as Java's `StringDeserializer` does.
///
/// Reads into `Cow<str>`, which borrows when there is nothing to replace, and `String`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Utf8Lossy;

impl<T: AsRef<str> + ?Sized> Serializer<T> for Utf8Lossy {
    fn serialize(
        &self,
        context: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        Utf8.serialize(context, value, out)
    }
}

impl<'a, T: From<Cow<'a, str>>> Deserializer<'a, T> for Utf8Lossy {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&'a [u8]>) -> Result<T, DeserializeError> {
        data.map(|data| T::from(String::from_utf8_lossy(data))).ok_or(DeserializeError::UnexpectedNull)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const CONTEXT: fn() -> DeserializeContext<'static> = || DeserializeContext::value("t");

    #[test]
    fn text_and_bytes_are_read_in_place() {
        let data = "größe".as_bytes();
        let text: &str = Utf8.deserialize(&CONTEXT(), Some(data)).unwrap();
        let raw: &[u8] = Raw.deserialize(&CONTEXT(), Some(data)).unwrap();
        assert_eq!(text.as_ptr(), data.as_ptr());
        assert_eq!(raw.as_ptr(), data.as_ptr());
        let lossy: Cow<'_, str> = Utf8Lossy.deserialize(&CONTEXT(), Some(data)).unwrap();
        assert!(matches!(lossy, Cow::Borrowed("größe")));
    }

    #[test]
    fn text_and_bytes_are_read_into_owned_types() {
        let data = b"u42";
        let string: String = Utf8.deserialize(&CONTEXT(), Some(data)).unwrap();
        let shared: Arc<str> = Utf8.deserialize(&CONTEXT(), Some(data)).unwrap();
        let bytes: Vec<u8> = Raw.deserialize(&CONTEXT(), Some(data)).unwrap();
        assert_eq!((&*string, &*shared, &*bytes), ("u42", "u42", &b"u42"[..]));
    }

    #[test]
    fn strings_of_every_kind_serialize_alike() {
        fn written<T: ?Sized>(value: &T) -> Vec<u8>
        where
            Utf8: Serializer<T>,
        {
            let mut out = b"before ".to_vec();
            assert_eq!(
                Utf8.serialize(&SerializeContext::key("t"), value, &mut out).unwrap(),
                Presence::Present
            );
            out
        }
        assert_eq!(written("u42"), b"before u42");
        assert_eq!(written(&"u42"), b"before u42");
        assert_eq!(written(&String::from("u42")), b"before u42");
        assert_eq!(written(&Arc::<str>::from("u42")), b"before u42");
    }

    #[test]
    fn malformed_text_is_an_error_unless_read_lossily() {
        let data = Some(&b"a\xffb"[..]);
        let strict: Result<&str, _> = Utf8.deserialize(&CONTEXT(), data);
        assert!(matches!(strict, Err(DeserializeError::InvalidUtf8(error)) if error.valid_up_to() == 1));
        let lossy: String = Utf8Lossy.deserialize(&CONTEXT(), data).unwrap();
        assert_eq!(lossy, "a\u{fffd}b");
    }

    #[test]
    fn null_is_an_error_and_empty_is_not() {
        let null: Result<&str, _> = Utf8.deserialize(&CONTEXT(), None);
        assert!(matches!(null, Err(DeserializeError::UnexpectedNull)));
        let null: Result<&[u8], _> = Raw.deserialize(&CONTEXT(), None);
        assert!(matches!(null, Err(DeserializeError::UnexpectedNull)));
        let empty: &str = Utf8.deserialize(&CONTEXT(), Some(b"")).unwrap();
        assert_eq!(empty, "");
    }
}
