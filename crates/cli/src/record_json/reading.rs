//! From a line of JSON to a record, with errors for whoever wrote the line.

use std::borrow::Cow;
use std::fmt;
use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::produce::{NewHeaders, NewRecord};
use crate::timestamp;

const AN_OBJECT: &str = "a line is one JSON object, such as {\"key\": \"u42\", \"value\": {\"total\": 12}}";
const FIELDS: &str = "key, value, headers, partition, timestamp, key_base64, value_base64";
const A_PARTITION: &str = "`partition` has to be a whole number from 0 to 2147483647";
const A_TIMESTAMP: &str =
    "`timestamp` has to be milliseconds since 1970, or a time as \"2026-11-23T10:00:00Z\"";
const HEADERS: &str = "`headers` has to be an object, or a list of [\"name\", \"value\"]";
const A_HEADER_NAME: &str = "a header's name has to be a string; one that is not UTF-8 cannot be sent";
const A_HEADER_VALUE: &str = "a header's value has to be a string, null, or {\"base64\": \"..\"}";

/// Reads one record.
///
/// A key or value that is a JSON string is its text; any other JSON (an object, a number) is sent as it is written.
pub(crate) fn read(line: &[u8]) -> Result<NewRecord<'_>, String> {
    let text = str::from_utf8(line).map_err(|error| {
        let before = String::from_utf8_lossy(&line[..error.valid_up_to()]);
        format!("column {}: this is not UTF-8", before.chars().count() + 1)
    })?;
    let line = Line(text);
    let mut record = NewRecord::default();
    let mut seen = Vec::new();
    for (name, json) in line.object()? {
        if seen.contains(&name) {
            return Err(line.at(&name, json, &format!("`{name}` is here twice; keep one of them")));
        }
        line.field(&mut record, &name, json, &seen)?;
        seen.push(name);
    }
    Ok(record)
}

