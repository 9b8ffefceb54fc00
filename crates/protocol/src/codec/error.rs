//! Why a message cannot be written or read.

use thiserror::Error;

/// A message that cannot be written in the version asked for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("cannot write {message} version {version}: {field}: {problem}")]
pub struct EncodeError {
    /// Kafka's name of the message.
    pub message: &'static str,
    /// The version that was to be written.
    pub version: i16,
    /// The field, in snake case; `-` where it is the message as a whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: EncodeProblem,
}

/// What is wrong with a field that was to be written.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum EncodeProblem {
    /// The message does not have this version.
    #[error("the message has no such version")]
    UnsupportedVersion,
    /// A value is set that this version cannot carry and that must not be dropped silently.
    #[error("set, but this version does not have it")]
    Absent,
    /// Elements that would take more memory than a message of its size may.
    #[error("its elements would take more than the {limit} bytes that a message of this size may")]
    TooMuchMemory {
        /// What they may take.
        limit: usize,
    },
    /// A field is null in a version that does not allow it.
    #[error("null, which this version does not allow")]
    Null,
    /// A string of more than 32767 bytes, or anything else of more than 2147483647.
    #[error("length {length} is more than the protocol can carry")]
    TooLong {
        /// Bytes of a string or a frame, elements of an array.
        length: usize,
    },
    /// Unknown tagged fields that are not in ascending order, or that have the tag of a known field.
    #[error("unknown tagged field {tag} is out of order or has the tag of a known field")]
    TagOrder {
        /// The tag that is out of place.
        tag: u32,
    },
}

/// Received bytes that are not the message that they should be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("cannot read {message} version {version}: {field}: {problem}")]
pub struct DecodeError {
    /// Kafka's name of the message.
    pub message: &'static str,
    /// The version that was to be read.
    pub version: i16,
    /// The field, in snake case; `-` where it is the message as a whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: DecodeProblem,
}

/// What is wrong with a received field.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// The message does not have this version.
    #[error("the message has no such version")]
    UnsupportedVersion,
    /// The request is for an API that is not known, so that not even its header can be read.
    #[error("unknown API key {api_key}")]
    UnknownApiKey {
        /// The number received.
        api_key: i16,
    },
    /// The bytes end before the field does.
    #[error("{needed} bytes are needed and {remaining} are left")]
    TooShort {
        /// Bytes that the field takes at least.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// An array that has more elements than the bytes left can hold.
    #[error("{count} elements do not fit into the {remaining} bytes left")]
    TooMany {
        /// Elements announced.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// Elements that would take more memory than a message of its size may.
    #[error("its elements would take more than the {limit} bytes that a message of this size may")]
    TooMuchMemory {
        /// What they may take.
        limit: usize,
    },
    /// A field is null in a version that does not allow it.
    #[error("null, which this version does not allow")]
    Null,
    /// A string announced to be longer than the protocol allows.
    #[error("string of {length} bytes is longer than the protocol allows")]
    StringTooLong {
        /// Bytes announced.
        length: usize,
    },
    /// A variable-length integer of more than 5 bytes or 32 bits.
    #[error("variable-length integer of more than 32 bits")]
    Varint,
    /// A tag that another version of the message uses and this one does not have.
    #[error("tagged field {tag} does not belong to this version")]
    TagOfOtherVersion {
        /// The tag received.
        tag: u32,
    },
    /// A tagged field that does not take the bytes that it announced.
    #[error("tagged field {tag} leaves {remaining} bytes of what it announced")]
    TagLength {
        /// The tag received.
        tag: u32,
        /// Bytes left over.
        remaining: usize,
    },
    /// Bytes are left behind the message.
    #[error("{remaining} bytes are left behind the message")]
    Trailing {
        /// Bytes left over.
        remaining: usize,
    },
}
