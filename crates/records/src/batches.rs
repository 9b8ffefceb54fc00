use crate::codec::Scratch;
use crate::crc;
use crate::error::RecordsError;
use crate::header::{ATTRIBUTES_AT, BATCH_HEADER_LEN, BatchHeader, LOG_OVERHEAD, MAGIC_AT};
use crate::legacy::{self, LEGACY_LEN_MIN};
use crate::record::RecordSection;
use bytes::{Buf, Bytes};

/// Walks the batches of what a broker sent for one partition, or of a part of a log, without copying.
///
/// A fetch may cut the last batch off; that ends the walk, and [`remainder`](Self::remainder) tells what is left. After
/// an error there is nothing more: where the next batch starts is not known.
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
    failed: bool,
}

/// A batch that is cut off at the end of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete {
    /// How many bytes of it are there.
    pub available: usize,
    /// How many bytes it has, header included, if enough is there to tell.
    pub needed: Option<usize>,
}

impl Batches {
    /// The batches in `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, failed: false }
    }

    /// What is left after the last complete batch, if anything, once the walk has ended without an error.
    pub fn remainder(&self) -> Option<Incomplete> {
        if self.rest.is_empty() || self.failed {
            return None;
        }
        Some(Incomplete {
            available: self.rest.len(),
            needed: encoded_len(&self.rest).map(|len| len as usize),
        })
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, RecordsError> {
        let Some(len) = encoded_len(&self.rest) else { return Ok(None) };
        let base_offset =
            i64::from_be_bytes(*self.rest.first_chunk().expect("the length comes after the offset"));
        let invalid = |field, value: i64| RecordsError::InvalidHeader { base_offset, field, value };
        let magic = self.rest.get(MAGIC_AT).copied();
        let len_min = match magic {
            Some(0 | 1) | None => LEGACY_LEN_MIN,
            Some(2) => BATCH_HEADER_LEN,
            Some(magic) => return Err(invalid("magic", i64::from(magic))),
        };
        if len < len_min as i64 {
            return Err(invalid("batch length", len - LOG_OVERHEAD as i64));
        }
        if len > self.rest.len() as i64 {
            return Ok(None);
        }
        let bytes = self.rest.slice(..len as usize);
        let header = match bytes.first_chunk() {
            Some(header) if magic == Some(2) => BatchHeader::parse(header)?,
            _ => legacy::parse_header(&bytes)?,
        };
        self.rest.advance(bytes.len());
        Ok(Some(Batch { header, bytes }))
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_batch().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// The length of the batch at the start of `bytes`, as its length field says; `None` when that is cut off.
fn encoded_len(bytes: &[u8]) -> Option<i64> {
    let length = bytes.get(8..)?.first_chunk()?;
    Some(LOG_OVERHEAD as i64 + i64::from(i32::from_be_bytes(*length)))
}

/// One batch, with its header read and its records still as they came.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    /// The whole batch.
    bytes: Bytes,
}

impl Batch {
    /// Its header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All its bytes, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Checks its bytes against its checksum.
    ///
    /// # Errors
    /// [`RecordsError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), RecordsError> {
        let computed = match self.header.magic {
            2 => crc::crc32c(&self.bytes[ATTRIBUTES_AT..]),
            _ => crc::crc32(&self.bytes[MAGIC_AT..]),
        };
        match self.header.crc {
            stored if stored == computed => Ok(()),
            stored => {
                Err(RecordsError::CrcMismatch { base_offset: self.header.base_offset, stored, computed })
            }
        }
    }

    /// Its records: a slice of the batch if it is not compressed; otherwise decompressed into `buffer`, which is taken
    /// (an empty one stays) and can be had back with [`RecordSection::into_buffer`].
    ///
    /// # Errors
    /// [`RecordsError::Codec`] when the records do not decompress, or to more than the limit of `scratch`;
    /// [`RecordsError::UnknownCompression`].
    pub fn decompress(
        &self,
        scratch: &mut Scratch,
        buffer: &mut Vec<u8>,
    ) -> Result<RecordSection, RecordsError> {
        match self.header.magic {
            2 => RecordSection::decompressed(
                &self.header,
                self.bytes.slice(BATCH_HEADER_LEN..),
                scratch,
                buffer,
            ),
            _ => legacy::section(&self.header, self.bytes.clone(), scratch, buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchEncoder, Codec, ProducerStamp, RecordParts};

    fn batch(base_offset: i64) -> Bytes {
        let mut encoder = BatchEncoder::new(BatchHeader::new(base_offset, &ProducerStamp::NONE));
        encoder.append(base_offset, &RecordParts::default()).unwrap();
        encoder.finish(&Codec::NONE, &mut Scratch::new()).unwrap()
    }

    #[test]
    fn a_cut_batch_ends_the_walk_and_tells_how_long_it_is() {
        let (first, second) = (batch(0), batch(1));
        for cut in 0..second.len() {
            let mut batches = Batches::new([&first[..], &second[..cut]].concat().into());
            assert_eq!(batches.next().unwrap().unwrap().bytes(), &first);
            assert!(batches.next().is_none());
            let needed = (cut >= 12).then_some(second.len());
            let rest = (cut > 0).then_some(Incomplete { available: cut, needed });
            assert_eq!(batches.remainder(), rest);
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut damaged = batch(1).to_vec();
        damaged[MAGIC_AT] = 9;
        let mut batches = Batches::new([&batch(0)[..], &damaged, &batch(2)].concat().into());
        assert!(batches.next().unwrap().is_ok());
        assert!(batches.next().unwrap().is_err());
        assert!(batches.next().is_none());
        assert_eq!(batches.remainder(), None);
    }

    #[test]
    fn a_damaged_byte_fails_the_checksum_and_what_the_broker_sets_does_not() {
        let good = batch(5);
        let fails = |at: usize| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            let batch = Batches::new(bytes.into()).next().unwrap().unwrap();
            batch.verify_crc().is_err()
        };
        // The base offset and the leader epoch are the broker's.
        assert!((0..8).chain(12..16).all(|at| !fails(at)));
        assert!((17..23).chain(27..good.len()).all(fails));
    }
}
