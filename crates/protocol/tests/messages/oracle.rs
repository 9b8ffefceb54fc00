//! Another implementation, the kafka-protocol crate, reads and writes the same.

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use milena_protocol::VersionRange;

use crate::generated::fields::MESSAGES;
use crate::generated::oracle::ORACLES;
use crate::golden::golden;
use crate::reflect::{Entry, Random};

/// A message of the other implementation.
pub(crate) struct Oracle {
    versions: VersionRange,
    /// Reads a message that takes all the bytes and writes it again.
    round_trip: fn(Bytes, i16) -> Result<Vec<u8>, String>,
}

impl Oracle {
    pub(crate) const fn of<M: Message + Encodable + Decodable>() -> Oracle {
        Oracle {
            versions: VersionRange { min: M::VERSIONS.min, max: M::VERSIONS.max },
            round_trip: |mut bytes, version| {
                let message = M::decode(&mut bytes, version).map_err(|error| format!("{error:#}"))?;
                if !bytes.is_empty() {
                    return Err(format!("{} bytes are left", bytes.len()));
                }
                let mut written = Vec::new();
                message.encode(&mut written, version).map_err(|error| format!("{error:#}"))?;
                Ok(written)
            },
        }
    }
}

/// How many messages with random content are tried for each version.
const RANDOM_MESSAGES: u64 = 10;

#[test]
fn the_oracle_reads_and_writes_what_we_write_at_every_version_that_both_know() {
    for (entry, oracle) in pairs() {
        let both = entry.versions.intersect(oracle.versions).expect(entry.name);
        for version in both.min..=both.max {
            for seed in 0..RANDOM_MESSAGES {
                let place = format!("{} version {version} seed {seed}", entry.name);
                let mut message = entry.random(&mut Random(seed), version);
                let bytes = message.encode(version).expect(&place);
                assert_eq!((oracle.round_trip)(bytes.clone(), version).expect(&place), bytes, "{place}");
                let mut decoded = (entry.decode)(bytes, version).expect(&place);
                assert_eq!(decoded.json(version), message.json(version), "{place}");
            }
        }
    }
}

#[test]
fn bytes_that_we_accept_mean_the_same_to_the_oracle() {
    let mut random = Random(25);
    let mut compared = 0;
    for golden in golden() {
        let oracle = ORACLES.iter().find(|(name, _)| *name == golden.message).map(|(_, oracle)| oracle);
        let (Some(entry), Some(oracle)) = (golden.entry(), oracle) else { continue };
        if !oracle.versions.contains(golden.version) || golden.bytes.is_empty() {
            continue;
        }
        for _ in 0..RANDOM_MESSAGES {
            let mut mutated = golden.bytes.to_vec();
            let position = random.below(mutated.len() as u64) as usize;
            mutated[position] = random.next() as u8;
            // What both read, both must write alike. The oracle refuses more: strings that are not UTF-8, and tags
            // that come twice. It is never asked about bytes that we refuse, as it may ask for any memory.
            let Ok(ours) = (entry.decode)(mutated.clone().into(), golden.version) else { continue };
            let Ok(ours) = ours.encode(golden.version) else { continue };
            if let Ok(theirs) = (oracle.round_trip)(mutated.into(), golden.version) {
                assert_eq!(theirs, ours, "{} version {}", entry.name, golden.version);
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} mutations were read by both");
}

#[test]
fn the_oracle_lacks_only_what_is_newer_than_it() {
    let missing: Vec<&str> = MESSAGES
        .iter()
        .map(|entry| entry.name)
        .filter(|name| !ORACLES.iter().any(|(known, _)| known == name))
        .collect();
    assert_eq!(
        missing,
        [
            "ControlRecordTypeSchema",
            "StreamsGroupDescribeRequest",
            "StreamsGroupDescribeResponse",
            "StreamsGroupHeartbeatRequest",
            "StreamsGroupHeartbeatResponse",
        ]
    );
}

fn pairs() -> impl Iterator<Item = (&'static Entry, &'static Oracle)> {
    let oracle = |entry: &'static Entry| ORACLES.iter().find(|(name, _)| *name == entry.name);
    MESSAGES.iter().filter_map(move |entry| oracle(entry).map(|(_, oracle)| (entry, oracle)))
}
