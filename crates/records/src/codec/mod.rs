//! The codecs behind one trait, and the working memory that they share.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::{CodecError, RecordsError};
use crate::{Codec, Compression};
use bytes::{Bytes, BytesMut};

/// How many bytes a batch may decompress to unless said otherwise: 128 MiB.
///
/// Brokers accept batches of 1 MiB by default (`message.max.bytes`, which counts compressed bytes).
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// A compressor and decompressor of record sections; its working memory stays with it.
pub(crate) trait RecordCodec {
    /// Writes the compressed form of `input` to `out`, which is empty.
    fn compress(&mut self, input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Writes the decompressed form of `input` to `out`, which is empty: at most `limit` bytes, and memory in step with
    /// what the input really yields.
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
        if codec.compression() == Compression::None {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        let compressed = self
            .codec(codec.compression())
            .and_then(|implementation| implementation.compress(section, codec.level(), &mut output));
        if compressed.is_ok() {
            section.clear();
            section.extend_from_slice(&output);
        }
        self.output = output;
        compressed
    }

    /// What `input` decompresses to, in `buffer`, which is taken unless that fails; and how large the buffer is.
    ///
    /// `base_offset` names the batch in errors. `compression` is not [`Compression::None`].
    pub(crate) fn decompress(
        &mut self,
        compression: Compression,
        input: &[u8],
        buffer: &mut Vec<u8>,
        base_offset: i64,
    ) -> Result<(Bytes, usize), RecordsError> {
        let limit = self.decompressed_max;
        buffer.clear();
        self.codec(compression)
            .and_then(|codec| codec.decompress(input, buffer, limit))
            .map_err(|error| RecordsError::Codec { base_offset, error })?;
        let capacity = buffer.capacity();
        Ok((Bytes::from(std::mem::take(buffer)), capacity))
    }

    fn codec(&mut self, compression: Compression) -> Result<&mut dyn RecordCodec, CodecError> {
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => Ok(&mut self.gzip),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Ok(&mut self.snappy),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Ok(&mut self.lz4),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Ok(&mut self.zstd),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, RecordParts};

    #[test]
    fn a_codec_that_was_left_out_is_named_and_none_other_fails() {
        for compression in Compression::ALL {
            let mut builder = BatchBuilder::new(BytesMut::new(), 1000);
            builder.try_append(&RecordParts::default()).unwrap();
            let error = builder.seal(&Codec::new(compression), &mut Scratch::new()).err();
            let expected = (!compression.is_available()).then_some(CodecError::Disabled(compression));
            assert_eq!(error, expected);
        }
        let error = CodecError::Disabled(Compression::Zstd).to_string();
        assert_eq!(error, "zstd is not in this build; enable its feature, named \"zstd\"");
    }
}
