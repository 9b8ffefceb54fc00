//! Kafka's record batches: building, sealing, reading, and the codecs that compress them.
//!
//! The writing side encodes each record once, into the buffer that goes to the socket ([`BatchBuilder`],
//! [`SealedBatch`]); the reading side walks batches and records as slices of what was received ([`Batches`],
//! [`RecordSection`]). Nothing here knows a runtime, a clock or a socket, and no bytes that are read can make it panic
//! or allocate far ahead of what is really there.

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
