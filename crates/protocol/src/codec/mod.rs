//! Reading and writing: what the generated messages are made of.

mod decoder;
mod encoder;
mod error;
mod tagged;
mod wire;

pub use decoder::{Decoder, memory_limit};
pub use encoder::Encoder;
pub(crate) use encoder::FRAME_LENGTH_LEN;
pub use error::{DecodeError, DecodeProblem, EncodeError, EncodeProblem};
pub use tagged::UnknownTaggedField;
pub use wire::{Message, Request, Wire};

// What generated code names besides.
pub(crate) use crate::{ApiKey, ByteStr, ErrorCode, Records, Uuid, VersionRange};
pub(crate) use bytes::Bytes;
pub(crate) use std::fmt;

/// Stands in for a secret in `Debug`.
pub(crate) struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests;
