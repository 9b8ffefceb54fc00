//! Kafka's snappy: raw snappy blocks in the framing of the xerial library, which Java uses (`SnappyOutputStream`).
//!
//! A section without that framing is read as one raw block, which other clients have written.

use super::RecordCodec;
use crate::Compression;
use crate::error::CodecError;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

#[derive(Default)]
pub(super) struct Snappy {
    encoder: Option<Encoder>,
}

impl RecordCodec for Snappy {
    fn compress(&mut self, input: &[u8], _level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        let encoder = self.encoder.get_or_insert_with(Encoder::new);
        for block in input.chunks(WRITTEN_BLOCK_LEN) {
            let len_at = out.len();
            let data_at = len_at + 4;
            out.resize(data_at + max_compress_len(block.len()), 0);
            let len = encoder.compress(block, &mut out[data_at..]).map_err(corrupt)?;
            out.truncate(data_at + len);
            out[len_at..data_at].copy_from_slice(&(len as u32).to_be_bytes());
        }
        Ok(())
    }

    fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
        let Some(mut rest) = strip_header(input) else { return decompress_block(input, out, limit) };
        while !rest.is_empty() {
            // Streams may follow each other.
            if let Some(after) = strip_header(rest) {
                rest = after;
                continue;
            }
            let (len, after) = rest.split_first_chunk().ok_or_else(|| corrupt(CUT_OFF))?;
            let len = u32::from_be_bytes(*len) as usize;
            let (block, after) = after.split_at_checked(len).ok_or_else(|| corrupt(CUT_OFF))?;
            decompress_block(block, out, limit)?;
            rest = after;
        }
        Ok(())
    }
}

/// What follows the xerial header at the start of `input`, if one is there. The versions in it are not looked at: there
/// is one.
fn strip_header(input: &[u8]) -> Option<&[u8]> {
    input.strip_prefix(&MAGIC)?.get(2 * size_of_val(&VERSION)..)
}

fn decompress_block(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
    let len = decompress_len(block).map_err(corrupt)?;
    if len > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(corrupt("a block claims to hold more than it can"));
    }
    let start = out.len();
    if len > limit - start {
        return Err(CodecError::LimitExceeded { compression: Compression::Snappy, limit });
    }
    out.resize(start + len, 0);
    Decoder::new().decompress(block, &mut out[start..]).map_err(corrupt)?;
    Ok(())
}

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// The version of the framing, and the lowest version that can read it.
const VERSION: u32 = 1;
const WRITTEN_BLOCK_LEN: usize = 32 << 10;
/// What one byte of a block can yield at most: a copy of 64 bytes takes three, rounded up.
const EXPANSION_MAX: usize = 22;
const CUT_OFF: &str = "it is cut off";

fn corrupt(what: impl ToString) -> CodecError {
    CodecError::Corrupt { compression: Compression::Snappy, what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decompress(input: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut out = Vec::new();
        Snappy::default().decompress(input, &mut out, 1 << 20)?;
        Ok(out)
    }

    fn compress(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Snappy::default().compress(input, None, &mut out).unwrap();
        out
    }

    #[test]
    fn written_in_xerials_framing_with_blocks_of_32_kib() {
        let content = b"a user views a product ".repeat(3000);
        let framed = compress(&content);
        assert_eq!(framed[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
        let (mut rest, mut lens) = (&framed[16..], Vec::new());
        while let Some((len, after)) = rest.split_first_chunk() {
            let (block, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            lens.push(decompress_len(block).unwrap());
            rest = after;
        }
        assert_eq!(lens, [32 << 10, 32 << 10, 69_000 - (64 << 10)]);
        assert!(decompress(&framed).unwrap() == content);
    }

    #[test]
    fn a_raw_block_is_read_too() {
        let raw = Encoder::new().compress_vec(b"checkout, checkout, checkout").unwrap();
        assert_eq!(decompress(&raw).unwrap(), b"checkout, checkout, checkout");
    }

    #[test]
    fn streams_that_follow_each_other_are_read() {
        let streams = [compress(b"one, "), compress(b"two")].concat();
        assert_eq!(decompress(&streams).unwrap(), b"one, two");
    }
}
