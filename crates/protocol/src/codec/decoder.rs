//! Reading messages.

use bytes::Bytes;

use super::{DecodeError, DecodeProblem, Message, Wire};
use crate::{ByteStr, ErrorCode, Records, Uuid};

/// Takes values off the front of received bytes; every length is checked against what remains.
///
/// Strings, byte fields and records are slices of the input. Elements of arrays and unknown tagged fields are larger in memory than
/// on the wire, so that they have a budget: see [`memory_limit`].
#[derive(Debug)]
pub struct Decoder {
    input: Bytes,
    /// Bytes that elements may still take.
    memory: usize,
    pub(super) position: usize,
    /// Where reading must stop: the end of the input, or of the tagged field being read.
    pub(super) end: usize,
    pub(super) is_flexible: bool,
    message: &'static str,
    version: i16,
}

/// What the elements of a message of `received` bytes may take: 32 times as much as that, which no honest message comes near, and of
/// large messages no more than twice as much and 256 MiB; whatever its size, 64 KiB.
pub const fn memory_limit(received: usize) -> usize {
    const ALWAYS: usize = 64 << 10;
    const LARGE: usize = 256 << 20;
    let (by_factor, of_large) =
        (received.saturating_mul(32), received.saturating_mul(2).saturating_add(LARGE));
    ALWAYS + if by_factor < of_large { by_factor } else { of_large }
}

impl Decoder {
    /// A decoder of these bytes.
    pub fn new(input: Bytes) -> Self {
        let (end, memory) = (input.len(), memory_limit(input.len()));
        Decoder { position: 0, end, input, memory, is_flexible: false, message: "-", version: -1 }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Checks that nothing is left. Kafka itself ignores bytes behind a message; a test or a strict peer need not.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(self.error("-", DecodeProblem::Trailing { remaining })),
        }
    }

    /// From here on a message of this version is read.
    pub(super) fn begin<M: Message>(&mut self, version: i16) -> Result<(), DecodeError> {
        self.begin_part(M::NAME, version, M::FLEXIBLE_SINCE.is_some_and(|first| version >= first));
        if M::VERSIONS.contains(version) {
            Ok(())
        } else {
            Err(self.error("-", DecodeProblem::UnsupportedVersion))
        }
    }

    /// From here on a header or another part is read that is no [`Message`].
    pub(crate) fn begin_part(&mut self, name: &'static str, version: i16, is_flexible: bool) {
        self.message = name;
        self.version = version;
        self.is_flexible = is_flexible;
    }

    #[cold]
    pub(crate) fn error(&self, field: &'static str, problem: DecodeProblem) -> DecodeError {
        DecodeError { message: self.message, version: self.version, field, problem }
    }

    #[cold]
    fn too_short(&self, field: &'static str, needed: usize) -> DecodeError {
        self.error(field, DecodeProblem::TooShort { needed, remaining: self.remaining() })
    }
}

