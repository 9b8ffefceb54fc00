//! Logs and batches for the tests of this module.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use milena_records::{
    BATCH_HEADER_LEN, Batch, BatchBuilder, BatchHeader, Batches, Codec, ProducerStamp, RecordParts, Scratch,
};

use super::PartitionLog;
use crate::config::TopicConfig;
use crate::rng::Rng;

/// When everything here happens.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// An empty log with a leader.
pub(crate) fn log_with(config: TopicConfig) -> PartitionLog {
    let mut log = PartitionLog::new(Arc::new(config), Rng::from_seed(1), NOW);
    log.begin_leader_epoch(0);
    log
}

/// With Kafka's defaults.
pub(crate) fn log() -> PartitionLog {
    log_with(TopicConfig::defaults())
}

type TestRecord = (i64, Option<&'static [u8]>, &'static [u8]);

/// Builds batches as a producer does.
pub(crate) struct TestBatch {
    /// Timestamp, key, value.
    pub(crate) records: Vec<TestRecord>,
    pub(crate) codec: Codec,
    pub(crate) stamp: ProducerStamp,
}

impl TestBatch {
    /// Records without keys, one for each timestamp.
    pub(crate) fn at(timestamps_ms: &[i64]) -> Self {
        let records = timestamps_ms.iter().map(|timestamp| (*timestamp, None, &b"value"[..])).collect();
        Self { records, codec: Codec::NONE, stamp: ProducerStamp::NONE }
    }

    pub(crate) fn by(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        self.stamp = ProducerStamp { producer_id, producer_epoch, base_sequence, is_transactional: false };
        self
    }

    /// Part of a transaction.
    pub(crate) fn in_transaction(mut self) -> Self {
        self.stamp.is_transactional = true;
        self
    }

    pub(crate) fn compressed(mut self, codec: impl Into<Codec>) -> Self {
        self.codec = codec.into();
        self
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
        for &(timestamp, key, value) in &self.records {
            let record = RecordParts { timestamp, key, value: Some(value), headers: &[] };
            builder.try_append(&record).expect("there is no limit");
        }
        let sealed = builder.seal(&self.codec, &mut Scratch::new()).expect("compresses");
        let mut bytes = BytesMut::from(&sealed.header(&self.stamp)[..]);
        bytes.extend_from_slice(sealed.section());
        bytes.freeze()
    }

    pub(crate) fn batch(&self) -> Batch {
        first_batch(self.bytes())
    }
}

pub(crate) fn first_batch(bytes: Bytes) -> Batch {
    Batches::new(bytes).next().expect("there is a batch").expect("it is well-formed")
}

/// The batch with its header changed and its checksum made right again.
pub(crate) fn with_header(bytes: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header =
        BatchHeader::parse(bytes.first_chunk().expect("a whole header")).expect("a valid header");
    change(&mut header);
    let section = &bytes[BATCH_HEADER_LEN..];
    header.crc = crc32c::crc32c_append(crc32c::crc32c(&header.to_bytes()[21..]), section);
    let mut changed = BytesMut::from(&header.to_bytes()[..]);
    changed.extend_from_slice(section);
    changed.freeze()
}
