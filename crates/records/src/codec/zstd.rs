//! Kafka's zstd: one Zstandard frame without a dictionary (KIP-110); several are read.

use super::RecordCodec;
use crate::Compression;
use crate::error::CodecError;
use rust_zstd::{CompressOptions, Compressor, Decompressor};

/// Compressor and decompressor, each made at its first use.
#[derive(Default)]
pub(super) struct Zstd {
    compressor: Option<(i32, Compressor)>,
    decompressor: Option<Decompressor>,
}

impl RecordCodec for Zstd {
    fn compress(&mut self, input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let level = level.unwrap_or(LEVEL_DEFAULT);
        let made = self.compressor.take().filter(|(made_for, _)| *made_for == level);
        let options = || CompressOptions { level, ..CompressOptions::default() };
        let (_, compressor) =
            self.compressor.insert(made.unwrap_or_else(|| (level, Compressor::new(options()))));
        compressor.compress(input, out);
        Ok(())
    }

    fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
        let decompressor = self.decompressor.get_or_insert_with(Decompressor::new);
        match decompressed_bound(input) <= limit {
            true => decompressor.decompress_into(input, out).map_err(corrupt),
            false => decompress_within(decompressor, input, out, limit),
        }
    }
}

/// Decompresses piece by piece, through the decompressor's own window: slower, but it can stop at the limit.
fn decompress_within(
    decompressor: &mut Decompressor,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    decompressor.reset();
    let (mut read, mut written) = (0, 0);
    loop {
        // One byte more than the limit tells that there is more.
        let room = BLOCK_LEN_MAX.min((limit - written).saturating_add(1));
        out.resize(written + room, 0);
        let before = (read, written);
        let hint = decompressor.decompress_stream(input, &mut read, out, &mut written).map_err(corrupt)?;
        out.truncate(written);
        if written > limit {
            return Err(CodecError::LimitExceeded { compression: Compression::Zstd, limit });
        }
        if hint == 0 && read == input.len() {
            return Ok(());
        }
        if (read, written) == before {
            return Err(corrupt("it is cut off"));
        }
    }
}

/// The most that `input` can decompress to, up to where it stops being zstd: the sum of what its blocks' headers allow
/// (RFC 8878, section 3.1.1).
fn decompressed_bound(mut input: &[u8]) -> usize {
    let mut bound = 0usize;
    while let Some(after) = frame(input, &mut bound) {
        input = after;
    }
    bound
}

/// Adds to `bound` what the frame at the start of `input` can decompress to, and returns what follows it; `None` when
/// there is no whole frame.
fn frame<'a>(input: &'a [u8], bound: &mut usize) -> Option<&'a [u8]> {
    let (magic, mut rest) = input.split_first_chunk()?;
    let magic = u32::from_le_bytes(*magic);
    if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC {
        let (len, rest) = rest.split_first_chunk()?;
        return rest.get(u32::from_le_bytes(*len) as usize..);
    }
    if magic != MAGIC {
        return None;
    }
    let descriptor = *rest.first()?;
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    rest = rest.get(1 + window + dictionary_id + content_size..)?;
    loop {
        let (header, after) = rest.split_first_chunk::<3>()?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let size = (header >> 3) as usize;
        let (yielded, len) = match (header >> 1) & 3 {
            0 => (size, size),
            1 => (size, 1),
            2 => (BLOCK_LEN_MAX, size),
            _ => return None,
        };
        *bound = bound.saturating_add(yielded);
        rest = after.get(len..)?;
        if header & 1 != 0 {
            let checksum = if descriptor & 0x04 != 0 { 4 } else { 0 };
            return rest.get(checksum..);
        }
    }
}

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const SKIPPABLE_MASK: u32 = 0xffff_fff0;
/// What a block decompresses to at most: 128 KiB.
const BLOCK_LEN_MAX: usize = 128 << 10;
/// Kafka's default (`compression.zstd.level`).
const LEVEL_DEFAULT: i32 = 3;

fn corrupt(what: impl ToString) -> CodecError {
    CodecError::Corrupt { compression: Compression::Zstd, what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compress(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Zstd::default().compress(input, None, &mut out).unwrap();
        out
    }

    /// Words that repeat and noise between them.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        (any::<u32>(), 0usize..400_000).prop_map(|(mut state, len)| {
            let mut content = Vec::new();
            while content.len() < len {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                content.extend_from_slice(&b"a user views a product"[..(state >> 28) as usize]);
                content.push((state >> 16) as u8);
            }
            content
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_bound_is_no_less_than_the_content_and_near_it(content in content()) {
            let bound = decompressed_bound(&compress(&content));
            prop_assert!(bound >= content.len());
            prop_assert!(bound < content.len() + 2 * BLOCK_LEN_MAX);
        }

        #[test]
        fn both_ways_of_decompressing_agree(content in content(), cut in 0usize..200) {
            let frame = compress(&content);
            let frame = &frame[..frame.len().saturating_sub(cut.saturating_sub(100))];
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            let decompressor = &mut Decompressor::new();
            let at_once = decompressor.decompress_into(frame, &mut whole).is_ok();
            let in_pieces = decompress_within(decompressor, frame, &mut pieces, content.len()).is_ok();
            prop_assert_eq!(at_once, in_pieces);
            prop_assert!(!at_once || (whole == content && pieces == content));
        }
    }

    #[test]
    fn frames_that_follow_each_other_are_read_and_skippable_ones_skipped() {
        let skippable = [&(SKIPPABLE_MAGIC | 7).to_le_bytes()[..], &3u32.to_le_bytes(), b"abc"].concat();
        let frames = [&compress(b"one, "), &skippable, &compress(b"two")].map(|frame| &frame[..]).concat();
        let mut out = Vec::new();
        Zstd::default().decompress(&frames, &mut out, 8).unwrap();
        assert_eq!(out, b"one, two");
        let error = Zstd::default().decompress(&frames, &mut Vec::new(), 7).unwrap_err();
        assert_eq!(error, CodecError::LimitExceeded { compression: Compression::Zstd, limit: 7 });
    }
}
