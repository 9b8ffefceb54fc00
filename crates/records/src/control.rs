use crate::batches::Batch;
use crate::codec::Scratch;
use crate::error::RecordsError;
use crate::header::{Attributes, BatchHeader};
use crate::record::RecordRef;
use crate::sealed::ProducerStamp;
use crate::{BatchEncoder, Codec, RecordParts};
use bytes::Bytes;

/// What the record of a control batch says (Java: `ControlRecordType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlType {
    /// The producer's transaction is aborted.
    Abort,
    /// The producer's transaction is committed.
    Commit,
    /// A new leader of the metadata quorum.
    LeaderChange,
    /// First record of a metadata snapshot.
    SnapshotHeader,
    /// Last record of a metadata snapshot.
    SnapshotFooter,
    /// The version of KRaft.
    KraftVersion,
    /// The voters of the metadata quorum.
    KraftVoters,
    /// A type of a later Kafka; readers skip it.
    Unknown(i16),
}

impl ControlType {
    /// The number in the record's key.
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// The type with this number.
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            id => Self::Unknown(id),
        }
    }

    /// The type that the key of a control record names; a key of a later version is read like one of this version.
    ///
    /// # Errors
    /// What is wrong, when that is no key of a control record.
    pub fn parse(record: &RecordRef<'_>) -> Result<Self, &'static str> {
        let key = record.key.ok_or("a control record without a key")?;
        match *key {
            [v0, v1, ..] if i16::from_be_bytes([v0, v1]) < 0 => Err("a control record of a negative version"),
            [_, _, t0, t1, ..] => Ok(Self::from_id(i16::from_be_bytes([t0, t1]))),
            _ => Err("a control record's key is shorter than 4 bytes"),
        }
    }
}

impl Batch {
    /// What this control batch says; `None` when it has the application's records, or none at all after compaction.
    ///
    /// # Errors
    /// As [`decompress`](Self::decompress), and [`RecordsError::InvalidRecord`].
    pub fn control_type(&self, scratch: &mut Scratch) -> Result<Option<ControlType>, RecordsError> {
        if !self.header().is_control() {
            return Ok(None);
        }
        let section = self.decompress(scratch, &mut Vec::new())?;
        let Some(record) = section.iter().next() else { return Ok(None) };
        let control_type = ControlType::parse(&record?).map_err(|what| RecordsError::InvalidRecord {
            base_offset: self.header().base_offset,
            index: 0,
            what,
        })?;
        Ok(Some(control_type))
    }
}

/// The end of a producer's transaction in one partition (Java: `EndTransactionMarker`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMarker {
    /// Committed, or aborted.
    pub is_commit: bool,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl TransactionMarker {
    /// The marker in this record of a control batch; `None` when it is another type of control record.
    ///
    /// # Errors
    /// What is wrong, when the record is malformed.
    pub fn parse(record: &RecordRef<'_>) -> Result<Option<Self>, &'static str> {
        let is_commit = match ControlType::parse(record)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return Ok(None),
        };
        match record.value {
            Some(&[v0, v1, ref rest @ ..]) if i16::from_be_bytes([v0, v1]) >= 0 => {
                let epoch = rest.first_chunk().ok_or("a transaction marker is shorter than 6 bytes")?;
                Ok(Some(Self { is_commit, coordinator_epoch: i32::from_be_bytes(*epoch) }))
            }
            Some([_, _, ..]) => Err("a transaction marker of a negative version"),
            _ => Err("a transaction marker is shorter than 6 bytes"),
        }
    }

    /// The control batch that ends the transaction of this producer, at this offset.
    pub fn batch(
        &self,
        base_offset: i64,
        partition_leader_epoch: i32,
        timestamp: i64,
        producer_id: i64,
        producer_epoch: i16,
    ) -> Bytes {
        let control_type = if self.is_commit { ControlType::Commit } else { ControlType::Abort };
        let mut key = [0; 4];
        key[2..].copy_from_slice(&control_type.id().to_be_bytes());
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());

        let stamp =
            ProducerStamp { producer_id, producer_epoch, is_transactional: true, ..ProducerStamp::NONE };
        let mut header = BatchHeader::new(base_offset, &stamp);
        header.partition_leader_epoch = partition_leader_epoch;
        header.attributes |= Attributes::CONTROL;
        let mut encoder = BatchEncoder::new(header);
        let record =
            RecordParts { timestamp, key: Some(&key), value: Some(&value), ..RecordParts::default() };
        encoder.append(base_offset, &record).expect("a marker is far smaller than a batch may be");
        encoder.finish(&Codec::NONE, &mut Scratch::new()).expect("no codec can fail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::NO_HEADERS;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RecordRef<'a> {
        RecordRef { offset: 0, timestamp: 0, key, value, raw_headers: NO_HEADERS }
    }

    #[test]
    fn types_have_kafkas_numbers() {
        for id in -1..10 {
            assert_eq!(ControlType::from_id(id).id(), id);
        }
        let named: Vec<_> = (0..7).map(ControlType::from_id).collect();
        assert_eq!(named[..2], [ControlType::Abort, ControlType::Commit]);
        assert!(named.iter().all(|control| !matches!(control, ControlType::Unknown(_))));
        assert_eq!(ControlType::from_id(7), ControlType::Unknown(7));
    }

    #[test]
    fn later_versions_are_read_like_this_one_and_others_refused() {
        let parse = |key| ControlType::parse(&record(Some(key), None));
        assert_eq!(parse(&[0, 0, 0, 1]), Ok(ControlType::Commit));
        assert_eq!(parse(&[0, 9, 0, 1, 7, 7]), Ok(ControlType::Commit));
        assert_eq!(parse(&[0xff, 0xff, 0, 1]), Err("a control record of a negative version"));
        assert_eq!(parse(&[0, 0, 0]), Err("a control record's key is shorter than 4 bytes"));
        assert_eq!(ControlType::parse(&record(None, None)), Err("a control record without a key"));
    }

    #[test]
    fn a_marker_says_who_wrote_it() {
        let parse = |value| TransactionMarker::parse(&record(Some(&[0, 0, 0, 0]), Some(value)));
        let aborted = TransactionMarker { is_commit: false, coordinator_epoch: 258 };
        assert_eq!(parse(&[0, 0, 0, 0, 1, 2]), Ok(Some(aborted)));
        assert_eq!(parse(&[0, 1, 0, 0, 1, 2, 3]), Ok(Some(aborted)));
        assert_eq!(parse(&[0xff, 0xff, 0, 0, 1, 2]), Err("a transaction marker of a negative version"));
        assert_eq!(parse(&[0, 0, 0, 0, 1]), Err("a transaction marker is shorter than 6 bytes"));
        assert_eq!(parse(&[0]), Err("a transaction marker is shorter than 6 bytes"));
        let leader_change = record(Some(&[0, 0, 0, 2]), None);
        assert_eq!(TransactionMarker::parse(&leader_change), Ok(None));
    }
}
