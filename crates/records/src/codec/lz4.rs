//! Kafka's lz4: the LZ4 frame format 1.6 over `lz4_flex`'s blocks.
//!
//! Written as Java does (`Lz4BlockOutputStream`): independent blocks of 64 KiB, no checksums but the header's. Read in
//! every form that the format has.

use super::RecordCodec;
use crate::Compression;
use crate::error::CodecError;
use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};

#[derive(Default)]
pub(super) struct Lz4 {
    /// 16-bit and 32-bit positions: blocks shorter than 64 KiB are faster with the former.
    small: Option<CompressTable>,
    large: Option<CompressTable>,
}

impl RecordCodec for Lz4 {
    fn compress(&mut self, input: &[u8], _level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&WRITTEN_DESCRIPTOR);
        out.push(header_checksum(&WRITTEN_DESCRIPTOR));
        for block in input.chunks(WRITTEN_BLOCK_LEN) {
            self.compress_block(block, out);
        }
        out.extend_from_slice(&END_MARK.to_le_bytes());
        Ok(())
    }

    fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
        let mut reader = FrameReader { input, out_start: out.len(), out, limit };
        reader.frames()
    }
}

impl Lz4 {
    fn compress_block(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let table = match block.len() < usize::from(u16::MAX) {
            true => self.small.get_or_insert_with(CompressTable::small),
            false => self.large.get_or_insert_with(CompressTable::large),
        };
        let size_at = out.len();
        let data_at = size_at + 4;
        out.resize(data_at + get_maximum_output_size(block.len()), 0);
        let size = match compress_into_with_table(block, &mut out[data_at..], table) {
            Ok(len) if len < block.len() => {
                out.truncate(data_at + len);
                len as u32
            }
            // What does not shrink is stored as it is.
            _ => {
                out.truncate(data_at);
                out.extend_from_slice(block);
                block.len() as u32 | UNCOMPRESSED
            }
        };
        out[size_at..data_at].copy_from_slice(&size.to_le_bytes());
    }
}

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const SKIPPABLE_MASK: u32 = 0xffff_fff0;
const END_MARK: u32 = 0;
/// Marks the size of a block that is stored as it is.
const UNCOMPRESSED: u32 = 1 << 31;

/// Version 1, independent blocks; of at most 64 KiB.
const WRITTEN_DESCRIPTOR: [u8; 2] = [0x60, 0x40];
const WRITTEN_BLOCK_LEN: usize = 64 << 10;
/// How far back a match may reach: the window that linked blocks share.
const WINDOW: usize = 64 << 10;

/// The second byte of the XXH32 of the frame descriptor.
fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

/// Reads the frames of one record section, one after the other.
struct FrameReader<'a> {
    input: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Where this section's content starts in `out`.
    out_start: usize,
    limit: usize,
}

/// What a frame's descriptor says.
struct Descriptor {
    linked_blocks: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_len_max: usize,
}

