//! From a record to output. Pure.

use milena::RecordRef;

use super::template::Template;
use crate::record_json;

/// A record as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownRecord<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl<'a> ShownRecord<'a> {
    pub(crate) fn new(topic: &'a str, partition: i32, record: &RecordRef<'a>) -> Self {
        Self {
            topic,
            partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers().map(|header| (header.key, header.value)).collect(),
        }
    }
}

/// How records are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// The value, or key and value, and an end of line.
    Text {
        /// Shows keys, with this behind them.
        key_separator: Option<Vec<u8>>,
    },
    /// A JSON object each; see [`record_json`].
    Json,
    Template(Template),
}

impl Format {
    /// Appends `record`; `null` stands for what is null, except in JSON.
    pub(crate) fn write(&self, record: &ShownRecord<'_>, null: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text { key_separator } => {
                if let Some(separator) = key_separator {
                    out.extend_from_slice(record.key.unwrap_or(null));
                    out.extend_from_slice(separator);
                }
                out.extend_from_slice(record.value.unwrap_or(null));
                out.push(b'\n');
            }
            Self::Json => record_json::write(record, out),
            Self::Template(template) => template.render(record, null, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_produce_reads_back() {
        let record = ShownRecord {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: Some(b"k\xff"),
            value: None,
            headers: Vec::new(),
        };
        let text = |key_separator: Option<&[u8]>| {
            let mut out = Vec::new();
            let format = Format::Text { key_separator: key_separator.map(<[u8]>::to_vec) };
            format.write(&record, b"NULL", &mut out);
            out
        };
        assert_eq!(text(None), b"NULL\n");
        assert_eq!(text(Some(b"\t")), b"k\xff\tNULL\n");
    }
}
