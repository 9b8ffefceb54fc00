use crate::Compression;

/// What is wrong with the bytes of a batch or its records.
///
/// None of these goes away by reading the same bytes again. Offsets name the batch by its base offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A field of a batch's header has a value that it cannot have.
    #[error("batch at offset {base_offset}: invalid {field} {value}")]
    InvalidHeader {
        /// Base offset of the batch, as its bytes say.
        base_offset: i64,
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The checksum does not match: the bytes were changed after they were written.
    #[error("batch at offset {base_offset}: checksum is {stored:#010x} but the bytes give {computed:#010x}")]
    CrcMismatch {
        /// Base offset of the batch.
        base_offset: i64,
        /// The checksum in the batch.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// The attributes name a compression that Kafka does not have.
    #[error("batch at offset {base_offset}: unknown compression {id}")]
    UnknownCompression {
        /// Base offset of the batch.
        base_offset: i64,
        /// The number in its attributes.
        id: u8,
    },
    /// The records could not be decompressed.
    #[error("batch at offset {base_offset}: {error}")]
    Codec {
        /// Base offset of the batch.
        base_offset: i64,
        /// What the codec found.
        #[source]
        error: CodecError,
    },
    /// A record is malformed; those before it are good.
    #[error("batch at offset {base_offset}: record {index}: {what}")]
    InvalidRecord {
        /// Base offset of the batch.
        base_offset: i64,
        /// Which record of the batch, from 0.
        index: u32,
        /// What is wrong.
        what: &'static str,
    },
}

/// Why a codec could not compress or decompress.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The codec was left out of this build.
    #[error("{0} is not in this build; enable its feature, named \"{0}\"")]
    Disabled(Compression),
    /// The compressed bytes are malformed.
    #[error("corrupt {compression} data: {what}")]
    Corrupt {
        /// The compression.
        compression: Compression,
        /// What is wrong.
        what: String,
    },
    /// The decompressed bytes would exceed the limit.
    #[error(
        "{compression} data decompresses to more than {limit} bytes; raise the decompression limit if that is expected"
    )]
    LimitExceeded {
        /// The compression.
        compression: Compression,
        /// The limit, in bytes.
        limit: usize,
    },
}
