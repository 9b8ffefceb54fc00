//! Kafka's variable-length integers: base 128, least significant group first, zigzag (Java: `ByteUtils`).

/// The most bytes that a 32-bit varint takes.
pub(crate) const VARINT_LEN_MAX: usize = 5;
/// The most bytes that a 64-bit varint takes.
pub(crate) const VARLONG_LEN_MAX: usize = 10;

/// A signed number as an unsigned one that is small when the number is near zero.
#[inline(always)]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline(always)]
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How many bytes a number in zigzag form takes.
#[inline(always)]
pub(crate) fn len(zigzag: u64) -> usize {
    // Nearly all numbers in a record take one byte or two, and the same one of them each time.
    match zigzag {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        rest => (64 - rest.leading_zeros() as usize).div_ceil(7),
    }
}

/// Writes a number in zigzag form at the start of `out`, which must have room for it, and returns how many bytes it took.
#[inline(always)]
pub(crate) fn put(out: &mut [u8], zigzag: u64) -> usize {
    match zigzag {
        rest @ ..0x80 => {
            out[0] = rest as u8;
            1
        }
        rest @ 0x80..0x4000 => {
            out[..2].copy_from_slice(&[rest as u8 | 0x80, (rest >> 7) as u8]);
            2
        }
        rest => put_long(out, rest),
    }
}

#[inline(never)]
fn put_long(out: &mut [u8], mut rest: u64) -> usize {
    let mut at = 0;
    while rest >= 0x80 {
        out[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = rest as u8;
    at + 1
}

/// Takes a varlong from the front of `input`; `None` when it is cut off or longer than 64 bits.
#[inline(always)]
pub(crate) fn take_i64(input: &mut &[u8]) -> Option<i64> {
    take(input, |short| short, Some)
}

/// Takes a varint from the front of `input`; `None` when it is cut off or no `i32`.
#[inline(always)]
pub(crate) fn take_i32(input: &mut &[u8]) -> Option<i32> {
    take(input, |short| short as i32, |long| i32::try_from(long).ok())
}

/// Takes a number of one or two bytes as `short` has it, and any other one as `long` has it. Numbers and what follows them go
/// by value, so that a reader's place in a record stays in registers.
#[inline(always)]
fn take<T>(
    input: &mut &[u8],
    short: impl FnOnce(i64) -> T,
    long: impl FnOnce(i64) -> Option<T>,
) -> Option<T> {
    let (value, rest) = match *input {
        [first @ ..0x80, rest @ ..] => (short(unzigzag(u64::from(*first))), rest),
        [first, second @ ..0x80, rest @ ..] => {
            (short(unzigzag(u64::from(first & 0x7f) | u64::from(*second) << 7)), rest)
        }
        all => {
            let (value, rest) = split_long(all)?;
            (long(value)?, rest)
        }
    };
    *input = rest;
    Some(value)
}

#[inline(never)]
fn split_long(input: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(VARLONG_LEN_MAX).enumerate() {
        let group = u64::from(byte & 0x7f);
        // The tenth group has room for one bit.
        if index == VARLONG_LEN_MAX - 1 && group > 1 {
            return None;
        }
        value |= group << (7 * index);
        if byte < 0x80 {
            return Some((unzigzag(value), &input[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: i64) -> Vec<u8> {
        let mut out = [0; VARLONG_LEN_MAX];
        let len = put(&mut out, zigzag(value));
        out[..len].to_vec()
    }

    #[test]
    fn bytes_are_those_of_javas_byte_utils() {
        for (value, bytes) in [
            (0, vec![0x00]),
            (-1, vec![0x01]),
            (1, vec![0x02]),
            (63, vec![0x7e]),
            (-64, vec![0x7f]),
            (64, vec![0x80, 0x01]),
            (-65, vec![0x81, 0x01]),
            (i64::from(i32::MAX), vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            assert_eq!(encoded(value), bytes, "{value}");
        }
    }

    #[test]
    fn cut_off_and_overlong_numbers_are_refused() {
        for bad in [&[][..], &[0x80], &[0x80; 9], &[0x80; 11], &[0xff; 10]] {
            assert_eq!(take_i64(&mut &bad[..]), None, "{bad:?}");
        }
        let too_big_for_i32 = encoded(i64::from(i32::MAX) + 1);
        assert_eq!(take_i32(&mut &too_big_for_i32[..]), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let bytes = encoded(value);
            prop_assert_eq!(bytes.len(), len(zigzag(value)));
            let mut input = &bytes[..];
            prop_assert_eq!(take_i64(&mut input), Some(value));
            prop_assert!(input.is_empty());
        }
    }
}
