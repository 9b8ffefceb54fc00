//! Records as JSON, there and back.

use super::*;
use crate::produce::NewRecord;

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
fn what_cannot_be_meant_is_refused_with_its_column_and_what_to_write_instead() {
    let object = "a line is one JSON object, such as {\"key\": \"u42\", \"value\": {\"total\": 12}}";
    for (line, error) in [
        ("", format!("column 1: nothing is here; {object}")),
        ("not json", format!("column 1: this is no JSON; {object}")),
        ("[1, 2]", format!("column 1: this is a list; {object}")),
        ("  5", format!("column 3: this is a number; {object}")),
        ("{\"value\": 1", "column 12: the line ends in the middle of the JSON".to_owned()),
        ("{\"größe\": 1", "column 12: the line ends in the middle of the JSON".to_owned()),
        ("{value: 1}", "column 2: this is no JSON; a name is written \"value\": in double quotes".to_owned()),
        (
            "{'value': 1}",
            "column 2: this is no JSON; a name is written \"value\": in double quotes".to_owned(),
        ),
        ("{\"value\": x}", "column 11: this is no JSON".to_owned()),
        (
            "{\"value\": 1} {\"value\": 2}",
            "column 14: something stands behind the object; write one object a line".to_owned(),
        ),
    ] {
        assert_eq!(read(line.as_bytes()).unwrap_err(), error, "{line}");
    }
    assert_eq!(read(b"{\"value\": \"\xff\"}").unwrap_err(), "column 12: this is not UTF-8");
}

#[test]
fn a_field_that_cannot_be_read_is_told_with_what_it_has_to_be() {
    for (line, error) in [
        (
            r#"{"valeu": 1}"#,
            "column 2: nothing is known of `valeu`; there are key, value, headers, partition, timestamp, key_base64, value_base64",
        ),
        (r#"{"key": "a", "key": "b"}"#, "column 14: `key` is here twice; keep one of them"),
        (
            r#"{"value": 1, "value_base64": "AA=="}"#,
            "column 30: `value` and `value_base64` are both here; keep one of them",
        ),
        (r#"{"value_base64": "?"}"#, "column 18: `value_base64` has to be a string in base64"),
        (r#"{"key_base64": 5}"#, "column 16: `key_base64` has to be a string in base64"),
        (r#"{"value": "\ud800"}"#, "column 11: `value` has an escape that is no character"),
        (r#"{"partition": 1.5}"#, "column 15: `partition` has to be a whole number from 0 to 2147483647"),
        (r#"{"partition": -1}"#, "column 15: `partition` has to be a whole number from 0 to 2147483647"),
        (r#"{"partition": "x"}"#, "column 15: `partition` has to be a whole number from 0 to 2147483647"),
        (
            r#"{"timestamp": "yesterday"}"#,
            "column 15: `timestamp` has to be milliseconds since 1970, or a time as \"2026-11-23T10:00:00Z\"",
        ),
        (
            r#"{"timestamp": 1.5}"#,
            "column 15: `timestamp` has to be milliseconds since 1970, or a time as \"2026-11-23T10:00:00Z\"",
        ),
        (r#"{"headers": 5}"#, "column 13: `headers` has to be an object, or a list of [\"name\", \"value\"]"),
        (
            r#"{"headers": [["a"]]}"#,
            "column 14: `headers` has to be an object, or a list of [\"name\", \"value\"]",
        ),
        (
            r#"{"headers": {"a": 5}}"#,
            "column 19: a header's value has to be a string, null, or {\"base64\": \"..\"}",
        ),
        (
            r#"{"headers": [["a", {"base64": "?"}]]}"#,
            "column 20: a header's value has to be a string, null, or {\"base64\": \"..\"}",
        ),
        (
            r#"{"headers": [[{"base64": "/w=="}, "x"]]}"#,
            "column 15: a header's name has to be a string; one that is not UTF-8 cannot be sent",
        ),
    ] {
        assert_eq!(read(line.as_bytes()).unwrap_err(), error, "{line}");
    }
}

#[test]
fn null_is_nothing_in_every_field() {
    let line = br#"{"key": null, "value": null, "headers": null, "partition": null, "timestamp": null}"#;
    assert_eq!(read(line), Ok(NewRecord::default()));
}
