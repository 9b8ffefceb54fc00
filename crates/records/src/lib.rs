//! Kafka's record batches: building, sealing, reading, and the codecs that compress them.
//!
//! The writing side encodes each record once, into the buffer that goes to the socket ([`BatchBuilder`],
//! [`SealedBatch`]); the reading side walks batches and records as slices of what was received ([`Batches`],
//! [`RecordSection`]). A broker or a test makes whole batches with [`BatchEncoder`]. Nothing here knows a runtime, a
//! clock or a socket, and no bytes that are read can make it panic or allocate far ahead of what is really there.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use milena_records::{BatchBuilder, Batches, Codec, ProducerStamp, RecordParts, Scratch};
//!
//! let mut scratch = Scratch::new();
//! let mut builder = BatchBuilder::new(BytesMut::with_capacity(16_384), 16_384);
//! builder.try_append(&RecordParts { timestamp: 0, key: Some(b"u42"), value: Some(b"checkout"), headers: &[] })?;
//! let sealed = builder.seal(&Codec::NONE, &mut scratch)?;
//! let on_the_wire = [&sealed.header(&ProducerStamp::NONE)[..], sealed.section()].concat();
//!
//! for batch in Batches::new(Bytes::from(on_the_wire)) {
//!     let batch = batch?;
//!     batch.verify_crc()?;
//!     for record in &batch.decompress(&mut scratch, &mut Vec::new())? {
//!         assert_eq!(record?.value, Some(&b"checkout"[..]));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! `gzip`, `snappy`, `lz4` and `zstd`, all on by default, are the codecs. All of them are written in Rust.

mod batches;
mod builder;
mod codec;
mod compression;
mod control;
mod crc;
mod encode;
mod encoder;
mod error;
mod header;
mod legacy;
mod record;
mod sealed;
mod varint;

pub use batches::{Batch, Batches, Incomplete};
pub use builder::{BatchBuilder, BatchFull, HeaderRef, RecordParts};
pub use codec::{DECOMPRESSED_BYTES_MAX, Scratch};
pub use compression::{Codec, Compression, InvalidLevel, UnknownCompression};
pub use control::{ControlType, TransactionMarker};
pub use encoder::{BatchEncoder, EncodeError};
pub use error::{CodecError, RecordsError};
pub use header::{
    BATCH_HEADER_LEN, BatchHeader, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, TimestampType, increment_sequence,
};
pub use record::{HeaderSlice, Headers, RecordCursor, RecordIter, RecordRef, RecordSection};
pub use sealed::{ProducerStamp, SealedBatch, SplitBatch};
