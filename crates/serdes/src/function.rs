use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// A [`Serializer`] that is a closure.
///
/// ```
/// use milena_serdes::{Presence, serializer_fn};
///
/// let tenths = serializer_fn(|_, celsius: &f32, out| {
///     out.extend_from_slice(&((celsius * 10.0) as i16).to_be_bytes());
///     Ok(Presence::Present)
/// });
/// # fn serializes_f32(_: impl milena_serdes::Serializer<f32>) {}
/// # serializes_f32(tenths);
/// ```
pub fn serializer_fn<T: ?Sized, F>(function: F) -> SerializerFn<F>
where
    F: Fn(&SerializeContext<'_>, &T, &mut Vec<u8>) -> Result<Presence, SerializeError>,
{
    SerializerFn(function)
}

/// What [`serializer_fn`] makes.
#[derive(Debug, Clone, Copy)]
pub struct SerializerFn<F>(F);

impl<T: ?Sized, F> Serializer<T> for SerializerFn<F>
where
    F: Fn(&SerializeContext<'_>, &T, &mut Vec<u8>) -> Result<Presence, SerializeError>,
{
    fn serialize(
        &self,
        context: &SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        (self.0)(context, value, out)
    }
}

/// A [`Deserializer`] that is a closure; its values own their data.
///
/// ```
/// use milena_serdes::{DeserializeError, deserializer_fn};
///
/// let length = deserializer_fn(|_, data| Ok(data.ok_or(DeserializeError::UnexpectedNull)?.len()));
/// # fn reads_lengths(_: impl milena_serdes::OwnedDeserializer<usize>) {}
/// # reads_lengths(length);
/// ```
pub fn deserializer_fn<T, F>(function: F) -> DeserializerFn<F>
where
    F: Fn(&DeserializeContext<'_>, Option<&[u8]>) -> Result<T, DeserializeError>,
{
    DeserializerFn(function)
}

/// What [`deserializer_fn`] makes.
#[derive(Debug, Clone, Copy)]
pub struct DeserializerFn<F>(F);

impl<T, F> Deserializer<'_, T> for DeserializerFn<F>
where
    F: Fn(&DeserializeContext<'_>, Option<&[u8]>) -> Result<T, DeserializeError>,
{
    fn deserialize(
        &self,
        context: &DeserializeContext<'_>,
        data: Option<&[u8]>,
    ) -> Result<T, DeserializeError> {
        (self.0)(context, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    #[test]
    fn a_closure_sees_topic_part_and_headers() {
        let versioned = deserializer_fn(|context, data| {
            let version = context.header("v").flatten().unwrap_or(b"0");
            Ok((context.topic.to_owned(), context.part, version.to_vec(), data.map(<[u8]>::len)))
        });
        let headers = vec![("v", Some("7"))];
        let context = DeserializeContext::value("orders").with_headers(&headers);
        let read = versioned.deserialize(&context, Some(b"abc")).unwrap();
        assert_eq!(read, ("orders".to_owned(), Part::Value, b"7".to_vec(), Some(3)));
    }

    #[test]
    fn a_closure_may_refuse_and_may_say_null() {
        let positive = serializer_fn(|_, value: &i32, out| match value {
            ..0 => Err(SerializeError::new(format!("{value} is negative"))),
            0 => Ok(Presence::Null),
            _ => {
                out.push(1);
                Ok(Presence::Present)
            }
        });
        let mut out = Vec::new();
        let mut write = |value: i32| positive.serialize(&SerializeContext::key("t"), &value, &mut out);
        assert_eq!(write(-1).unwrap_err().to_string(), "-1 is negative");
        assert_eq!(write(0).unwrap(), Presence::Null);
        assert_eq!(write(1).unwrap(), Presence::Present);
    }
}
