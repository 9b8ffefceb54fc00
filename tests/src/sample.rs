//! Records with everything that records can have, in a notation that every peer reads.

use std::fmt::Write;

/// A record as the peers write it down; see `tests/peers/README.md`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireRecord {
    /// Its partition.
    pub partition: i32,
    /// Its timestamp in milliseconds.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl WireRecord {
    /// The record as a line.
    pub fn to_line(&self) -> String {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(key, value)| format!("{}:{}", to_text(Some(key.as_bytes())), to_text(value.as_deref())))
            .collect();
        let (key, value) = (to_text(self.key.as_deref()), to_text(self.value.as_deref()));
        format!("{}\t{}\t{key}\t{value}\t{}", self.partition, self.timestamp_ms, headers.join(","))
    }

    /// The offset and record of a line that a peer's `consume` printed.
    pub fn from_consumed_line(line: &str) -> Option<(i64, Self)> {
        let mut fields = line.split('\t');
        let offset = fields.next()?.parse().ok()?;
        let partition = fields.next()?.parse().ok()?;
        let timestamp_ms = fields.next()?.parse().ok()?;
        let (key, value) = (from_text(fields.next()?)?, from_text(fields.next()?)?);
        let headers = fields
            .next()?
            .split(',')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (key, value) = header.split_once(':')?;
                Some((String::from_utf8(from_text(key)??).ok()?, from_text(value)?))
            })
            .collect::<Option<_>>()?;
        Some((offset, Self { partition, timestamp_ms, key, value, headers }))
    }
}

fn to_text(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    bytes.iter().fold("x".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_text(text: &str) -> Option<Option<Vec<u8>>> {
    if text == "-" {
        return Some(None);
    }
    let digits = text.strip_prefix('x')?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Some)
}

/// Records over `partitions` partitions: null, empty, binary, long and compressible keys and values; headers with repeated keys, null
/// and empty values.
pub fn sample_records(partitions: i32) -> Vec<WireRecord> {
    const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;
    let keys = [None, Some(Vec::new()), Some(b"key".to_vec()), Some((0..=255).collect())];
    let values = [
        None,
        Some(Vec::new()),
        Some(b"value".to_vec()),
        Some("žluťoučký kůň".as_bytes().to_vec()),
        Some(b"compressible ".repeat(8_000)),
        Some((0..40_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect()),
    ];
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let header_sets = [
        vec![],
        vec![header("trace_id", Some(b"f00d"))],
        vec![
            header("twice", Some(b"1")),
            header("twice", Some(b"2")),
            header("null", None),
            header("empty", Some(b"")),
        ],
    ];
    let mut records = Vec::new();
    for key in &keys {
        for value in &values {
            for headers in &header_sets {
                let number = records.len();
                records.push(WireRecord {
                    partition: i32::try_from(number).unwrap_or(0) % partitions,
                    timestamp_ms: FIRST_TIMESTAMP_MS + (number as i64 * 37) % 1_000,
                    key: key.clone(),
                    value: value.clone(),
                    headers: headers.clone(),
                });
            }
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back() {
        for record in sample_records(3) {
            let line = format!("7\t{}", record.to_line());
            assert_eq!(WireRecord::from_consumed_line(&line), Some((7, record)));
        }
    }
}
