//! Records as JSON objects, one a line: what `consume --output json` writes and `produce --json` reads. Pure.
//!
//! Text is a JSON string. Bytes that are not UTF-8 are base64, in `key_base64`, `value_base64`, and `{"base64": ".."}` in
//! headers. Null is `null`. What is written reads back as the same record.

mod reading;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::consume::ShownRecord;
pub(crate) use reading::read;

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