impl FrameReader<'_> {
    /// Reads every frame; bytes after the first one that begin no further frame are left alone, as Java leaves them.
    fn frames(&mut self) -> Result<(), CodecError> {
        let mut frames_read = 0;
        loop {
            match self.input.first_chunk().map(|magic| u32::from_le_bytes(*magic)) {
                Some(MAGIC) => {
                    self.input = &self.input[4..];
                    self.frame()?;
                    frames_read += 1;
                }
                Some(magic) if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC => {
                    self.input = &self.input[4..];
                    let len = self.take_u32()?;
                    self.take(len as usize)?;
                }
                _ if frames_read > 0 => return Ok(()),
                Some(_) => return Err(corrupt("it does not start with a frame")),
                None => return Err(corrupt(CUT_OFF)),
            }
        }
    }

    fn frame(&mut self) -> Result<(), CodecError> {
        let descriptor = self.descriptor()?;
        let content_start = self.out.len();
        loop {
            let word = self.take_u32()?;
            if word == END_MARK {
                break;
            }
            let size = (word & !UNCOMPRESSED) as usize;
            if size > descriptor.block_len_max {
                return Err(corrupt("a block is longer than its frame allows"));
            }
            let block = self.take(size)?;
            if descriptor.block_checksums && self.take_u32()? != xxh32(block) {
                return Err(corrupt("a block's checksum does not match"));
            }
            if word & UNCOMPRESSED != 0 {
                self.check_limit(size)?;
                self.out.extend_from_slice(block);
            } else {
                self.decompress_block(block, &descriptor, content_start)?;
            }
        }
        let content = &self.out[content_start..];
        if descriptor.content_size.is_some_and(|size| size != content.len() as u64) {
            return Err(corrupt("the content is not as long as its frame says"));
        }
        if descriptor.content_checksum {
            let computed = xxh32(content);
            if self.take_u32()? != computed {
                return Err(corrupt("the content's checksum does not match"));
            }
        }
        Ok(())
    }

    fn descriptor(&mut self) -> Result<Descriptor, CodecError> {
        let start = self.input;
        let [flags, block_size] = self.take_array()?;
        if flags >> 6 != 1 {
            return Err(corrupt("unknown version of the frame"));
        }
        let content_size = match flags & 0x08 != 0 {
            true => Some(u64::from_le_bytes(self.take_array()?)),
            false => None,
        };
        if flags & 0x01 != 0 {
            return Err(corrupt("the frame needs a dictionary"));
        }
        let descriptor = &start[..start.len() - self.input.len()];
        let [checksum] = self.take_array()?;
        if checksum != header_checksum(descriptor) && checksum != broken_header_checksum(descriptor) {
            return Err(corrupt("the frame's header checksum does not match"));
        }
        let block_len_max = match block_size >> 4 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return Err(corrupt("unknown block size")),
        };
        Ok(Descriptor {
            linked_blocks: flags & 0x20 == 0,
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            content_size,
            block_len_max,
        })
    }

    fn decompress_block(
        &mut self,
        block: &[u8],
        descriptor: &Descriptor,
        content_start: usize,
    ) -> Result<(), CodecError> {
        let limit_left = self.limit - (self.out.len() - self.out_start);
        let len_max = descriptor.block_len_max.min(block.len().saturating_mul(EXPANSION_MAX));
        // Room is zeroed before it is written, and so most blocks get what most blocks need.
        let guess = len_max.min(block.len().saturating_mul(EXPANSION_USUAL)).min(limit_left);
        if self.decompress_block_into(guess, block, descriptor, content_start).is_ok() {
            return Ok(());
        }
        let room = len_max.min(limit_left);
        match self.decompress_block_into(room, block, descriptor, content_start) {
            Ok(()) => Ok(()),
            Err(DecompressError::OutputTooSmall { .. }) if room < len_max => Err(self.limit_exceeded()),
            Err(error) => Err(corrupt(error)),
        }
    }

    /// Decompresses `block` if it yields at most `room` bytes; leaves `out` as it was otherwise.
    fn decompress_block_into(
        &mut self,
        room: usize,
        block: &[u8],
        descriptor: &Descriptor,
        content_start: usize,
    ) -> Result<(), DecompressError> {
        let start = self.out.len();
        self.out.resize(start + room, 0);
        let (before, block_out) = self.out.split_at_mut(start);
        let window_start = match descriptor.linked_blocks {
            true => content_start.max(start.saturating_sub(WINDOW)),
            false => start,
        };
        let result = match &before[window_start..] {
            [] => decompress_into(block, block_out),
            window => decompress_into_with_dict(block, block_out, window),
        };
        self.out.truncate(start + result.as_ref().copied().unwrap_or(0));
        result.map(drop)
    }

    fn check_limit(&self, more: usize) -> Result<(), CodecError> {
        match self.out.len() - self.out_start + more > self.limit {
            true => Err(self.limit_exceeded()),
            false => Ok(()),
        }
    }

    fn limit_exceeded(&self) -> CodecError {
        CodecError::LimitExceeded { compression: Compression::Lz4, limit: self.limit }
    }
}

/// What a frame is made of.
impl<'a> FrameReader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.input.split_at_checked(len).ok_or_else(|| corrupt(CUT_OFF))?;
        self.input = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.input.split_first_chunk().ok_or_else(|| corrupt(CUT_OFF))?;
        self.input = rest;
        Ok(*taken)
    }

    fn take_u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.take_array()?))
    }
}

const CUT_OFF: &str = "it is cut off";
/// What one byte of a block can yield at most: a match length that goes on.
const EXPANSION_MAX: usize = 255;
/// What one byte of a block yields nearly always at most.
const EXPANSION_USUAL: usize = 8;

fn corrupt(what: impl ToString) -> CodecError {
    CodecError::Corrupt { compression: Compression::Lz4, what: what.to_string() }
}

/// The header checksum as Kafka's clients wrote it before 0.10: over the magic too (KAFKA-3160).
fn broken_header_checksum(descriptor: &[u8]) -> u8 {
    let with_magic = [&MAGIC.to_le_bytes(), descriptor].concat();
    header_checksum(&with_magic)
}

/// XXH32 with seed 0, the checksum of the LZ4 frame format.
fn xxh32(bytes: &[u8]) -> u32 {
    let round = |lane: u32, word: u32| {
        lane.wrapping_add(word.wrapping_mul(PRIME_2)).rotate_left(13).wrapping_mul(PRIME_1)
    };
    let (stripes, tail) = bytes.as_chunks::<16>();
    let mut hash = if stripes.is_empty() {
        PRIME_5
    } else {
        let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0u32.wrapping_sub(PRIME_1)];
        for stripe in stripes {
            let (words, _) = stripe.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = round(*lane, u32::from_le_bytes(*word));
            }
        }
        let [a, b, c, d] = lanes;
        a.rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18))
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    let (words, rest) = tail.as_chunks::<4>();
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(PRIME_3);
        hash = hash.wrapping_add(mixed).rotate_left(17).wrapping_mul(PRIME_4);
    }
    for &byte in rest {
        let mixed = u32::from(byte).wrapping_mul(PRIME_5);
        hash = hash.wrapping_add(mixed).rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 16)
}

const PRIME_1: u32 = 0x9e37_79b1;
const PRIME_2: u32 = 0x85eb_ca77;
const PRIME_3: u32 = 0xc2b2_ae3d;
const PRIME_4: u32 = 0x27d4_eb2f;
const PRIME_5: u32 = 0x1656_67b1;

#[cfg(test)]
mod tests;
