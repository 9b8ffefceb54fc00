use std::rc::Rc;
use std::sync::Arc;

use crate::{DeserializeContext, DeserializeError, SerializeContext, SerializeError};

/// Turns a `T` into the bytes of a record's key or value.
///
/// `T` stands in the trait, not beside it, so that one format serves many types: [`Utf8`](crate::Utf8)
/// takes `str`, `String`, `Arc<str>` and whatever else is a string.
///
/// ```
/// use milena_serdes::{Presence, SerializeContext, SerializeError, Serializer};
///
/// struct Celsius(f32);
/// struct Tenths;
///
/// impl Serializer<Celsius> for Tenths {
///     fn serialize(
///         &self,
///         _: &SerializeContext<'_>,
///         value: &Celsius,
///         out: &mut Vec<u8>,
///     ) -> Result<Presence, SerializeError> {
///         if !value.0.is_finite() {
///             return Err(SerializeError::new("temperature is not finite"));
///         }
///         out.extend_from_slice(&((value.0 * 10.0) as i16).to_be_bytes());
///         Ok(Presence::Present)
///     }
/// }
/// ```
pub trait Serializer<T: ?Sized> {
    /// Appends `value` to `out`, whose earlier content stays, and says whether it is null instead.
    ///
    /// The caller ignores (and removes) what was appended when the answer is [`Presence::Null`] or an
    /// error.
    ///
    /// # Errors
    /// When this value has no form in this format.
    fn serialize(
        &self,
        context: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError>;
}

/// Whether a serialized key or value is there at all: Kafka's null is not the empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Presence {
    /// Null: a record without a key, or a tombstone.
    Null,
    /// What was appended, be it nothing.
    Present,
}

/// Turns the bytes of a record's key or value into a `T`, which may borrow them for `'a`.
///
/// As with serde's `Deserialize<'de>`, a type that owns its data comes out of every lifetime: write
/// `impl Deserializer<'_, Order> for OrderFormat`, and ask for it with [`OwnedDeserializer`]. A type
/// that borrows names the lifetime: `impl<'a> Deserializer<'a, &'a str> for Utf8`.
pub trait Deserializer<'a, T> {
    /// Reads `data`, which is `None` for Kafka's null.
    ///
    /// # Errors
    /// When `data` is not in this format, or null where the format has none.
    fn deserialize(
        &self,
        context: &DeserializeContext<'_>,
        data: Option<&'a [u8]>,
    ) -> Result<T, DeserializeError>;
}

/// A [`Deserializer`] whose values own their data: the bound for whoever keeps them.
pub trait OwnedDeserializer<T>: for<'a> Deserializer<'a, T> {}

impl<T, D: for<'a> Deserializer<'a, T> + ?Sized> OwnedDeserializer<T> for D {}

/// Formats are used through `&self`: behind any pointer they are still formats.
macro_rules! through_pointer {
    ($($pointer:ty),+) => {$(
        impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for $pointer {
            fn serialize(
                &self,
                context: &SerializeContext<'_>,
                value: &T,
                out: &mut Vec<u8>,
            ) -> Result<Presence, SerializeError> {
                (**self).serialize(context, value, out)
            }
        }

        impl<'a, T, S: Deserializer<'a, T> + ?Sized> Deserializer<'a, T> for $pointer {
            fn deserialize(
                &self,
                context: &DeserializeContext<'_>,
                data: Option<&'a [u8]>,
            ) -> Result<T, DeserializeError> {
                (**self).deserialize(context, data)
            }
        }
    )+};
}

through_pointer!(&S, Box<S>, Rc<S>, Arc<S>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BigEndian, Utf8};

    #[test]
    fn formats_work_as_trait_objects_behind_pointers() {
        let shared: Arc<dyn Serializer<i32> + Send + Sync> = Arc::new(BigEndian);
        let mut out = Vec::new();
        let presence = shared.serialize(&SerializeContext::value("t"), &258, &mut out);
        assert_eq!(presence.unwrap(), Presence::Present);
        assert_eq!(out, [0, 0, 1, 2]);

        let boxed: Box<dyn OwnedDeserializer<i32>> = Box::new(BigEndian);
        let read: i32 = boxed.deserialize(&DeserializeContext::value("t"), Some(&out)).unwrap();
        assert_eq!(read, 258);
    }

    #[test]
    fn an_owned_value_outlives_the_bytes_it_was_read_from() {
        fn read<T>(format: &impl OwnedDeserializer<T>, text: String) -> T {
            format.deserialize(&DeserializeContext::key("t"), Some(text.as_bytes())).unwrap()
        }
        let kept: String = read(&Utf8, "u42".to_owned());
        assert_eq!(kept, "u42");
    }
}
