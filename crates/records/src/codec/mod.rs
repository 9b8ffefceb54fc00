//! The codecs behind one trait, and the working memory that they share.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::CodecError;
use crate::{Codec, Compression};
use bytes::BytesMut;

/// How many bytes a batch may decompress to unless said otherwise: 128 MiB.
///
/// Brokers accept batches of 1 MiB by default (`message.max.bytes`, which counts compressed bytes).
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// A compressor and decompressor of record sections; its working memory stays with it.
pub(crate) trait RecordCodec {
    /// Appends the compressed form of `input` to `out`.
    fn compress(&mut self, input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends the decompressed form of `input` to `out`, at most `limit` bytes, and allocates in step with what the
    /// input really yields.
    fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError>;
}

/// The working memory of the codecs: one for each task that seals or reads batches.
///
/// Tables and buffers are made at first use and kept, so that the next batch allocates nothing for them.
pub struct Scratch {
    decompressed_max: usize,
    /// Where a section is compressed to before it replaces the uncompressed one.
    output: Vec<u8>,
    #[cfg(feature = "gzip")]
    gzip: gzip::Gzip,
    #[cfg(feature = "snappy")]
    snappy: snappy::Snappy,
    #[cfg(feature = "lz4")]
    lz4: lz4::Lz4,
    #[cfg(feature = "zstd")]
    zstd: zstd::Zstd,
}

impl Scratch {
    /// With the default decompression limit, [`DECOMPRESSED_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_limit(DECOMPRESSED_BYTES_MAX)
    }

    /// With this limit on what one batch may decompress to, in bytes.
    pub fn with_limit(decompressed_max: usize) -> Self {
        Self {
            decompressed_max,
            output: Vec::new(),
            #[cfg(feature = "gzip")]
            gzip: gzip::Gzip::default(),
            #[cfg(feature = "snappy")]
            snappy: snappy::Snappy::default(),
            #[cfg(feature = "lz4")]
            lz4: lz4::Lz4::default(),
            #[cfg(feature = "zstd")]
            zstd: zstd::Zstd::default(),
        }
    }

    /// Compresses `section` in place.
    pub(crate) fn compress_in_place(
        &mut self,
        codec: &Codec,
        section: &mut BytesMut,
    ) -> Result<(), CodecError> {
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        let compressed = match self.codec(codec.compression()) {
            Ok(None) => return Ok(()),
            Ok(Some(implementation)) => implementation.compress(section, codec.level(), &mut output),
            Err(error) => Err(error),
        };
        if compressed.is_ok() {
            section.clear();
            section.extend_from_slice(&output);
        }
        self.output = output;
        compressed
    }

    /// Appends to `out` what `input` decompresses to.
    pub(crate) fn decompress(
        &mut self,
        compression: Compression,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let limit = self.decompressed_max;
        match self.codec(compression)? {
            None => out.extend_from_slice(input),
            Some(implementation) => implementation.decompress(input, out, limit)?,
        }
        Ok(())
    }

    fn codec(&mut self, compression: Compression) -> Result<Option<&mut dyn RecordCodec>, CodecError> {
        match compression {
            Compression::None => Ok(None),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Ok(Some(&mut self.gzip)),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Ok(Some(&mut self.snappy)),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Ok(Some(&mut self.lz4)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Ok(Some(&mut self.zstd)),
            #[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
            disabled => Err(CodecError::Disabled(disabled)),
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("decompressed_max", &self.decompressed_max).finish_non_exhaustive()
    }
}
