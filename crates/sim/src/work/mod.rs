//! What clients do in a run.

pub(crate) mod admin;
pub(crate) mod consumer;
pub(crate) mod isolation;
pub(crate) mod producer;
pub(crate) mod reader;

use std::io::Write;

use milena_history::RecordId;

/// A record's value: its id, and as many bytes as it should have.
fn value_of(id: RecordId, bytes: usize) -> Vec<u8> {
    // An id has at most so many digits.
    let mut value = Vec::with_capacity(bytes.max(20));
    // Writing to a vector cannot fail.
    let _ = write!(value, "{id}");
    if value.len() < bytes {
        value.push(b' ');
        value.resize(bytes, b'a' + (id % 23) as u8);
    }
    value
}

/// The id that a value carries; 0, which no record has, if it carries none.
fn id_in(value: Option<&[u8]>) -> RecordId {
    let digits = value.unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_carries_its_id_whatever_its_size() {
        for bytes in [0, 1, 5, 6, 100] {
            assert_eq!(id_in(Some(&value_of(12_345, bytes))), 12_345);
        }
        assert_eq!(id_in(None), 0);
    }
}
