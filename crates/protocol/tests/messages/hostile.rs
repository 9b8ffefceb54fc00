//! No received bytes panic, or make the decoder allocate much more than was received.

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use milena_protocol::messages::{
    ConsumerProtocolSubscription, HeartbeatRequest, HeartbeatResponse, ListGroupsRequest,
};
use milena_protocol::{
    DecodeProblem, Decoder, Message, decode_api_versions_response, decode_prefixed, decode_request_header,
    decode_response, memory_limit,
};

use crate::generated::fields::MESSAGES;
use crate::golden::golden;
use crate::reflect::{Entry, Random};

/// Memory that does not depend on what is received: the message itself, in a box for these tests.
const MEMORY_BASE: u64 = 4096;

/// Decodes; if that succeeds, encodes. Neither may panic.
fn try_decode(entry: &Entry, bytes: Bytes, version: i16) -> bool {
    let length = bytes.len();
    let mut decoded = None;
    let allocated = measure(|| decoded = Some((entry.decode)(bytes.clone(), version)));
    let limit = MEMORY_BASE + memory_limit(bytes.len()) as u64;
    let peak = allocated.bytes_max;
    assert!(peak <= limit, "{} version {version}: {peak} bytes for {length}: {bytes:02x?}", entry.name);
    match decoded {
        Some(Ok(message)) => {
            let _ = message.encode(version);
            true
        }
        _ => false,
    }
}

/// One message for each interesting version: the oldest, the first flexible one, and the newest.
fn samples() -> Vec<(&'static Entry, i16, Bytes)> {
    let mut samples = Vec::new();
    for golden in golden().into_iter().filter(|golden| golden.is_filled()) {
        let Some(entry) = golden.entry() else { continue };
        let interesting = [Some(entry.versions.min), entry.flexible_since, Some(entry.versions.max)];
        if interesting.contains(&Some(golden.version)) {
            samples.push((entry, golden.version, golden.bytes));
        }
    }
    samples
}

#[test]
fn a_message_cut_short_anywhere_is_refused() {
    for (entry, version, bytes) in samples() {
        for length in 0..bytes.len() {
            let accepted = try_decode(entry, bytes.slice(..length), version);
            assert!(!accepted, "{} version {version} cut to {length} bytes", entry.name);
        }
    }
}

#[test]
fn a_huge_length_anywhere_allocates_no_more_than_was_received() {
    let lengths: [&[u8]; 3] = [
        &[0x7f, 0xff, 0xff, 0xff],       // an array or bytes
        &[0x7f, 0xff],                   // a string
        &[0xff, 0xff, 0xff, 0xff, 0x0f], // a compact length
    ];
    for (entry, version, bytes) in samples() {
        for position in 0..bytes.len() {
            for length in lengths {
                let mut hostile = BytesMut::from(&bytes[..position]);
                hostile.extend_from_slice(length);
                hostile.extend_from_slice(&bytes[bytes.len().min(position + length.len())..]);
                try_decode(entry, hostile.freeze(), version);
            }
        }
    }
}

#[test]
fn an_array_as_long_as_the_bytes_allow_takes_memory_in_proportion() {
    for (entry, version, bytes) in samples() {
        for filler in [0, 1, 2] {
            for position in (0..bytes.len()).step_by(3) {
                // Zeros and ones read as empty strings and arrays: the densest elements that there are.
                let mut hostile = BytesMut::from(&bytes[..position]);
                hostile.extend_from_slice(&[0xd0, 0x0f]);
                hostile.resize(hostile.len() + 2048, filler);
                try_decode(entry, hostile.freeze(), version);
            }
        }
    }
}

#[test]
fn what_swells_in_memory_is_refused_before_it_does() {
    const RECEIVED: usize = 40 << 20;
    // No error, no throttle time, and then nothing but tagged fields of no bytes.
    let mut tagged = BytesMut::zeroed(6);
    tagged.extend_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    tagged.resize(RECEIVED, 0);
    // A list of states: empty strings, of one byte each.
    let mut strings = BytesMut::from(&[0xff, 0xff, 0xff, 0x10][..]);
    strings.resize(RECEIVED, 1);
    refuses("tagged", tagged, |mut input| HeartbeatResponse::decode(&mut input, 4).unwrap_err().problem);
    refuses("strings", strings, |mut input| ListGroupsRequest::decode(&mut input, 5).unwrap_err().problem);
}

/// `decode` ends for want of memory, and has not taken more than it may.
fn refuses(name: &str, bytes: BytesMut, decode: impl Fn(Decoder) -> DecodeProblem) {
    let limit = memory_limit(bytes.len());
    let input = Decoder::new(bytes.freeze());
    let mut problem = None;
    let allocated = measure(|| problem = Some(decode(input)));
    assert_eq!(problem, Some(DecodeProblem::TooMuchMemory { limit }), "{name}");
    let peak = allocated.bytes_max as usize;
    assert!(peak <= limit, "{name}: {peak}");
}

#[test]
fn random_damage_is_survived() {
    let mut random = Random(4);
    for (entry, version, bytes) in samples().into_iter().filter(|(_, _, bytes)| !bytes.is_empty()) {
        for _ in 0..100 {
            let mut damaged = bytes.to_vec();
            for _ in 0..=random.below(4) {
                let position = random.below(damaged.len() as u64) as usize;
                damaged[position] = random.next() as u8;
            }
            try_decode(entry, damaged.into(), version);
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    let mut random = Random(5);
    for entry in MESSAGES {
        for round in 0..100 {
            let version = random.below(entry.versions.max as u64 + 1) as i16;
            // Small values look like plausible lengths and go deeper.
            let limit = if round % 2 == 0 { 256 } else { 4 };
            let bytes: Bytes = (0..random.below(300)).map(|_| random.below(limit) as u8).collect();
            try_decode(entry, bytes, version);
        }
    }
}

#[test]
fn random_frames_are_survived() {
    let mut random = Random(6);
    for round in 0..10_000 {
        let limit = if round % 2 == 0 { 256 } else { 4 };
        let frame: Bytes = (0..random.below(40)).map(|_| random.below(limit) as u8).collect();
        let _ = decode_request_header(frame.clone());
        let _ = decode_response::<HeartbeatRequest>(frame.clone(), 4);
        let _ = decode_api_versions_response(frame.clone(), 4);
        let _ = decode_prefixed::<ConsumerProtocolSubscription>(frame);
    }
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    for entry in MESSAGES {
        for version in [i16::MIN, -1, entry.versions.min - 1, entry.versions.max + 1, i16::MAX] {
            let error = (entry.decode)(Bytes::new(), version).err().expect(entry.name);
            assert_eq!(error.problem, DecodeProblem::UnsupportedVersion, "{} version {version}", entry.name);
            assert_eq!((error.message, error.version), (entry.name, version));
            assert!((entry.default)().encode(version).is_err(), "{} version {version}", entry.name);
        }
    }
}
