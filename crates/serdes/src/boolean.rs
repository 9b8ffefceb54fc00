use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// One byte, 1 or 0. Java: `BooleanSerializer`, `BooleanDeserializer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boolean;

impl Serializer<bool> for Boolean {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        value: &bool,
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        out.push(u8::from(*value));
        Ok(Presence::Present)
    }
}

impl Deserializer<'_, bool> for Boolean {
    fn deserialize(&self, _: &DeserializeContext<'_>, data: Option<&[u8]>) -> Result<bool, DeserializeError> {
        match data {
            Some([0]) => Ok(false),
            Some([1]) => Ok(true),
            Some(&[other]) => Err(DeserializeError::InvalidBoolean(other)),
            Some(data) => Err(DeserializeError::WrongLength { expected: 1, actual: data.len() }),
            None => Err(DeserializeError::UnexpectedNull),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boolean_is_the_byte_one_or_zero_and_no_other() {
        let mut out = Vec::new();
        for value in [true, false] {
            assert_eq!(
                Boolean.serialize(&SerializeContext::value("t"), &value, &mut out).unwrap(),
                Presence::Present
            );
        }
        assert_eq!(out, [1, 0]);

        let read = |data| Boolean.deserialize(&DeserializeContext::value("t"), data);
        assert!(read(Some(&[1])).unwrap());
        assert!(!read(Some(&[0])).unwrap());
        assert!(matches!(read(Some(&[2])), Err(DeserializeError::InvalidBoolean(2))));
        assert!(matches!(read(Some(&[])), Err(DeserializeError::WrongLength { expected: 1, actual: 0 })));
        assert!(matches!(read(None), Err(DeserializeError::UnexpectedNull)));
    }
}
