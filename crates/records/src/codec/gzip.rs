//! Kafka's gzip: one gzip member, as Java's `GZIPOutputStream` writes; several are read, as Java reads them.

use super::RecordCodec;
use crate::Compression;
use crate::error::CodecError;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// Compressor and decompressor, each made at its first use.
#[derive(Default)]
pub(super) struct Gzip {
    compress: Option<(flate2::Compression, Compress)>,
    decompress: Option<Decompress>,
}

impl RecordCodec for Gzip {
    fn compress(&mut self, input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let deflate = self.compressor(level);
        // Deflate stores what does not shrink, at 5 bytes for each 16 KiB or more.
        out.reserve(input.len() + input.len() / 1024 + FRAMING_LEN_MAX);
        loop {
            let rest = &input[deflate.total_in() as usize..];
            match deflate.compress_vec(rest, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return Ok(()),
                Ok(Status::Ok | Status::BufError) => out.reserve(CHUNK_LEN),
                Err(error) => return Err(corrupt(error)),
            }
        }
    }

    fn decompress(&mut self, mut input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
        let inflate = self.decompress.get_or_insert_with(|| Decompress::new_gzip(WINDOW_BITS));
        loop {
            inflate.reset(true);
            input = decompress_member(inflate, input, out, limit)?;
            // Whatever else follows the first member is left alone, as Java leaves it.
            if !input.starts_with(&MAGIC) {
                return Ok(());
            }
        }
    }
}

impl Gzip {
    fn compressor(&mut self, level: Option<i32>) -> &mut Compress {
        let level = match level {
            Some(level @ 0..) => flate2::Compression::new(level as u32),
            Some(_) | None => flate2::Compression::default(),
        };
        let made = self.compress.take().filter(|(made_for, _)| *made_for == level);
        let (_, deflate) =
            self.compress.insert(made.unwrap_or_else(|| (level, Compress::new_gzip(level, WINDOW_BITS))));
        deflate.reset();
        deflate
    }
}

/// Decompresses the member at the start of `input` and returns what follows it.
fn decompress_member<'a>(
    inflate: &mut Decompress,
    input: &'a [u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<&'a [u8], CodecError> {
    loop {
        let before = (inflate.total_in(), out.len());
        let rest = &input[before.0 as usize..];
        out.reserve(CHUNK_LEN.min(rest.len().saturating_mul(EXPANSION_USUAL) + 1));
        let status = inflate.decompress_vec(rest, out, FlushDecompress::None).map_err(corrupt)?;
        if out.len() > limit {
            return Err(CodecError::LimitExceeded { compression: Compression::Gzip, limit });
        }
        if status == Status::StreamEnd {
            return Ok(&input[inflate.total_in() as usize..]);
        }
        if (inflate.total_in(), out.len()) == before {
            return Err(corrupt("it is cut off"));
        }
    }
}

/// The window that Java uses, and the largest there is: 32 KiB.
const WINDOW_BITS: u8 = 15;
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Header and trailer of a member, and the end of its deflate stream.
const FRAMING_LEN_MAX: usize = 32;
/// By how much the output grows when it is full.
const CHUNK_LEN: usize = 64 << 10;
/// What one byte yields nearly always at most.
const EXPANSION_USUAL: usize = 8;

fn corrupt(what: impl ToString) -> CodecError {
    CodecError::Corrupt { compression: Compression::Gzip, what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(gzip: &mut Gzip, input: &[u8], level: Option<i32>) -> Vec<u8> {
        let mut out = Vec::new();
        gzip.compress(input, level, &mut out).unwrap();
        out
    }

    fn decompress(input: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut out = Vec::new();
        Gzip::default().decompress(input, &mut out, 1 << 20)?;
        Ok(out)
    }

    #[test]
    fn members_that_follow_each_other_are_read() {
        let gzip = &mut Gzip::default();
        let members = [compress(gzip, b"one, ", None), compress(gzip, b"two", Some(9))].concat();
        assert_eq!(decompress(&members).unwrap(), b"one, two");
        assert_eq!(decompress(&[&members, &b"and something else"[..]].concat()).unwrap(), b"one, two");
    }

    #[test]
    fn the_level_of_each_call_counts() {
        let words: Vec<u8> = (0..20_000u32).flat_map(|i| format!("{} ", i * i % 977).into_bytes()).collect();
        let gzip = &mut Gzip::default();
        let mut len = |level| compress(gzip, &words, level).len();
        let (fast, best, default) = (len(Some(1)), len(Some(9)), len(None));
        assert!(best < fast, "{best} {fast}");
        assert_eq!((len(Some(-1)), len(Some(6)), len(Some(1))), (default, default, fast));
    }

    #[test]
    fn damage_is_found() {
        let good = compress(&mut Gzip::default(), &b"a user views a product ".repeat(100), None);
        for at in [0, 1, 2, 20, good.len() - 1, good.len() - 5] {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            assert!(decompress(&bad).is_err(), "{at}");
        }
    }
}
