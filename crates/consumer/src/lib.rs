//! Reads records from Kafka: partitions that the application assigns and positions itself.
//!
//! A newcomer reads [`Consumer`], which is the application's side, then the pure `core`, which decides everything (one
//! [`Consumer`] is one `core::Subscription` behind a lock), then the tasks that carry out what it decides: `fetch` (a loop per
//! broker), `decode` (checksums and decompression), `manager` (which loops there are, and questions to leaders).

mod batch;
mod config;
mod consumer;
mod core;
mod decode;
mod error;
mod fetch;
mod manager;
mod offsets;
mod panics;
mod polled;
mod pool;
mod record;
mod shared;
#[cfg(test)]
mod testing;

pub use batch::{RecordBatch, Records};
pub use config::{ConsumerConfig, InvalidConfig, IsolationLevel, ParseIsolationLevelError};
pub use consumer::{CloseHandle, Consumer, OffsetAndTimestamp, RecordStream};
pub use core::{OffsetReset, ParseOffsetResetError, Position};
pub use error::{NotAssigned, OffsetsError, RecvError, SeekError};
pub use polled::PolledRecords;
pub use record::Record;

pub use milena_client::{TopicMetadata, TopicPartition};
pub use milena_records::{HeaderSlice, Headers, RecordRef, TimestampType};
