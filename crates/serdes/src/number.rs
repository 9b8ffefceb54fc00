use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// Numbers in network byte order and in their full size: `i16`, `i32`, `i64`, `f32`, `f64`.
///
/// Java: `ShortSerializer`, `IntegerSerializer`, `LongSerializer`, `FloatSerializer`,
/// `DoubleSerializer` and their deserializers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($number:ty),+) => {$(
        impl Serializer<$number> for BigEndian {
            fn serialize(
                &self,
                _: &SerializeContext<'_>,
                value: &$number,
                out: &mut Vec<u8>,
            ) -> Result<Presence, SerializeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(Presence::Present)
            }
        }

        impl Deserializer<'_, $number> for BigEndian {
            fn deserialize(
                &self,
                _: &DeserializeContext<'_>,
                data: Option<&[u8]>,
            ) -> Result<$number, DeserializeError> {
                let data = data.ok_or(DeserializeError::UnexpectedNull)?;
                let bytes = data.try_into().map_err(|_| DeserializeError::WrongLength {
                    expected: size_of::<$number>(),
                    actual: data.len(),
                })?;
                Ok(<$number>::from_be_bytes(bytes))
            }
        }
    )+};
}

big_endian!(i16, i32, i64, f32, f64);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// The bytes were written by Java's serializers of Kafka 4.3.1.
    #[test]
    fn numbers_are_the_bytes_that_java_writes() {
        fn check<T: PartialEq + Debug>(value: T, java: &[u8])
        where
            BigEndian: Serializer<T> + for<'a> Deserializer<'a, T>,
        {
            let mut out = Vec::new();
            assert_eq!(
                BigEndian.serialize(&SerializeContext::value("t"), &value, &mut out).unwrap(),
                Presence::Present
            );
            assert_eq!(out, java);
            assert_eq!(BigEndian.deserialize(&DeserializeContext::value("t"), Some(java)).unwrap(), value);
        }
        check(-2_i16, &[0xff, 0xfe]);
        check(i16::MAX, &[0x7f, 0xff]);
        check(0x0102_0304_i32, &[1, 2, 3, 4]);
        check(i32::MIN, &[0x80, 0, 0, 0]);
        check(-3_i64, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd]);
        check(1.5_f32, &[0x3f, 0xc0, 0, 0]);
        check(-0.1_f64, &[0xbf, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]);
    }

    #[test]
    fn another_size_is_an_error_that_tells_both() {
        let read: Result<i64, _> = BigEndian.deserialize(&DeserializeContext::key("t"), Some(&[0; 4]));
        assert_eq!(read.unwrap_err().to_string(), "has 4 bytes, where 8 are required");
        let null: Result<i64, _> = BigEndian.deserialize(&DeserializeContext::key("t"), None);
        assert!(matches!(null, Err(DeserializeError::UnexpectedNull)));
    }
}
