use md5::{Digest, Md5};

/// `int(hashlib.md5(key).hexdigest(), 16) % partitions`, the recipe of Python users: the remainder of
/// all 128 bits.
pub(super) fn md5_modulo(key: &[u8], partitions: u32) -> u32 {
    let digest = u128::from_be_bytes(Md5::digest(key).into());
    // Fits: a remainder is below its divisor.
    (digest % u128::from(partitions)) as u32
}
