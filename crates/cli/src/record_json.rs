//! Records as JSON objects, one a line: what `consume --output json` writes and `produce --json` reads. Pure.
//!
//! Text is a JSON string. Bytes that are not UTF-8 are base64, in `key_base64`, `value_base64`, and `{"base64": ".."}` in
//! headers. Null is `null`. What is written reads back as the same record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::consume::ShownRecord;
use crate::produce::{NewHeaders, NewRecord};
use crate::timestamp;

/// Appends `record` as one line.
pub(crate) fn write(record: &ShownRecord<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, record).expect("a record has a JSON form, and a vector takes it");
    out.push(b'\n');
}

impl Serialize for ShownRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", self.topic)?;
        map.serialize_entry("partition", &self.partition)?;
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        for (name, name_base64, bytes) in
            [("key", "key_base64", self.key), ("value", "value_base64", self.value)]
        {
            match bytes.map(|bytes| str::from_utf8(bytes).map_err(|_| bytes)) {
                None => map.serialize_entry(name, &())?,
                Some(Ok(text)) => map.serialize_entry(name, text)?,
                Some(Err(bytes)) => map.serialize_entry(name_base64, &STANDARD.encode(bytes))?,
            }
        }
        map.serialize_entry("headers", &Headers(&self.headers))?;
        map.end()
    }
}

/// Pairs in a list: names may repeat, and their order counts.
struct Headers<'a>(&'a [(&'a [u8], Option<&'a [u8]>)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            list.serialize_element(&(TextOrBase64(name), value.map(TextOrBase64)))?;
        }
        list.end()
    }
}

struct TextOrBase64<'a>(&'a [u8]);

impl Serialize for TextOrBase64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => BTreeMap::from([("base64", STANDARD.encode(self.0))]).serialize(serializer),
        }
    }
}

/// Reads one record.
///
/// A key or value that is a JSON string is its text; any other JSON (an object, a number) is sent as it is written.
pub(crate) fn read(line: &[u8]) -> Result<NewRecord<'_>, String> {
    let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let fields: Fields<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    Ok(NewRecord {
        key: bytes("key", fields.key, fields.key_base64.as_deref())?,
        value: bytes("value", fields.value, fields.value_base64.as_deref())?,
        headers: fields.headers.map_or(Ok(Vec::new()), HeadersField::read)?,
        partition: fields.partition,
        timestamp_ms: fields.timestamp.map(TimestampField::read).transpose()?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<Cow<'a, str>>,
    headers: Option<HeadersField>,
    partition: Option<i32>,
    timestamp: Option<TimestampField>,
    /// Where a record was read: it may go elsewhere, and its offset is the broker's to give.
    #[serde(rename = "topic")]
    _topic: Option<serde::de::IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "headers are a list of [name, value], or an object")]
enum HeadersField {
    List(Vec<(TextField, Option<TextField>)>),
    Object(BTreeMap<String, Option<TextField>>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a header's name and value are strings, or {\"base64\": \"..\"}")]
enum TextField {
    Text(String),
    Base64 { base64: String },
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a timestamp is a number of milliseconds, or a time as 2026-11-23T10:00:00Z")]
enum TimestampField {
    Milliseconds(i64),
    Text(String),
}

fn bytes<'a>(
    name: &str,
    json: Option<&'a RawValue>,
    base64: Option<&str>,
) -> Result<Option<Cow<'a, [u8]>>, String> {
    match (json.map(RawValue::get), base64) {
        (None, None) => Ok(None),
        (None, Some(base64)) => decode(base64).map(Cow::Owned).map(Some),
        (Some(_), Some(_)) => Err(format!("both `{name}` and `{name}_base64`; keep one of them")),
        (Some(json), None) if json.starts_with('"') => {
            let text: Cow<'a, str> = borrowed_or_owned(json)?;
            Ok(Some(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }))
        }
        (Some(json), None) => Ok(Some(Cow::Borrowed(json.as_bytes()))),
    }
}

/// A JSON string, without a copy where it has no escapes.
fn borrowed_or_owned(json: &str) -> Result<Cow<'_, str>, String> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(json).map(|text| text.0).map_err(|error| error.to_string())
}

fn decode(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("not base64: {error}"))
}

