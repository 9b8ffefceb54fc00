//! Produce, without looking at what is produced (KIP-482 for flexible versions, KIP-516 for topic ids).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use milena_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ApiKey, ByteStr, Frame, Uuid, encode_response};

use crate::Result;
use crate::connection::Connection;

/// Of a batch, what tells its number of records: base offset, length, leader epoch, magic, CRC, attributes, last offset delta.
const BEFORE_LAST_OFFSET_DELTA: usize = 23;
const LAST_OFFSET_DELTA_LEN: usize = 4;

/// A topic and a partition of it.
type Log = (ByteStr, Uuid, i32);

/// Where each log ends.
#[derive(Default)]
pub(crate) struct Ends(Mutex<HashMap<Log, i64>>);

impl Ends {
    /// Adds so many records and gives the offset of the first.
    fn append(&self, log: Log, count: i64) -> i64 {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ends.entry(log).or_default();
        *end += count;
        *end - count
    }
}

/// A request that is being read, and how many of its bytes are left.
struct Body<'a> {
    connection: &'a mut Connection,
    left: usize,
    flexible: bool,
}

/// Reads the `left` bytes of a request behind its API key; `None` if it wants no answer.
pub(crate) fn answer(ends: &Ends, connection: &mut Connection, left: usize) -> Result<Option<Frame>> {
    let mut body = Body { connection, left, flexible: false };
    let version = body.i16()?;
    let correlation_id = body.i32()?;
    body.skip_string()?;
    body.flexible = ApiKey::Produce.is_flexible(version);
    body.skip_tagged_fields()?;

    body.skip_string()?; // transactional id
    let acks = body.i16()?;
    body.i32()?; // timeout
    let mut response = ProduceResponse::default();
    for _ in 0..body.len()? {
        response.responses.push(body.topic(ends, version)?);
    }
    body.skip_tagged_fields()?;
    body.skip(body.left)?;
    match acks {
        0 => Ok(None),
        _ => Ok(Some(encode_response::<ProduceRequest>(correlation_id, version, &response)?)),
    }
}

impl Body<'_> {
    fn topic(&mut self, ends: &Ends, version: i16) -> Result<TopicProduceResponse> {
        let mut topic = TopicProduceResponse::default();
        if version >= 13 {
            topic.topic_id = Uuid(self.take()?);
        } else {
            topic.name = self.string()?;
        }
        for _ in 0..self.len()? {
            let index = self.i32()?;
            let count = self.records()?;
            self.skip_tagged_fields()?;
            let base_offset = ends.append((topic.name.clone(), topic.topic_id, index), count);
            topic.partition_responses.push(PartitionProduceResponse {
                index,
                base_offset,
                log_append_time_ms: -1,
                log_start_offset: 0,
                ..Default::default()
            });
        }
        self.skip_tagged_fields()?;
        Ok(topic)
    }

    /// Passes over a partition's batch and gives its number of records.
    fn records(&mut self) -> Result<i64> {
        let len = match self.flexible {
            true => (self.varint()? as usize).saturating_sub(1),
            false => usize::try_from(self.i32()?).unwrap_or(0),
        };
        let head = BEFORE_LAST_OFFSET_DELTA + LAST_OFFSET_DELTA_LEN;
        if len < head {
            self.skip(len)?;
            return Ok(0);
        }
        self.skip(BEFORE_LAST_OFFSET_DELTA)?;
        let last_offset_delta = self.i32()?;
        self.skip(len - head)?;
        Ok(i64::from(last_offset_delta) + 1)
    }

    /// How long an array is.
    fn len(&mut self) -> Result<usize> {
        Ok(match self.flexible {
            true => (self.varint()? as usize).saturating_sub(1),
            false => usize::try_from(self.i32()?).unwrap_or(0),
        })
    }

    /// How long a string is; null is as empty.
    fn string_len(&mut self) -> Result<usize> {
        Ok(match self.flexible {
            true => (self.varint()? as usize).saturating_sub(1),
            false => usize::try_from(self.i16()?).unwrap_or(0),
        })
    }

    fn string(&mut self) -> Result<ByteStr> {
        let len = self.string_len()?;
        let mut bytes = Vec::new();
        for _ in 0..len {
            bytes.extend(self.take::<1>()?);
        }
        Ok(String::from_utf8(bytes)?.into())
    }

    fn skip_string(&mut self) -> Result<()> {
        let len = self.string_len()?;
        self.skip(len)
    }

    fn skip_tagged_fields(&mut self) -> Result<()> {
        let count = if self.flexible { self.varint()? } else { 0 };
        for _ in 0..count {
            self.varint()?;
            let len = self.varint()? as usize;
            self.skip(len)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a varint of more than 5 bytes".into())
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.left = self.left.checked_sub(N).ok_or("a request that is cut short")?;
        Ok(self.connection.take()?)
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.left = self.left.checked_sub(len).ok_or("a request that is cut short")?;
        Ok(self.connection.skip(len)?)
    }
}
