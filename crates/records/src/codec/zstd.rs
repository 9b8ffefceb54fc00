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
        decompressor.reset();
        let mut read = 0;
        let mut written = out.len();
        loop {
            // One byte more than the limit tells that there is more.
            let room = CHUNK_LEN
                .max(input.len().saturating_mul(EXPANSION_USUAL))
                .min((limit - written).saturating_add(1));
            out.resize(written + room, 0);
            let start = (read, written);
            let hint =
                decompressor.decompress_stream(input, &mut read, out, &mut written).map_err(corrupt)?;
            out.truncate(written);
            if written > limit {
                return Err(CodecError::LimitExceeded { compression: Compression::Zstd, limit });
            }
            if hint == 0 && read == input.len() {
                return Ok(());
            }
            if (read, written) == start {
                return Err(corrupt("it is cut off"));
            }
        }
    }
}

/// Kafka's default (`compression.zstd.level`).
const LEVEL_DEFAULT: i32 = 3;
/// The least by which the output grows.
const CHUNK_LEN: usize = 16 << 10;
/// What one byte yields nearly always at most.
const EXPANSION_USUAL: usize = 4;

fn corrupt(what: impl ToString) -> CodecError {
    CodecError::corrupt(Compression::Zstd, what)
}