impl HeadersField {
    fn read(self) -> Result<NewHeaders, String> {
        let header = |name: String, value: Option<TextField>| {
            Ok((name, value.map(TextField::into_bytes).transpose()?))
        };
        match self {
            Self::Object(headers) => headers.into_iter().map(|(name, value)| header(name, value)).collect(),
            Self::List(headers) => headers
                .into_iter()
                .map(|(name, value)| match name {
                    TextField::Text(name) => header(name, value),
                    TextField::Base64 { .. } => {
                        Err("a header's name has to be text; that of this record is not UTF-8".to_owned())
                    }
                })
                .collect(),
        }
    }
}

impl TextField {
    fn into_bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64 { base64 } => decode(&base64),
        }
    }
}

impl TimestampField {
    fn read(self) -> Result<i64, String> {
        match self {
            Self::Milliseconds(milliseconds) => Ok(milliseconds),
            Self::Text(text) => timestamp::parse(&text)
                .ok_or_else(|| format!("`{text}` is no time; write 2026-11-23T10:00:00Z")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>() -> ShownRecord<'a> {
        ShownRecord {
            topic: "orders",
            partition: 3,
            offset: 42,
            timestamp: 1_763_892_000_000,
            key: Some(b"u42"),
            value: Some(b"{\"total\": 12}"),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let mut out = Vec::new();
        let headers = vec![(&b"trace"[..], Some(&b"f00d"[..])), (b"trace", None), (b"bin", Some(b"\xff"))];
        write(&ShownRecord { headers, ..shown() }, &mut out);
        let expected = concat!(
            r#"{"topic":"orders","partition":3,"offset":42,"timestamp":1763892000000,"#,
            r#""key":"u42","value":"{\"total\": 12}","#,
            r#""headers":[["trace","f00d"],["trace",null],["bin",{"base64":"/w=="}]]}"#,
            "\n"
        );
        assert_eq!(str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_record() {
        let parts: [Option<&[u8]>; 5] =
            [None, Some(b""), Some(b"text \"quoted\"\n"), Some(b"\xff\x00"), Some(b"7")];
        for key in parts {
            for value in parts {
                let headers = vec![(&b"h"[..], key), (b"h", value)];
                let record = ShownRecord { key, value, headers, ..shown() };
                let mut line = Vec::new();
                write(&record, &mut line);
                let read = read(&line).unwrap();
                assert_eq!((read.key.as_deref(), read.value.as_deref()), (key, value));
                let headers: Vec<_> =
                    read.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())).collect();
                assert_eq!(headers, record.headers);
                assert_eq!((read.partition, read.timestamp_ms), (Some(3), Some(1_763_892_000_000)));
            }
        }
    }

    #[test]
    fn json_that_is_no_string_is_sent_as_it_is_written() {
        let record = read(br#"{"key": 12345678901234567890123, "value": {"a": [1,  2.50]}}"#).unwrap();
        assert_eq!(record.key.as_deref(), Some(&b"12345678901234567890123"[..]));
        assert_eq!(record.value.as_deref(), Some(&br#"{"a": [1,  2.50]}"#[..]));
    }

    #[test]
    fn headers_may_be_an_object_and_times_text() {
        let line = br#"{"value":"v","headers":{"a":"1","b":null},"timestamp":"2025-11-23T10:00:00Z"}"#;
        let record = read(line).unwrap();
        let expected = [("a".to_owned(), Some(b"1".to_vec())), ("b".to_owned(), None)];
        assert_eq!(record.headers, expected);
        assert_eq!(record.timestamp_ms, Some(1_763_892_000_000));
        assert_eq!(record.key, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |line: &str, words: &str| {
            let error = read(line.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        };
        refused("not json", "expected");
        refused(r#"{"valeu": 1}"#, "unknown field `valeu`");
        refused(r#"{"value": 1, "value_base64": "AA=="}"#, "both `value` and `value_base64`");
        refused(r#"{"value_base64": "?"}"#, "not base64");
        refused(r#"{"headers": [["a"]]}"#, "headers are a list");
        refused(r#"{"headers": [[{"base64": "/w=="}, "x"]]}"#, "has to be text");
        refused(r#"{"timestamp": "yesterday"}"#, "`yesterday` is no time");
        refused(r#"{"value": 1} {"value": 2}"#, "trailing");
    }
}
