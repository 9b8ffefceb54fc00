//! Tagged fields (KIP-482): at the end of each struct of a flexible version, in the order of their tags.

use std::slice;

use bytes::{BufMut, Bytes};

use super::{DecodeError, DecodeProblem, Decoder, EncodeError, EncodeProblem, Encoder};

/// A tagged field that the definitions do not know, kept as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownTaggedField {
    /// The tag.
    pub tag: u32,
    /// The bytes of the field.
    pub data: Bytes,
}

/// What an unknown field takes: a vector has room for four at once, and while it grows its old and its new memory.
const UNKNOWN_FIELD_BYTES: usize = 4 * size_of::<UnknownTaggedField>();

/// Writes the tagged fields of one struct.
///
/// How many there are and how long each is stands before them and is known after them: one byte is kept free, and
/// in the rare case that it does not suffice, what follows is moved.
pub(crate) struct TagWriter<'a> {
    out: &'a mut Encoder,
    unknown: slice::Iter<'a, UnknownTaggedField>,
    count_at: usize,
    count: u32,
    last_tag: Option<u32>,
}

impl Encoder {
    /// The end of a struct that has no tagged fields of its own.
    pub(crate) fn unknown_tagged_fields(
        &mut self,
        unknown: &[UnknownTaggedField],
    ) -> Result<(), EncodeError> {
        if self.is_flexible && unknown.is_empty() {
            self.buffer.put_u8(0);
            return Ok(());
        }
        self.tagged_fields(unknown)?.finish()
    }

    /// The end of a struct that has tagged fields: known ones are added in the order of their tags.
    pub(crate) fn tagged_fields<'a>(
        &'a mut self,
        unknown: &'a [UnknownTaggedField],
    ) -> Result<TagWriter<'a>, EncodeError> {
        let count_at = self.buffer.len();
        if self.is_flexible {
            self.buffer.put_u8(0);
        } else if !unknown.is_empty() {
            return Err(self.absent("unknown_tagged_fields"));
        }
        Ok(TagWriter { out: self, unknown: unknown.iter(), count_at, count: 0, last_tag: None })
    }

    /// Puts a varint into the byte kept free at `at`, and makes room where one byte is too few.
    fn fill_in(&mut self, at: usize, value: u32) {
        let extra = (32 - (value | 1).leading_zeros()).div_ceil(7) as usize - 1;
        if extra > 0 {
            let end = self.buffer.len();
            self.buffer.put_bytes(0, extra);
            self.buffer.copy_within(at + 1..end, at + 1 + extra);
            for splice in self.spliced.iter_mut().rev().take_while(|splice| splice.at > at) {
                splice.at += extra;
            }
        }
        for (index, byte) in self.buffer[at..=at + extra].iter_mut().enumerate() {
            let continues = if index < extra { 0x80 } else { 0 };
            *byte = (value >> (7 * index)) as u8 & 0x7f | continues;
        }
    }
}

impl TagWriter<'_> {
    /// Adds a field, after the unknown ones with lower tags.
    pub(crate) fn field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        while self.unknown.as_slice().first().is_some_and(|unknown| unknown.tag < tag) {
            self.next_unknown()?;
        }
        self.start(tag)?;
        let length_at = self.out.buffer.len();
        self.out.buffer.put_u8(0);
        let before = self.out.len();
        write(self.out)?;
        let length = self.out.len() - before;
        let length = u32::try_from(length)
            .map_err(|_| self.out.error("tagged field", EncodeProblem::TooLong { length }))?;
        self.out.fill_in(length_at, length);
        Ok(())
    }

    /// Adds the unknown fields that are left.
    pub(crate) fn finish(mut self) -> Result<(), EncodeError> {
        while !self.unknown.as_slice().is_empty() {
            self.next_unknown()?;
        }
        if self.out.is_flexible {
            self.out.fill_in(self.count_at, self.count);
        }
        Ok(())
    }

    fn next_unknown(&mut self) -> Result<(), EncodeError> {
        if let Some(unknown) = self.unknown.next() {
            self.start(unknown.tag)?;
            let length = u32::try_from(unknown.data.len());
            let too_long = EncodeProblem::TooLong { length: unknown.data.len() };
            self.out.varint(length.map_err(|_| self.out.error("unknown_tagged_fields", too_long))?);
            self.out.buffer.put_slice(&unknown.data);
        }
        Ok(())
    }

    fn start(&mut self, tag: u32) -> Result<(), EncodeError> {
        if self.last_tag.is_some_and(|last| tag <= last) {
            return Err(self.out.error("unknown_tagged_fields", EncodeProblem::TagOrder { tag }));
        }
        self.last_tag = Some(tag);
        self.count += 1;
        self.out.varint(tag);
        Ok(())
    }
}

/// Reads the tagged fields of one struct.
///
/// As in Java, they may come in any order, and of two with the same tag the last one counts. Unlike Java, a field
/// must take exactly the bytes that it announces.
pub(crate) struct TagReader {
    left: u32,
    /// The end of what holds the struct.
    outer_end: usize,
    tag: Option<u32>,
}

impl Decoder {
    /// The end of a struct that has no tagged fields of its own.
    pub(crate) fn unknown_tagged_fields(&mut self) -> Result<Vec<UnknownTaggedField>, DecodeError> {
        let mut unknown = Vec::new();
        let mut tags = self.tagged_fields()?;
        while let Some(tag) = tags.next(self)? {
            unknown.push(self.unknown_tagged_field(tag));
        }
        Ok(unknown)
    }

    /// The end of a struct that has tagged fields.
    pub(crate) fn tagged_fields(&mut self) -> Result<TagReader, DecodeError> {
        let left = if self.is_flexible { self.varint("tagged fields")? } else { 0 };
        Ok(TagReader { left, outer_end: self.end, tag: None })
    }

    /// The bytes of the tagged field that was just met.
    pub(crate) fn unknown_tagged_field(&mut self, tag: u32) -> UnknownTaggedField {
        let data = self.rest();
        UnknownTaggedField { tag, data }
    }

    #[cold]
    pub(crate) fn tag_of_other_version(&self, tag: u32) -> DecodeError {
        self.error("tagged fields", DecodeProblem::TagOfOtherVersion { tag })
    }
}

impl TagReader {
    /// The tag of the next field, whose bytes are then all that the decoder has.
    pub(crate) fn next(&mut self, input: &mut Decoder) -> Result<Option<u32>, DecodeError> {
        if let Some(tag) = self.tag {
            let remaining = input.remaining();
            if remaining > 0 {
                return Err(input.error("tagged fields", DecodeProblem::TagLength { tag, remaining }));
            }
            input.end = self.outer_end;
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        input.charge("tagged fields", 1, UNKNOWN_FIELD_BYTES)?;
        let tag = input.varint("tagged fields")?;
        let length = input.varint("tagged fields")? as usize;
        input.limit("tagged fields", length)?;
        self.tag = Some(tag);
        Ok(Some(tag))
    }
}