/// A line, to tell where in it something stands.
struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    fn object(&self) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, String> {
        serde_json::from_str::<Object<'a>>(self.0)
            .map(|object| object.0)
            .map_err(|error| self.no_object(&error))
    }

    fn field(
        &self,
        record: &mut NewRecord<'a>,
        name: &str,
        json: &'a RawValue,
        seen: &[Cow<'_, str>],
    ) -> Result<(), String> {
        let error = |text: &str| self.error(json.get(), text);
        match name {
            // Where a record was read: it may go elsewhere, and its offset is the broker's to give.
            "topic" | "offset" => {}
            "key" | "key_base64" | "value" | "value_base64" => {
                let (plain, is_base64) =
                    name.strip_suffix("_base64").map_or((name, false), |name| (name, true));
                let other = if is_base64 { plain.to_owned() } else { format!("{plain}_base64") };
                if seen.contains(&Cow::Borrowed(other.as_str())) {
                    return Err(error(&format!(
                        "`{plain}` and `{plain}_base64` are both here; keep one of them"
                    )));
                }
                let bytes = if is_base64 { base64(json) } else { plain_bytes(json) };
                let bytes = bytes.map_err(|problem| error(&format!("`{name}` {problem}")))?;
                if plain == "key" { record.key = bytes } else { record.value = bytes }
            }
            "partition" => {
                let partition: Option<i32> = parse(json).map_err(|_| error(A_PARTITION))?;
                if partition.is_some_and(i32::is_negative) {
                    return Err(error(A_PARTITION));
                }
                record.partition = partition;
            }
            "timestamp" => record.timestamp_ms = timestamp_ms(json).ok_or_else(|| error(A_TIMESTAMP))?,
            "headers" => record.headers = self.headers(json)?,
            _ => {
                let text = format!("nothing is known of `{name}`; there are {FIELDS}");
                return Err(self.at(name, json, &text));
            }
        }
        Ok(())
    }

    fn headers(&self, json: &'a RawValue) -> Result<NewHeaders, String> {
        if is_null(json) {
            return Ok(NewHeaders::new());
        }
        if let Ok(object) = parse::<Object<'a>>(json) {
            let header =
                |(name, value): (Cow<'_, str>, _)| Ok((name.into_owned(), self.header_value(value)?));
            return object.0.into_iter().map(header).collect();
        }
        let list: Vec<&'a RawValue> = parse(json).map_err(|_| self.error(json.get(), HEADERS))?;
        let header = |json: &'a RawValue| {
            let (name, value): (&'a RawValue, &'a RawValue) =
                parse(json).map_err(|_| self.error(json.get(), HEADERS))?;
            let text: String = parse(name).map_err(|_| self.error(name.get(), A_HEADER_NAME))?;
            Ok((text, self.header_value(value)?))
        };
        list.into_iter().map(header).collect()
    }

    fn header_value(&self, json: &RawValue) -> Result<Option<Vec<u8>>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Base64 {
            base64: String,
        }
        if let Ok(text) = parse::<Option<String>>(json) {
            return Ok(text.map(String::into_bytes));
        }
        // A list would do for a struct of one field.
        let object = Some(json).filter(|json| json.get().starts_with('{'));
        let bytes = object.and_then(|json| parse::<Base64>(json).ok());
        let bytes = bytes.and_then(|bytes| STANDARD.decode(bytes.base64).ok());
        bytes.map(Some).ok_or_else(|| self.error(json.get(), A_HEADER_VALUE))
    }

    /// Why the line is no object.
    fn no_object(&self, error: &serde_json::Error) -> String {
        let trimmed = self.0.trim_start();
        let begin = self.0.len() - trimmed.len();
        if !trimmed.starts_with('{') {
            let what = match trimmed.chars().next() {
                None => "nothing is here",
                _ if error.classify() != Category::Data => "this is no JSON",
                Some('[') => "this is a list",
                Some('"') => "this is a string",
                Some('-' | '0'..='9') => "this is a number",
                Some(_) => "this is a word",
            };
            return self.error_at(begin, &format!("{what}; {AN_OBJECT}"));
        }
        // Where serde_json stands: at the byte that it did not expect, or behind the last one.
        let at = error.column().saturating_sub(1);
        let mut behind = serde_json::Deserializer::from_str(self.0).into_iter::<&RawValue>();
        if matches!(behind.next(), Some(Ok(_))) {
            return self.error_at(at, "something stands behind the object; write one object a line");
        }
        match error.classify() {
            Category::Eof => self.error_at(self.0.len(), "the line ends in the middle of the JSON"),
            _ if is_name_expected(&self.0[..at.min(self.0.len())]) => {
                self.error_at(at, "this is no JSON; a name is written \"value\": in double quotes")
            }
            _ => self.error_at(at, "this is no JSON"),
        }
    }

    /// An error at a name if that is a slice of the line, else at its value.
    fn at(&self, name: &str, json: &RawValue, text: &str) -> String {
        // The quotation mark is before the name.
        match self.position(name).and_then(|at| at.checked_sub(1)) {
            Some(at) => self.error_at(at, text),
            None => self.error(json.get(), text),
        }
    }

    fn error(&self, part: &str, text: &str) -> String {
        self.error_at(self.position(part).unwrap_or(0), text)
    }

    fn error_at(&self, byte: usize, text: &str) -> String {
        let characters = self.0.char_indices().take_while(|(at, _)| *at < byte).count();
        format!("column {}: {text}", characters + 1)
    }

    /// Where `part` begins, if it is a slice of the line.
    fn position(&self, part: &str) -> Option<usize> {
        (part.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize).filter(|at| *at < self.0.len())
    }
}

/// Whether an object goes on with the name of a field.
fn is_name_expected(before: &str) -> bool {
    before.trim_end().ends_with(['{', ','])
}

fn parse<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(json.get())
}

fn is_null(json: &RawValue) -> bool {
    json.get() == "null"
}

fn plain_bytes(json: &RawValue) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    if is_null(json) {
        return Ok(None);
    }
    if !json.get().starts_with('"') {
        return Ok(Some(Cow::Borrowed(json.get().as_bytes())));
    }
    /// Without a copy where there are no escapes.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match parse::<Text<'_>>(json) {
        Ok(Text(Cow::Borrowed(text))) => Ok(Some(Cow::Borrowed(text.as_bytes()))),
        Ok(Text(Cow::Owned(text))) => Ok(Some(Cow::Owned(text.into_bytes()))),
        // The rest of a string was read before.
        Err(_) => Err("has an escape that is no character"),
    }
}

fn base64(json: &RawValue) -> Result<Option<Cow<'static, [u8]>>, &'static str> {
    const HAS_TO_BE: &str = "has to be a string in base64";
    let text: Option<String> = parse(json).map_err(|_| HAS_TO_BE)?;
    text.map(|text| STANDARD.decode(text).map(Cow::Owned).map_err(|_| HAS_TO_BE)).transpose()
}

/// `None` when it is neither null nor a time.
fn timestamp_ms(json: &RawValue) -> Option<Option<i64>> {
    if let Ok(milliseconds) = parse::<Option<i64>>(json) {
        return Some(milliseconds);
    }
    let text: String = parse(json).ok()?;
    timestamp::parse(&text).map(Some)
}

/// The fields of an object, in order; names may repeat.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Of `Cow`, serde borrows nothing by itself.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), json)) = map.next_entry()? {
                    fields.push((name, json));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
