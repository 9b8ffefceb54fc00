use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use milena_producer::partitioner::KeyHash;
use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ErrorCode, Frame, Records, decode_response, encode_request};
use milena_records::{
    BatchBuilder, Codec, Compression, HeaderRef, ProducerStamp, RecordParts, Scratch, SealedBatch,
};
use peer_common::{Args, Event, Latencies, Meter, Result, pool};

use crate::CLIENT;
use crate::socket::Socket;

/// The last version that names topics.
pub(crate) const VERSION: i16 = 12;
/// Records between two looks at the clock.
const CLOCK_EVERY: usize = 256;

struct Floor<'a> {
    args: &'a Args,
    socket: Socket,
    scratch: Scratch,
    codec: Codec,
    open: Vec<BatchBuilder>,
    sealed: Vec<VecDeque<SealedBatch>>,
    sealed_count: usize,
    sequences: Vec<i32>,
    buffers: Vec<BytesMut>,
    in_flight: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let pool = pool(args.size, args.headers);
    let compression: Compression = args.compression.parse()?;
    let partitions = args.partitions as usize;
    let mut floor = Floor {
        args,
        socket: Socket::connect(&args.bootstrap)?,
        scratch: Scratch::new(),
        codec: Codec::new(compression),
        open: (0..partitions).map(|_| BatchBuilder::new(buffer(args), args.batch_bytes)).collect(),
        sealed: vec![VecDeque::new(); partitions],
        sealed_count: 0,
        sequences: vec![0; partitions],
        buffers: Vec::new(),
        in_flight: 0,
    };
    floor.send(&pool, 0, args.warmup)?;
    let meter = Meter::start();
    floor.send(&pool, args.warmup, args.warmup + args.records)?;
    meter.report(CLIENT, args, args.records, args.bytes_of(args.records), Latencies::default());
    Ok(())
}

impl Floor<'_> {
    /// Sends the records from one number to another, and reads all acknowledgements.
    fn send(&mut self, pool: &[Event], from: usize, to: usize) -> Result<()> {
        let mut timestamp = now_ms();
        for number in from..to {
            if number % CLOCK_EVERY == 0 {
                timestamp = now_ms();
            }
            let event = &pool[number % pool.len()];
            let partition = KeyHash::Murmur2.partition(event.key.as_bytes(), self.args.partitions) as usize;
            let headers = self.args.headers.then(|| headers(event));
            let record = parts(event, timestamp, headers.as_ref().map_or(&[], |headers| headers));
            if self.open[partition].try_append(&record).is_err() {
                self.seal(partition)?;
                self.open[partition].try_append(&record)?;
            }
        }
        for partition in 0..self.open.len() {
            if !self.open[partition].is_empty() {
                self.seal(partition)?;
            }
        }
        while self.sealed_count > 0 {
            self.write()?;
        }
        while self.in_flight > 0 {
            self.acknowledge()?;
        }
        Ok(())
    }

    fn seal(&mut self, partition: usize) -> Result<()> {
        let buffer = self.buffers.pop().unwrap_or_else(|| buffer(self.args));
        let next = BatchBuilder::new(buffer, self.args.batch_bytes);
        let full = std::mem::replace(&mut self.open[partition], next);
        self.sealed[partition].push_back(full.seal(&self.codec, &mut self.scratch)?);
        self.sealed_count += 1;
        // About as many as partitions: a few hundred KB in one write.
        if self.sealed_count >= self.open.len() { self.write() } else { Ok(()) }
    }

    /// Writes one batch of each partition that has one.
    fn write(&mut self) -> Result<()> {
        if self.in_flight == self.args.inflight {
            self.acknowledge()?;
        }
        let mut batches = Vec::new();
        let mut data = Vec::new();
        for (index, queue) in self.sealed.iter_mut().enumerate() {
            let Some(batch) = queue.pop_front() else { continue };
            let base_sequence = self.sequences[index];
            // As the null broker would give it.
            let stamp = ProducerStamp {
                producer_id: 4_242,
                producer_epoch: 0,
                base_sequence,
                is_transactional: false,
            };
            data.push(partition_data(index as i32, &batch, &stamp));
            self.sequences[index] += batch.record_count() as i32;
            batches.push(batch);
        }
        self.sealed_count -= batches.len();
        let frame = request(&self.args.topic, data)?;
        self.socket.write(&frame)?;
        drop(frame);
        self.buffers.extend(batches.into_iter().filter_map(SealedBatch::recycle));
        self.in_flight += 1;
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<()> {
        let answer = self.socket.read()?;
        check(answer.clone())?;
        self.socket.give_back(answer);
        self.in_flight -= 1;
        Ok(())
    }
}

fn buffer(args: &Args) -> BytesMut {
    BytesMut::with_capacity(args.batch_bytes)
}

/// Those of an event from a pool that has them.
pub(crate) fn headers(event: &Event) -> [HeaderRef<'_>; 5] {
    std::array::from_fn(|index| {
        let (key, value) = &event.headers[index];
        HeaderRef { key, value: Some(value.as_bytes()) }
    })
}

pub(crate) fn parts<'a>(event: &'a Event, timestamp: i64, headers: &'a [HeaderRef<'a>]) -> RecordParts<'a> {
    RecordParts { timestamp, key: Some(event.key.as_bytes()), value: Some(event.value.as_bytes()), headers }
}

pub(crate) fn partition_data(index: i32, batch: &SealedBatch, stamp: &ProducerStamp) -> PartitionProduceData {
    let header = Bytes::copy_from_slice(&batch.header(stamp));
    let records = Records::from_segments([header, batch.section().clone()]);
    PartitionProduceData { index, records: Some(records), ..Default::default() }
}

pub(crate) fn request(topic: &str, partition_data: Vec<PartitionProduceData>) -> Result<Frame> {
    let topic = TopicProduceData { name: topic.into(), partition_data, ..Default::default() };
    let request =
        ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    Ok(encode_request(0, Some(CLIENT), VERSION, &request)?)
}

/// Every partition has to have taken its batch.
pub(crate) fn check(answer: Bytes) -> Result<()> {
    let (_, response): (i32, ProduceResponse) = decode_response::<ProduceRequest>(answer, VERSION)?;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.map(|partition| partition.error_code).find(|error| *error != ErrorCode::None) {
        Some(error) => Err(format!("the broker answers {error:?}").into()),
        None => Ok(()),
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(-1, |since| since.as_millis() as i64)
}
