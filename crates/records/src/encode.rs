//! How one record is encoded (Java: `DefaultRecord.writeTo`).

use crate::builder::HeaderRef;
use crate::header::BATCH_HEADER_LEN;
use crate::varint::{self, VARINT_LEN_MAX, VARLONG_LEN_MAX};

/// What bounds a section: the batch's length is a signed 32-bit field.
pub(crate) const SECTION_LEN_MAX: usize = i32::MAX as usize - BATCH_HEADER_LEN;

/// Headers to encode, or as they were encoded in the batch that they were read from.
#[derive(Clone, Copy)]
pub(crate) enum EncodedHeaders<'a> {
    Parts(&'a [HeaderRef<'a>]),
    /// The count of headers and the headers.
    Raw(&'a [u8]),
}

/// A record whose length is known, as it must be before the first byte can be written.
pub(crate) struct RecordEncoding<'a> {
    body_len: usize,
    /// Both deltas in zigzag form.
    timestamp_delta: u64,
    offset_delta: u64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: EncodedHeaders<'a>,
}

impl<'a> RecordEncoding<'a> {
    #[inline(always)]
    pub(crate) fn new(
        timestamp_delta: i64,
        offset_delta: i32,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: EncodedHeaders<'a>,
    ) -> Self {
        let timestamp_delta = varint::zigzag(timestamp_delta);
        let offset_delta = varint::zigzag(i64::from(offset_delta));
        let body_len = ATTRIBUTES_LEN
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + nullable_len(key)
            + nullable_len(value)
            + headers.len();
        Self { body_len, timestamp_delta, offset_delta, key, value, headers }
    }

    /// The bytes that it takes, its own length included.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        varint::len(double(self.body_len)) + self.body_len
    }

    /// Writes it to `out`, which is as long as it is.
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut [u8]) {
        let mut out = Writer { rest: out };
        out.varint(double(self.body_len));
        // The record's attributes: none are in use.
        out.byte(0);
        out.varint(self.timestamp_delta);
        out.varint(self.offset_delta);
        out.nullable(self.key);
        out.nullable(self.value);
        match self.headers {
            EncodedHeaders::Raw(raw) => out.bytes(raw),
            EncodedHeaders::Parts([]) => out.byte(0),
            EncodedHeaders::Parts(headers) => out.headers(headers),
        }
    }
}

const ATTRIBUTES_LEN: usize = 1;

impl EncodedHeaders<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.len(),
            Self::Parts([]) => 1,
            Self::Parts(headers) => headers_len(headers),
        }
    }
}

/// The most bytes that a record with these parts takes, wherever it stands in its batch.
pub(crate) fn record_len_max(key: Option<&[u8]>, value: Option<&[u8]>, headers: EncodedHeaders<'_>) -> usize {
    let fixed = VARINT_LEN_MAX + ATTRIBUTES_LEN + VARLONG_LEN_MAX + VARINT_LEN_MAX;
    fixed + nullable_len(key) + nullable_len(value) + headers.len()
}

fn headers_len(headers: &[HeaderRef<'_>]) -> usize {
    let each =
        headers.iter().map(|header| nullable_len(Some(header.key.as_bytes())) + nullable_len(header.value));
    varint::len(double(headers.len())) + each.sum::<usize>()
}

#[inline(always)]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => 1,
        Some(bytes) => varint::len(double(bytes.len())) + bytes.len(),
    }
}

/// A length or count in zigzag form.
#[inline(always)]
fn double(len: usize) -> u64 {
    (len as u64) << 1
}

/// Null in place of a length: -1 in zigzag form.
const NULL: u8 = 1;

/// Writes from the front of a slice that is long enough.
struct Writer<'a> {
    rest: &'a mut [u8],
}

impl Writer<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.rest[0] = byte;
        self.advance(1);
    }

    #[inline(always)]
    fn varint(&mut self, zigzag: u64) {
        let len = varint::put(self.rest, zigzag);
        self.advance(len);
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) {
        self.rest[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    #[inline(always)]
    fn nullable(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.byte(NULL),
            Some(bytes) => {
                self.varint(double(bytes.len()));
                self.bytes(bytes);
            }
        }
    }

    fn headers(&mut self, headers: &[HeaderRef<'_>]) {
        self.varint(double(headers.len()));
        for header in headers {
            self.nullable(Some(header.key.as_bytes()));
            self.nullable(header.value);
        }
    }

    #[inline(always)]
    fn advance(&mut self, len: usize) {
        let rest = std::mem::take(&mut self.rest);
        self.rest = &mut rest[len..];
    }
}
