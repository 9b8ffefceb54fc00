//! The traits of everything that is on the wire.

use std::fmt::Debug;

use super::{Decoder, Encoder};
use crate::{ApiKey, ByteStr, DecodeError, EncodeError, Uuid, VersionRange};

/// A value that is part of messages: a struct, or an element of an array.
///
/// The version is that of the message around it. Use [`Message`] to write or read a whole message.
pub trait Wire: Sized {
    /// The fewest bytes that a value takes.
    const MIN_LEN: usize = 1;

    /// Appends the value.
    ///
    /// # Errors
    /// When this version of the message cannot carry the value.
    fn write(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Takes a value off the front.
    ///
    /// # Errors
    /// When the bytes left are no such value.
    fn read(input: &mut Decoder, version: i16) -> Result<Self, DecodeError>;
}

/// A message of the protocol, without its header.
pub trait Message: Wire + Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// Kafka's name.
    const NAME: &'static str;
    /// All versions that can be written and read, including one that may still change.
    const VERSIONS: VersionRange;
    /// The first version that is written compactly, with tagged fields (KIP-482).
    const FLEXIBLE_SINCE: Option<i16>;

    /// Appends the message in a version.
    ///
    /// # Errors
    /// When there is no such version, or when it cannot carry a field that is set and that Kafka does not declare
    /// ignorable.
    fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError> {
        out.begin::<Self>(version)?;
        self.write(out, version)
    }

    /// Takes a message of a version off the front; bytes behind it are left (see [`Decoder::finish`]).
    ///
    /// # Errors
    /// When there is no such version, or when the bytes are not such a message.
    fn decode(input: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
        input.begin::<Self>(version)?;
        Self::read(input, version)
    }
}

/// A request, which knows its key and its answer.
pub trait Request: Message {
    /// The API that is asked.
    const KEY: ApiKey;
    /// What is answered.
    type Response: Message;
}

macro_rules! number {
    ($type:ident) => {
        impl Wire for $type {
            const MIN_LEN: usize = size_of::<$type>();

            fn write(&self, out: &mut Encoder, _version: i16) -> Result<(), EncodeError> {
                out.$type(*self);
                Ok(())
            }

            fn read(input: &mut Decoder, _version: i16) -> Result<Self, DecodeError> {
                input.$type("element")
            }
        }
    };
}

number!(i8);
number!(i16);
number!(i32);
number!(i64);

impl Wire for Uuid {
    const MIN_LEN: usize = 16;

    fn write(&self, out: &mut Encoder, _version: i16) -> Result<(), EncodeError> {
        out.uuid(*self);
        Ok(())
    }

    fn read(input: &mut Decoder, _version: i16) -> Result<Self, DecodeError> {
        input.uuid("element")
    }
}

impl Wire for ByteStr {
    fn write(&self, out: &mut Encoder, _version: i16) -> Result<(), EncodeError> {
        out.string("element", self)
    }

    fn read(input: &mut Decoder, _version: i16) -> Result<Self, DecodeError> {
        input.string("element")
    }
}
