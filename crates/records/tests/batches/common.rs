//! What several tests need.

use bytes::{Bytes, BytesMut};
use milena_records::{BatchBuilder, Codec, RecordParts, Scratch, SealedBatch};
use std::collections::BTreeMap;

/// A batch that Kafka wrote.
pub(crate) struct Golden {
    pub(crate) bytes: Bytes,
    /// How Kafka reads it.
    pub(crate) dump: &'static str,
}

/// The cases of golden/golden.txt by name.
pub(crate) fn golden() -> BTreeMap<&'static str, Golden> {
    let case = |case: &'static str| {
        let (name, rest) = case.split_once('\n').unwrap();
        let (hex, dump) = rest.split_once('\n').unwrap();
        (name, Golden { bytes: from_hex(hex), dump })
    };
    include_str!("../golden/golden.txt").split("== ").skip(1).map(case).collect()
}

fn from_hex(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// All records in one batch.
pub(crate) fn build(records: &[RecordParts<'_>], codec: &Codec, scratch: &mut Scratch) -> SealedBatch {
    let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(builder.try_append(record), Ok(index as u32));
    }
    builder.seal(codec, scratch).unwrap()
}
