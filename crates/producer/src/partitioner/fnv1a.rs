/// The FNV-1a hash as librdkafka and Sarama partition by it: the absolute value of the 32-bit hash
/// taken as signed.
pub(super) fn fnv1a(data: &[u8]) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;

    let hash = data.iter().fold(OFFSET_BASIS, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME));
    (hash as i32).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of librdkafka's `unittest_fnv1a`, which come from Go's implementation.
    #[test]
    fn fnv1a_is_that_of_librdkafka_and_sarama() {
        let vectors: [(&str, u32); 11] = [
            ("kafka", 0x0d33_c4e1),
            ("giberish123456789", 0x77a5_8295),
            ("1234", 0x023b_dd03),
            ("234", 0x2dea_3cd2),
            ("34", 0x740f_a83e),
            ("4", 0x310c_a263),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
            ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x6e49_c79a),
            ("eAmbleWillBeRemoved,ThePrePartThatIs", 0x69ee_d356),
            ("AmbleWillBeRemoved,ThePrePartThatIs", 0x6abc_c023),
            ("", 0x7ee3_623b),
        ];
        for (key, hash) in vectors {
            assert_eq!(fnv1a(key.as_bytes()), hash, "{key}");
        }
    }
}