/// Values of fixed length.
impl Decoder {
    #[inline]
    fn array_of<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.input[self.position..self.end].first_chunk::<N>() {
            Some(&bytes) => {
                self.position += N;
                Ok(bytes)
            }
            None => Err(self.too_short(field, N)),
        }
    }

    #[inline]
    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.i8(field)? != 0)
    }

    #[inline]
    pub(crate) fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        self.array_of(field).map(i8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        self.array_of(field).map(i16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array_of(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array_of(field).map(i32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array_of(field).map(i64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn f64(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        self.array_of(field).map(f64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn error_code(&mut self, field: &'static str) -> Result<ErrorCode, DecodeError> {
        self.i16(field).map(ErrorCode::from)
    }

    #[inline]
    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        self.array_of(field).map(Uuid)
    }
}

/// Values that announce their length (see the same part of [`Encoder`](super::Encoder)).
impl Decoder {
    /// At most 5 bytes and 32 bits; a form with needless zeros is accepted, as `ByteUtils.readUnsignedVarint` does.
    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.i8(field)? as u8;
            let group = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(field, DecodeProblem::Varint))
    }

    pub(crate) fn string(&mut self, field: &'static str) -> Result<ByteStr, DecodeError> {
        self.nullable_string(field)?.ok_or_else(|| self.null(field))
    }

    pub(crate) fn nullable_string(&mut self, field: &'static str) -> Result<Option<ByteStr>, DecodeError> {
        let length = if self.is_flexible {
            self.compact_length(field)?
        } else {
            usize::try_from(self.i16(field)?).ok() // Java takes any negative length for null
        };
        match length {
            None => Ok(None),
            Some(length) if length > i16::MAX as usize => {
                Err(self.error(field, DecodeProblem::StringTooLong { length }))
            }
            Some(length) => Ok(Some(ByteStr::from_received(self.slice(field, length)?))),
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(field)?.ok_or_else(|| self.null(field))
    }

    pub(crate) fn nullable_bytes(&mut self, field: &'static str) -> Result<Option<Bytes>, DecodeError> {
        match self.length(field)? {
            Some(length) => Ok(Some(self.slice(field, length)?)),
            None => Ok(None),
        }
    }

    pub(crate) fn records(&mut self, field: &'static str) -> Result<Records, DecodeError> {
        self.bytes(field).map(Records::from)
    }

    pub(crate) fn nullable_records(&mut self, field: &'static str) -> Result<Option<Records>, DecodeError> {
        Ok(self.nullable_bytes(field)?.map(Records::from))
    }

    pub(crate) fn array<T: Wire>(
        &mut self,
        field: &'static str,
        version: i16,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(field, version)?.ok_or_else(|| self.null(field))
    }

    pub(crate) fn nullable_array<T: Wire>(
        &mut self,
        field: &'static str,
        version: i16,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(field)? else { return Ok(None) };
        let remaining = self.remaining();
        if count > remaining / T::MIN_LEN {
            return Err(self.error(field, DecodeProblem::TooMany { count, remaining }));
        }
        self.charge(field, count, size_of::<T>())?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(self, version)?);
        }
        Ok(Some(elements))
    }

    pub(crate) fn nullable_struct<T: Wire>(
        &mut self,
        field: &'static str,
        version: i16,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8(field)? < 0 { Ok(None) } else { T::read(self, version).map(Some) }
    }

    fn length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        if self.is_flexible {
            self.compact_length(field)
        } else {
            Ok(usize::try_from(self.i32(field)?).ok()) // Java takes any negative length for null
        }
    }

    fn compact_length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        Ok(self.varint(field)?.checked_sub(1).map(|length| length as usize))
    }

    pub(crate) fn slice(&mut self, field: &'static str, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.remaining() {
            return Err(self.too_short(field, length));
        }
        let start = self.position;
        self.position += length;
        Ok(self.input.slice(start..self.position))
    }

    /// Takes `count` elements of `size` bytes from the budget.
    pub(super) fn charge(
        &mut self,
        field: &'static str,
        count: usize,
        size: usize,
    ) -> Result<(), DecodeError> {
        match self.memory.checked_sub(count.saturating_mul(size)) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => {
                Err(self.error(field, DecodeProblem::TooMuchMemory { limit: memory_limit(self.input.len()) }))
            }
        }
    }

    #[cold]
    fn null(&self, field: &'static str) -> DecodeError {
        self.error(field, DecodeProblem::Null)
    }
}

/// The bounds of a tagged field.
impl Decoder {
    /// Makes the next `length` bytes all that there is.
    pub(super) fn limit(&mut self, field: &'static str, length: usize) -> Result<(), DecodeError> {
        if length > self.remaining() {
            return Err(self.too_short(field, length));
        }
        self.end = self.position + length;
        Ok(())
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Bytes {
        let start = self.position;
        self.position = self.end;
        self.input.slice(start..self.end)
    }
}
