//! Typed keys and values for Kafka records: how a value becomes bytes, and bytes a value again.
//!
//! A [`Serializer`] writes into a buffer that the producer reuses, so that a record costs no
//! allocation; a [`Deserializer`] may borrow from the record, so that reading a `&str` costs none
//! either. Kafka's own formats are here ([`Raw`], [`Utf8`], [`BigEndian`], [`Boolean`], [`UuidText`],
//! [`Void`]), byte for byte those of Java's `org.apache.kafka.common.serialization`, [`Json`] through
//! serde, and [`serializer_fn`] and [`deserializer_fn`] for one of your own that is a closure.
//!
//! ```
//! use milena_serdes::{BigEndian, DeserializeContext, Deserializer, RecordBuffer, Utf8};
//!
//! let mut buffer = RecordBuffer::new();
//! let record = buffer.serialize("orders", (&Utf8, "u42"), (&BigEndian, &7_i32))?;
//! assert_eq!(record.key, Some(&b"u42"[..]));
//! assert_eq!(record.value, Some(&[0, 0, 0, 7][..]));
//!
//! let key: &str = Utf8.deserialize(&DeserializeContext::key("orders"), record.key)?;
//! assert_eq!(key, "u42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Null
//!
//! Kafka knows records without a key and without a value (a tombstone), and null is not the empty
//! string. A plain format demands a value: null is [`DeserializeError::UnexpectedNull`]. Wrapped in
//! [`Nullable`] it is an `Option`, with null as `None` in both directions, as in Java, where every
//! format passes null through.

mod boolean;
mod buffer;
mod context;
mod error;
mod failed;
mod function;
#[cfg(feature = "json")]
mod json;
mod null;
mod number;
mod text;
mod traits;
mod uuid;

pub use boolean::Boolean;
pub use buffer::{RecordBuffer, SerializedRecord};
pub use context::{DeserializeContext, HeaderSource, Part, SerializeContext};
pub use error::{DeserializeError, SerializeError};
pub use failed::{RawRecord, RecordDeserializationError};
pub use function::{DeserializerFn, SerializerFn, deserializer_fn, serializer_fn};
#[cfg(feature = "json")]
pub use json::Json;
pub use null::{Nullable, Void};
pub use number::BigEndian;
pub use text::{Raw, Utf8, Utf8Lossy};
pub use traits::{Deserializer, OwnedDeserializer, Presence, Serializer};
pub use uuid::UuidText;
