//! Writing messages.

use bytes::{BufMut, Bytes, BytesMut};

use super::{EncodeError, EncodeProblem, Message, Wire};
use crate::records::join;
use crate::{ErrorCode, Frame, Records, Uuid};

/// Collects the bytes of messages; big record segments are taken as they are, everything else is copied.
///
/// Shared segments stay beside the buffer until the end, each with its place in it, so that lengths can still be
/// filled in anywhere.
#[derive(Debug)]
pub struct Encoder {
    pub(super) buffer: BytesMut,
    pub(super) spliced: Vec<Splice>,
    spliced_len: usize,
    pub(super) is_flexible: bool,
    message: &'static str,
    version: i16,
}

/// A shared segment that belongs before the byte `at` of the buffer.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) bytes: Bytes,
}

/// Segments shorter than this are copied: that costs less than one more segment in a vectored write.
const SPLICE_BYTES_MIN: usize = 512;

/// What a small request takes.
const CAPACITY: usize = 256;

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    /// An encoder with nothing in it.
    pub fn new() -> Self {
        Encoder {
            buffer: BytesMut::with_capacity(CAPACITY),
            spliced: Vec::new(),
            spliced_len: 0,
            is_flexible: false,
            message: "-",
            version: -1,
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.spliced_len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in one piece; copies only where record segments are shared.
    pub fn into_bytes(self) -> Bytes {
        let mut segments = self.into_segments();
        if segments.len() == 1 { segments.remove(0) } else { join(&segments) }
    }

    /// What was written, as a frame; the first four bytes were left for its length.
    pub(crate) fn into_frame(mut self) -> Result<Frame, EncodeError> {
        let len = self.len() - FRAME_LENGTH_LEN;
        let prefix =
            i32::try_from(len).map_err(|_| self.error("-", EncodeProblem::TooLong { length: len }))?;
        self.buffer[..FRAME_LENGTH_LEN].copy_from_slice(&prefix.to_be_bytes());
        Ok(Frame::new(self.into_segments()))
    }

    fn into_segments(self) -> Vec<Bytes> {
        let mut buffer = self.buffer.freeze();
        let mut segments = Vec::with_capacity(2 * self.spliced.len() + 1);
        let mut taken = 0;
        for splice in self.spliced {
            if splice.at > taken {
                segments.push(buffer.split_to(splice.at - taken));
                taken = splice.at;
            }
            segments.push(splice.bytes);
        }
        if !buffer.is_empty() {
            segments.push(buffer);
        }
        segments
    }

    /// From here on a message of this version is written.
    pub(super) fn begin<M: Message>(&mut self, version: i16) -> Result<(), EncodeError> {
        self.message = M::NAME;
        self.version = version;
        self.is_flexible = M::FLEXIBLE_SINCE.is_some_and(|first| version >= first);
        if M::VERSIONS.contains(version) {
            Ok(())
        } else {
            Err(self.error("-", EncodeProblem::UnsupportedVersion))
        }
    }
}

/// Bytes of the length before each frame.
pub(crate) const FRAME_LENGTH_LEN: usize = 4;

/// Errors.
impl Encoder {
    #[cold]
    pub(super) fn error(&self, field: &'static str, problem: EncodeProblem) -> EncodeError {
        EncodeError { message: self.message, version: self.version, field, problem }
    }

    /// A field is set that the version lacks.
    #[cold]
    pub(crate) fn absent(&self, field: &'static str) -> EncodeError {
        self.error(field, EncodeProblem::Absent)
    }

    /// A field is null that may not be so in this version.
    #[cold]
    pub(crate) fn null(&self, field: &'static str) -> EncodeError {
        self.error(field, EncodeProblem::Null)
    }
}

/// Values of fixed length.
impl Encoder {
    #[inline]
    pub(crate) fn bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    #[inline]
    pub(crate) fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    #[inline]
    pub(crate) fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    #[inline]
    pub(crate) fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    #[inline]
    pub(crate) fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    #[inline]
    pub(crate) fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    #[inline]
    pub(crate) fn error_code(&mut self, value: ErrorCode) {
        self.buffer.put_i16(value.code());
    }

    #[inline]
    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(&value.0);
    }
}

/// Values that announce their length: compactly in flexible versions, as a varint of the length plus one, with zero
/// for null; otherwise as a 16-bit (strings) or 32-bit integer, with -1 for null.
impl Encoder {
    pub(crate) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    pub(crate) fn string(&mut self, field: &'static str, value: &str) -> Result<(), EncodeError> {
        let length = i16::try_from(value.len());
        let length = length.map_err(|_| self.error(field, EncodeProblem::TooLong { length: value.len() }))?;
        if self.is_flexible {
            self.varint(length as u32 + 1);
        } else {
            self.i16(length);
        }
        self.buffer.put_slice(value.as_bytes());
        Ok(())
    }

    pub(crate) fn nullable_string(
        &mut self,
        field: &'static str,
        value: Option<&str>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => return self.string(field, value),
            None if self.is_flexible => self.varint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, field: &'static str, value: &Bytes) -> Result<(), EncodeError> {
        self.length(field, value.len())?;
        self.buffer.put_slice(value);
        Ok(())
    }

    pub(crate) fn nullable_bytes(
        &mut self,
        field: &'static str,
        value: Option<&Bytes>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(field, value),
            None => self.null_length(),
        }
    }

    pub(crate) fn records(&mut self, field: &'static str, value: &Records) -> Result<(), EncodeError> {
        self.length(field, value.len())?;
        for segment in value.segments() {
            if segment.len() < SPLICE_BYTES_MIN {
                self.buffer.put_slice(segment);
            } else {
                self.spliced_len += segment.len();
                self.spliced.push(Splice { at: self.buffer.len(), bytes: segment.clone() });
            }
        }
        Ok(())
    }

    pub(crate) fn nullable_records(
        &mut self,
        field: &'static str,
        value: Option<&Records>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.records(field, value),
            None => self.null_length(),
        }
    }

    pub(crate) fn array<T: Wire>(
        &mut self,
        field: &'static str,
        elements: &[T],
        version: i16,
    ) -> Result<(), EncodeError> {
        self.length(field, elements.len())?;
        elements.iter().try_for_each(|element| element.write(self, version))
    }

    pub(crate) fn nullable_array<T: Wire>(
        &mut self,
        field: &'static str,
        elements: Option<&[T]>,
        version: i16,
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.array(field, elements, version),
            None => self.null_length(),
        }
    }

    pub(crate) fn nullable_struct<T: Wire>(
        &mut self,
        value: Option<&T>,
        version: i16,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                self.i8(1);
                value.write(self, version)
            }
            None => {
                self.i8(-1);
                Ok(())
            }
        }
    }

    fn length(&mut self, field: &'static str, length: usize) -> Result<(), EncodeError> {
        let checked = i32::try_from(length).ok().filter(|&length| length < i32::MAX);
        let checked = checked.ok_or_else(|| self.error(field, EncodeProblem::TooLong { length }))?;
        if self.is_flexible {
            self.varint(checked as u32 + 1);
        } else {
            self.i32(checked);
        }
        Ok(())
    }

    fn null_length(&mut self) -> Result<(), EncodeError> {
        if self.is_flexible {
            self.varint(0);
        } else {
            self.i32(-1);
        }
        Ok(())
    }
}
