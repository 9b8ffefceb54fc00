//! What Java 4.3.1 wrote (see `../golden/README.md`).

use std::collections::BTreeSet;
use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use milena_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use milena_protocol::{ApiKey, decode_request_header, decode_response, encode_request, encode_response};
use serde_json::Value as Json;

use crate::generated::fields::MESSAGES;
use crate::reflect::{Entry, unhexadecimal};

/// A message in one version, as Java wrote it.
pub(crate) struct Golden {
    pub(crate) message: String,
    pub(crate) version: i16,
    mode: String,
    pub(crate) bytes: Bytes,
    value: Json,
}

/// All of them.
pub(crate) fn golden() -> Vec<Golden> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("../golden/messages.jsonl.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(Golden::parse).collect()
}

impl Golden {
    fn parse(line: &str) -> Golden {
        let mut line: Json = serde_json::from_str(line).unwrap();
        Golden {
            message: line["message"].as_str().unwrap().to_owned(),
            version: i16::try_from(line["version"].as_i64().unwrap()).unwrap(),
            mode: line["mode"].as_str().unwrap().to_owned(),
            bytes: unhexadecimal(line["bytes"].as_str().unwrap()),
            value: line["value"].take(),
        }
    }

    fn place(&self) -> String {
        format!("{} version {} {}", self.message, self.version, self.mode)
    }

    /// Whether each field has a value of its own.
    pub(crate) fn is_filled(&self) -> bool {
        self.mode == "FILLED"
    }

    /// What is known of the message; nothing for headers.
    pub(crate) fn entry(&self) -> Option<&'static Entry> {
        MESSAGES.iter().find(|entry| entry.name == self.message)
    }
}

#[test]
fn every_field_that_java_wrote_has_its_value_and_is_written_the_same() {
    for golden in golden() {
        let Some(entry) = golden.entry() else { continue };
        let place = golden.place();
        let mut message = (entry.decode)(golden.bytes.clone(), golden.version).expect(&place);
        assert_eq!(message.json(golden.version), golden.value, "{place}");
        assert_eq!(message.encode(golden.version).expect(&place), golden.bytes, "{place}");
    }
}

#[test]
fn defaults_are_those_of_java() {
    for golden in golden().into_iter().filter(|golden| golden.mode == "DEFAULTS") {
        let Some(entry) = golden.entry() else { continue };
        let place = golden.place();
        let mut message = (entry.default)();
        assert_eq!(message.json(golden.version), golden.value, "{place}");
        assert_eq!(message.encode(golden.version).expect(&place), golden.bytes, "{place}");
    }
}

#[test]
fn every_version_of_every_message_has_golden_bytes() {
    let written: BTreeSet<(String, i16)> =
        golden().into_iter().map(|golden| (golden.message, golden.version)).collect();
    let headers = ["RequestHeader", "ResponseHeader"];
    let bodies: BTreeSet<(String, i16)> =
        written.into_iter().filter(|(message, _)| !headers.contains(&message.as_str())).collect();
    let known = MESSAGES.iter().flat_map(|entry| {
        (entry.versions.min..=entry.versions.max).map(|version| (entry.name.to_owned(), version))
    });
    assert_eq!(bodies, known.collect());
}

#[test]
fn request_headers_are_those_of_java() {
    let flexible = 4; // of Heartbeat, with header version 2
    for golden in golden().into_iter().filter(|golden| golden.message == "RequestHeader") {
        let place = golden.place();
        let version = if golden.version == 2 { flexible } else { flexible - 1 };
        let mut frame = BytesMut::new();
        frame.put_i16(ApiKey::Heartbeat.code());
        frame.put_i16(version);
        frame.extend_from_slice(&golden.bytes[4..]);
        let (header, body) = decode_request_header(frame.clone().freeze()).expect(&place);
        body.finish().expect(&place);
        assert_eq!((header.api_key, header.api_version), (ApiKey::Heartbeat.code(), version));
        assert_eq!(header.correlation_id, golden.value["correlationId"]);
        assert_eq!(header.client_id.as_deref(), golden.value["clientId"].as_str(), "{place}");

        if golden.value["unknownTaggedFields"].as_array().is_none_or(Vec::is_empty) {
            let client_id = header.client_id.as_deref();
            let request = HeartbeatRequest::default();
            let written =
                encode_request(header.correlation_id, client_id, version, &request).unwrap().to_bytes();
            assert_eq!(written[4..4 + frame.len()], frame, "{place}");
        }
    }
}

#[test]
fn response_headers_are_those_of_java() {
    for golden in golden().into_iter().filter(|golden| golden.message == "ResponseHeader") {
        let place = golden.place();
        let version = if golden.version == 1 { 4 } else { 3 }; // of Heartbeat
        let response = HeartbeatResponse { throttle_time_ms: 77, ..Default::default() };
        let written = encode_response::<HeartbeatRequest>(0, version, &response).unwrap().to_bytes();
        let plain_header = if version == 4 { 4 + 1 } else { 4 };
        let frame: Bytes = [&golden.bytes[..], &written[4 + plain_header..]].concat().into();
        let (correlation_id, decoded) = decode_response::<HeartbeatRequest>(frame, version).expect(&place);
        assert_eq!(correlation_id, golden.value["correlationId"]);
        assert_eq!(decoded, response);
    }
}
