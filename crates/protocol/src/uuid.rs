//! Kafka's UUIDs: topic ids, member ids, directory ids.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// 16 bytes that name a topic, a directory or a client instance.
///
/// Printed and read in Kafka's form: URL-safe base64 without padding, 22 characters (`org.apache.kafka.common.Uuid`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

/// A text that is not a [`Uuid`] in Kafka's form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a UUID in Kafka's form: 22 characters of URL-safe base64 are expected")]
pub struct ParseUuidError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of the text form: 128 bits in groups of 6.
const TEXT_LEN: usize = 22;

impl Uuid {
    /// All zero: no id is known, or none is set.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Whether all bytes are zero.
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT_LEN];
        for (index, character) in text.iter_mut().enumerate() {
            // The last group has only 2 of its 6 bits; the rest is zero.
            let group = if index == TEXT_LEN - 1 { bits << 4 } else { bits >> (122 - 6 * index) };
            *character = ALPHABET[(group & 0x3f) as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let text = text.strip_suffix("==").unwrap_or(text).as_bytes();
        if text.len() != TEXT_LEN {
            return Err(ParseUuidError);
        }
        let mut bits = 0u128;
        for (index, character) in text.iter().enumerate() {
            let group = ALPHABET.iter().position(|known| known == character).ok_or(ParseUuidError)? as u128;
            bits = if index == TEXT_LEN - 1 { bits << 2 | group >> 4 } else { bits << 6 | group };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}

impl From<[u8; 16]> for Uuid {
    fn from(bytes: [u8; 16]) -> Self {
        Uuid(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_form_comes_back(bytes: [u8; 16]) {
            let text = Uuid(bytes).to_string();
            prop_assert_eq!(text.len(), TEXT_LEN);
            prop_assert_eq!(text.parse(), Ok(Uuid(bytes)));
        }
    }

    #[test]
    fn the_text_form_is_that_of_java() {
        let counting = Uuid(std::array::from_fn(|index| index as u8));
        assert_eq!(counting.to_string(), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAA==".parse(), Ok(Uuid::ZERO));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAA+AAAAAAAAAAA", "éAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
    }
}
