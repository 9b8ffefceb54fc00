use std::hint::black_box;

use bytes::Bytes;
use milena_protocol::messages::FetchRequest;
use milena_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use milena_protocol::{decode_response, encode_request};
use milena_records::{Batch, Batches, Scratch};
use peer_common::{Args, FETCH_WAIT, Latencies, Meter, PARTITION_FETCH_BYTES, Result};

use crate::CLIENT;
use crate::socket::Socket;

/// The last version that names topics.
const VERSION: i16 = 12;
const FETCH_BYTES_MAX: i32 = 50 << 20;
/// While one is being read, the other is being answered.
const CONNECTIONS: usize = 2;

/// A connection with its share of the partitions, and a fetch under way.
struct Share<'a> {
    args: &'a Args,
    socket: Socket,
    /// Partitions and their next offsets.
    positions: Vec<(i32, i64)>,
}

/// Records, and bytes in their keys and values.
#[derive(Clone, Copy, Default)]
struct Total {
    records: usize,
    bytes: usize,
}

/// The memory that decompression uses again.
#[derive(Default)]
struct Reader {
    scratch: Scratch,
    buffer: Vec<u8>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut shares = Vec::new();
    for share in 0..CONNECTIONS {
        let partitions = (0..args.partitions).filter(|index| *index as usize % CONNECTIONS == share);
        let positions = partitions.map(|index| (index, 0)).collect();
        shares.push(Share { args, socket: Socket::connect(&args.bootstrap)?, positions });
    }
    for share in &mut shares {
        share.fetch()?;
    }
    let mut reader = Reader::default();
    reader.read(&mut shares, args.warmup)?;
    let meter = Meter::start();
    let total = reader.read(&mut shares, args.records)?;
    meter.report(CLIENT, args, total.records, total.bytes, Latencies::default());
    Ok(())
}

impl Share<'_> {
    /// Asks for what follows the positions.
    fn fetch(&mut self) -> Result<()> {
        let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: PARTITION_FETCH_BYTES as i32,
            ..Default::default()
        };
        let partitions = self.positions.iter().map(partition).collect();
        let request = FetchRequest {
            max_wait_ms: FETCH_WAIT.as_millis() as i32,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            topics: vec![FetchTopic {
                topic: self.args.topic.as_str().into(),
                partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        self.socket.write(&encode_request(0, Some(CLIENT), VERSION, &request)?)
    }

    /// The batches in an answer; the positions are behind them then.
    fn batches(&mut self, answer: Bytes) -> Result<Vec<Batch>> {
        let (_, response) = decode_response::<FetchRequest>(answer, VERSION)?;
        let mut batches = Vec::new();
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let records = partition.records.unwrap_or_default().into_bytes();
            for batch in Batches::new(records) {
                let batch = batch?;
                let next = batch.header().base_offset + i64::from(batch.header().last_offset_delta) + 1;
                let position =
                    self.positions.iter_mut().find(|(index, _)| *index == partition.partition_index);
                position.ok_or("a partition that was not asked for")?.1 = next;
                batches.push(batch);
            }
        }
        Ok(batches)
    }
}

impl Reader {
    /// Reads at least so many records, from one connection after the other.
    fn read(&mut self, shares: &mut [Share<'_>], wanted: usize) -> Result<Total> {
        let mut total = Total::default();
        loop {
            for share in &mut *shares {
                if total.records >= wanted {
                    return Ok(total);
                }
                let answer = share.socket.read()?;
                let batches = share.batches(answer.clone())?;
                // The next fetch is on its way while this one is read.
                share.fetch()?;
                for batch in batches {
                    self.add(&batch, &mut total)?;
                }
                share.socket.give_back(answer);
            }
        }
    }

    fn add(&mut self, batch: &Batch, total: &mut Total) -> Result<()> {
        batch.verify_crc()?;
        let section = batch.decompress(&mut self.scratch, &mut self.buffer)?;
        for record in &section {
            let record = record?;
            total.records += 1;
            total.bytes += black_box(record.key).map_or(0, <[u8]>::len);
            total.bytes += black_box(record.value).map_or(0, <[u8]>::len);
        }
        self.buffer = section.into_buffer().unwrap_or_default();
        Ok(())
    }
}
