use crate::{
    DeserializeContext, DeserializeError, Deserializer, Presence, SerializeContext, SerializeError,
    Serializer,
};

/// A UUID as its text of 36 characters. Java: `UUIDSerializer`, `UUIDDeserializer`.
///
/// The value is the 16 bytes in network order, which is what every UUID library gives and takes
/// (with the uuid crate: `as_bytes`, `from_bytes`). Written in lower case, read in either; the
/// shortened groups that Java's `UUID.fromString` lets through are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UuidText;

const TEXT_LEN: usize = 36;

/// Whether a hyphen follows this byte of the UUID: 8-4-4-4-12 characters are 4-2-2-2-6 bytes.
fn ends_group(byte: usize) -> bool {
    matches!(byte, 3 | 5 | 7 | 9)
}

impl Serializer<[u8; 16]> for UuidText {
    fn serialize(
        &self,
        _: &SerializeContext<'_>,
        uuid: &[u8; 16],
        out: &mut Vec<u8>,
    ) -> Result<Presence, SerializeError> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        out.reserve(TEXT_LEN);
        for (index, byte) in uuid.iter().enumerate() {
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 0xf)]);
            if ends_group(index) {
                out.push(b'-');
            }
        }
        Ok(Presence::Present)
    }
}

impl Deserializer<'_, [u8; 16]> for UuidText {
    fn deserialize(
        &self,
        _: &DeserializeContext<'_>,
        data: Option<&[u8]>,
    ) -> Result<[u8; 16], DeserializeError> {
        parse(data.ok_or(DeserializeError::UnexpectedNull)?).ok_or(DeserializeError::InvalidUuid)
    }
}

fn digit(characters: &mut impl Iterator<Item = u8>) -> Option<u32> {
    char::from(characters.next()?).to_digit(16)
}

fn parse(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut characters = text.iter().copied();
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let high = digit(&mut characters)?;
        let low = digit(&mut characters)?;
        *byte = ((high << 4) | low) as u8;
        if ends_group(index) && characters.next() != Some(b'-') {
            return None;
        }
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] =
        [0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x0f];
    const TEXT: &str = "123e4567-e89b-12d3-a456-42661417400f";

    fn read(text: &str) -> Result<[u8; 16], DeserializeError> {
        UuidText.deserialize(&DeserializeContext::key("t"), Some(text.as_bytes()))
    }

    #[test]
    fn a_uuid_is_the_text_that_java_writes() {
        let mut out = Vec::new();
        assert_eq!(
            UuidText.serialize(&SerializeContext::key("t"), &UUID, &mut out).unwrap(),
            Presence::Present
        );
        assert_eq!(out, TEXT.as_bytes());
        assert_eq!(read(TEXT).unwrap(), UUID);
        assert_eq!(read(&TEXT.to_uppercase()).unwrap(), UUID);
    }

    #[test]
    fn what_is_no_uuid_is_an_error() {
        let wrong = [
            "",
            "1-1-1-1-1",
            "123e4567-e89b-12d3-a456-42661417400",
            "123e4567-e89b-12d3-a456-42661417400ff",
            "123e4567-e89b-12d3-a456-42661417400g",
            "123e4567e89b-12d3-a456-4266-1417400f",
            "123e4567-e89b-12d3-a456-4266141740é",
        ];
        for text in wrong {
            assert!(matches!(read(text), Err(DeserializeError::InvalidUuid)), "{text}");
        }
        let null = UuidText.deserialize(&DeserializeContext::key("t"), None);
        assert!(matches!(null, Err(DeserializeError::UnexpectedNull)));
    }
}
