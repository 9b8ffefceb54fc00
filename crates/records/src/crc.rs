//! The two checksums of Kafka's formats: CRC-32C for batches, CRC-32 for the messages of magic 0 and 1.

/// CRC-32C of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of two byte strings one after the other, from the CRC of each and the length of the second.
///
/// A CRC is a polynomial modulo `POLYNOMIAL`; what follows it shifts it up, which is a multiplication by `x^(8 * len)`.
/// That power is a product of one tabled factor for each byte of `len`, so that this costs at most four
/// multiplications, whatever the length.
pub(crate) fn combine(first: u32, second: u32, second_len: u32) -> u32 {
    let mut shifted = first;
    for (table, byte) in SHIFTS.iter().zip(second_len.to_le_bytes()) {
        if byte != 0 {
            shifted = multiply(shifted, table[usize::from(byte)]);
        }
    }
    shifted ^ second
}

/// CRC-32 (IEEE 802.3, as in zlib) of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| CRC32_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

/// The CRC-32C polynomial, bit-reversed: the coefficient of `x^0` is the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// `x^0` in that order of bits.
const ONE: u32 = 1 << 31;

/// `SHIFTS[i][b]` is `x^(8 * b * 256^i)`: what `b * 256^i` following bytes multiply a CRC by.
static SHIFTS: [[u32; 256]; 4] = shifts();
static CRC32_TABLE: [u32; 256] = crc32_table();

/// The product of two polynomials modulo `POLYNOMIAL`.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        // Masks in place of branches: the bits are as good as random.
        product ^= b & 0u32.wrapping_sub((a >> bit) & 1);
        b = (b >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(b & 1));
    }
    product
}

const fn shifts() -> [[u32; 256]; 4] {
    let mut tables = [[ONE; 256]; 4];
    // x^8: one byte further.
    let mut unit = ONE >> 8;
    let mut i = 0;
    while i < 4 {
        let mut b = 1;
        while b < 256 {
            tables[i][b] = multiply(tables[i][b - 1], unit);
            b += 1;
        }
        unit = multiply(tables[i][255], unit);
        i += 1;
    }
    tables
}

const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_values_of_both_crcs() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn combines_over_lengths_that_use_every_table() {
        let first = crc32c(b"milena");
        for len in [1u32, 255, 256, 257, 65_535, 65_536, 70_001, 16_777_216, 16_843_009] {
            let expected = crc32c::crc32c_combine(first, 7, len as usize);
            assert_eq!(combine(first, 7, len), expected, "{len}");
        }
        assert_eq!(combine(first, 0, 0), first);
    }

    proptest! {
        #[test]
        fn combined_is_the_crc_of_the_whole(first: Vec<u8>, second: Vec<u8>) {
            let whole = [&first[..], &second[..]].concat();
            let combined = combine(crc32c(&first), crc32c(&second), second.len() as u32);
            prop_assert_eq!(combined, crc32c(&whole));
        }
    }
}
