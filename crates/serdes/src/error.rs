use std::error::Error;
use std::fmt;
use std::str::Utf8Error;

/// A value that has no form in the format chosen.
///
/// Nothing was sent; the same value fails again, so it is not worth a retry.
pub struct SerializeError(Box<dyn Error + Send + Sync>);

impl SerializeError {
    /// From a message or from the error of whatever does the encoding.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// The error given to [`new`](Self::new), for downcasting.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SerializeError").field(&self.0).finish()
    }
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SerializeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Bytes that are not what the format chosen writes.
///
/// The same bytes fail again: what helps is to go past the record, or another format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeserializeError {
    /// Null, where the type has no null.
    #[error("is null, where a value is required; wrap the format in Nullable to read an Option")]
    UnexpectedNull,
    /// A value, where only null is possible (Java's `VoidDeserializer`).
    #[error("has {len} bytes, where only null is possible")]
    UnexpectedValue {
        /// Number of bytes found.
        len: usize,
    },
    /// A number of another size.
    #[error("has {actual} bytes, where {expected} are required")]
    WrongLength {
        /// Size of the type in bytes.
        expected: usize,
        /// Number of bytes found.
        actual: usize,
    },
    /// Text that is not UTF-8.
    #[error("is not UTF-8: {0}")]
    InvalidUtf8(Utf8Error),
    /// A byte that is neither 0 nor 1.
    #[error("is the byte {0}, where a boolean is 0 or 1")]
    InvalidBoolean(u8),
    /// Text that is not a UUID in the form 8-4-4-4-12.
    #[error("is not a UUID of 36 characters in the form 8-4-4-4-12")]
    InvalidUuid,
    /// Anything else: what the JSON parser or your own format says.
    #[error(transparent)]
    Custom(Box<dyn Error + Send + Sync>),
}

impl DeserializeError {
    /// [`Custom`](Self::Custom), from a message or from the error of whatever does the decoding.
    pub fn custom(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Custom(cause.into())
    }
}
