//! From a line of input to a record. Pure.

use std::borrow::Cow;

use crate::record_json;

/// Names and values of headers, in order.
pub(crate) type NewHeaders = Vec<(String, Option<Vec<u8>>)>;

/// A record to send, as slices of the input where that is possible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NewRecord<'a> {
    pub(crate) key: Option<Cow<'a, [u8]>>,
    pub(crate) value: Option<Cow<'a, [u8]>>,
    pub(crate) headers: NewHeaders,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp_ms: Option<i64>,
}

/// How lines are read.
#[derive(Debug, Clone)]
pub(crate) enum LineFormat {
    /// A JSON object each; see [`record_json`].
    Json,
    /// The value, or a key and a value.
    Text {
        /// What stands between key and value; without one, the line is the value.
        key_separator: Option<Vec<u8>>,
        /// A key or value of exactly these bytes is null.
        null_marker: Option<Vec<u8>>,
    },
}

impl LineFormat {
    /// Reads one line, without its end.
    pub(crate) fn parse<'a>(&self, line: &'a [u8]) -> Result<NewRecord<'a>, String> {
        match self {
            Self::Json => record_json::read(line),
            Self::Text { key_separator, null_marker } => {
                let (key, value) = match key_separator.as_deref().and_then(|separator| find(line, separator))
                {
                    Some((key, value)) => (Some(key), value),
                    None => (None, line),
                };
                let unless_null =
                    |bytes: &'a [u8]| (null_marker.as_deref() != Some(bytes)).then_some(Cow::Borrowed(bytes));
                let (key, value) = (key.and_then(unless_null), unless_null(value));
                Ok(NewRecord { key, value, ..Default::default() })
            }
        }
    }
}

/// What is before and what is behind the first `separator`.
fn find<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes, or null.
    type NullableBytes<'a> = Option<Cow<'a, [u8]>>;

    fn parse<'a>(
        key_separator: Option<&str>,
        null_marker: Option<&str>,
        line: &'a [u8],
    ) -> (NullableBytes<'a>, NullableBytes<'a>) {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let format =
            LineFormat::Text { key_separator: key_separator.map(bytes), null_marker: null_marker.map(bytes) };
        let record = format.parse(line).unwrap();
        (record.key, record.value)
    }

    fn some(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(bytes))
    }

    #[test]
    fn a_line_is_a_value_whatever_its_bytes() {
        assert_eq!(parse(None, None, b"a:b"), (None, some(b"a:b")));
        assert_eq!(parse(None, None, b"\xff\x00\r"), (None, some(b"\xff\x00\r")));
        assert_eq!(parse(None, None, b""), (None, some(b"")));
    }

    #[test]
    fn the_first_separator_divides_key_and_value() {
        assert_eq!(parse(Some(":"), None, b"k:v:w"), (some(b"k"), some(b"v:w")));
        assert_eq!(parse(Some("=>"), None, b"k=v=>w"), (some(b"k=v"), some(b"w")));
        assert_eq!(parse(Some(":"), None, b":"), (some(b""), some(b"")));
        assert_eq!(parse(Some(":"), None, b"no key"), (None, some(b"no key")));
    }

    #[test]
    fn the_marker_stands_for_null_only_alone() {
        assert_eq!(parse(Some(":"), Some("NULL"), b"k:NULL"), (some(b"k"), None));
        assert_eq!(parse(Some(":"), Some("NULL"), b"NULL:v"), (None, some(b"v")));
        assert_eq!(parse(Some(":"), Some("NULL"), b"k:NULLS"), (some(b"k"), some(b"NULLS")));
        assert_eq!(parse(Some(":"), Some(""), b"k:"), (some(b"k"), None));
    }
}
