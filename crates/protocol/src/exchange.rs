//! Whole requests and responses: header, body, frame.

use bytes::Bytes;

use crate::codec::{DecodeProblem, Decoder, Encoder, FRAME_LENGTH_LEN};
use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion};
use crate::{ApiKey, ByteStr, DecodeError, EncodeError, ErrorCode, Frame, Message, Request};

/// What stands before each request (header versions 1 and 2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHeader {
    /// The API asked; see [`ApiKey`].
    pub api_key: i16,
    /// The version of the request, and of the answer to it.
    pub api_version: i16,
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// The name that the client gives itself; `client.id`.
    pub client_id: Option<ByteStr>,
}

impl RequestHeader {
    /// Whether the body can be decoded: the version is one that Kafka 4.3.1 supports.
    pub fn is_supported(&self) -> bool {
        ApiKey::try_from(self.api_key).is_ok_and(|key| key.versions().contains(self.api_version))
    }
}

/// A request with its header, ready for the wire.
///
/// # Errors
/// When the version does not exist or cannot carry what is set.
pub fn encode_request<R: Request>(
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    request: &R,
) -> Result<Frame, EncodeError> {
    let mut out = Encoder::for_frame();
    out.i16(R::KEY.code());
    out.i16(version);
    out.i32(correlation_id);
    out.nullable_string("client_id", client_id)?; // never compact, so that any broker can read it (KIP-511)
    if R::KEY.is_flexible(version) {
        out.varint(NO_TAGGED_FIELDS);
    }
    request.encode(&mut out, version)?;
    out.into_frame()
}

/// A response with its header, ready for the wire.
///
/// # Errors
/// When the version does not exist or cannot carry what is set.
pub fn encode_response<R: Request>(
    correlation_id: i32,
    version: i16,
    response: &R::Response,
) -> Result<Frame, EncodeError> {
    let mut out = Encoder::for_frame();
    out.i32(correlation_id);
    if R::KEY.response_header_version(version) >= 1 {
        out.varint(NO_TAGGED_FIELDS);
    }
    response.encode(&mut out, version)?;
    out.into_frame()
}

const NO_TAGGED_FIELDS: u32 = 0;

/// The header of a request, and what follows it. The frame comes without its length.
///
/// The version may be one that is not supported: see [`RequestHeader::is_supported`], and
/// [`unsupported_api_versions_response`] for the one request that is answered even then.
///
/// # Errors
/// When the API is not known, or the header is cut short. Kafka closes the connection then.
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Decoder), DecodeError> {
    let mut input = Decoder::new(frame);
    input.begin_part("RequestHeader", 1, false);
    let api_key = input.i16("api_key")?;
    let api_version = input.i16("api_version")?;
    let key = ApiKey::try_from(api_key)
        .map_err(|_| input.error("api_key", DecodeProblem::UnknownApiKey { api_key }))?;
    let correlation_id = input.i32("correlation_id")?;
    let client_id = input.nullable_string("client_id")?;
    if key.request_header_version(api_version) >= 2 {
        input.begin_part("RequestHeader", 2, true);
        input.unknown_tagged_fields()?;
    }
    Ok((RequestHeader { api_key, api_version, correlation_id, client_id }, input))
}

/// The correlation id and the body of an answer. The frame comes without its length.
///
/// # Errors
/// When the bytes are not such an answer.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let mut input = Decoder::new(frame);
    let header_version = R::KEY.response_header_version(version);
    input.begin_part("ResponseHeader", header_version, header_version >= 1);
    let correlation_id = input.i32("correlation_id")?;
    input.unknown_tagged_fields()?;
    let response = R::Response::decode(&mut input, version)?;
    Ok((correlation_id, response))
}

/// The answer to the first request on a connection, in the version asked for or, from a broker that does not know
/// that version, in version 0 with `UNSUPPORTED_VERSION` and what the broker does speak (KIP-511).
///
/// # Errors
/// When the bytes are neither.
pub fn decode_api_versions_response(
    frame: Bytes,
    version: i16,
) -> Result<(i32, ApiVersionsResponse), DecodeError> {
    decode_response::<ApiVersionsRequest>(frame.clone(), version)
        .or_else(|error| decode_response::<ApiVersionsRequest>(frame, 0).map_err(|_| error))
}

/// What a broker answers to ApiVersions in a version that it does not know: version 0, with its range (KIP-511).
///
/// # Errors
/// None for any correlation id; the type is that of the encoder.
pub fn unsupported_api_versions_response(correlation_id: i32) -> Result<Frame, EncodeError> {
    let versions = ApiKey::ApiVersions.versions();
    let own = ApiVersion {
        api_key: ApiKey::ApiVersions.code(),
        min_version: versions.min,
        max_version: versions.max,
        ..Default::default()
    };
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: vec![own],
        ..Default::default()
    };
    encode_response::<ApiVersionsRequest>(correlation_id, 0, &response)
}

/// The correlation id at the front of an answer, which comes without its length.
pub fn peek_correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().copied().map(i32::from_be_bytes)
}

/// A message behind its version in two bytes, as embedded in byte fields and records: subscriptions and assignments
/// of the classic group protocol, keys and values of control records.
///
/// # Errors
/// When the version does not exist or cannot carry what is set.
pub fn encode_prefixed<M: Message>(version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut out = Encoder::new();
    out.i16(version);
    message.encode(&mut out, version)?;
    Ok(out.into_bytes())
}

/// The version and the message that [`encode_prefixed`] writes.
///
/// A version newer than the newest known is read as that: such messages only grow at their end
/// (`ConsumerProtocol.checkSubscriptionVersion`, `ControlRecordType.parseTypeId`).
///
/// # Errors
/// When the version is older than the oldest known, or the bytes are no such message.
pub fn decode_prefixed<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut input = Decoder::new(bytes);
    input.begin_part(M::NAME, 0, false);
    let version = input.i16("version")?;
    let message = M::decode(&mut input, version.min(M::VERSIONS.max))?;
    Ok((version, message))
}

impl Encoder {
    /// An encoder that leaves room for the frame's length.
    fn for_frame() -> Self {
        let mut out = Encoder::new();
        out.i32(0);
        debug_assert_eq!(out.len(), FRAME_LENGTH_LEN);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{
        ConsumerProtocolSubscription, HeartbeatRequest, HeartbeatResponse, MetadataRequest,
    };

    /// What is behind the length.
    fn body(frame: &Frame) -> Bytes {
        frame.to_bytes().slice(FRAME_LENGTH_LEN..)
    }

    #[test]
    fn a_request_and_its_answer_come_back_at_versions_with_either_header() {
        for version in [3, 4] {
            let request =
                HeartbeatRequest { group_id: "billing".into(), generation_id: 5, ..Default::default() };
            let frame = encode_request(-7, Some("orders"), version, &request).expect("version exists");
            let (header, mut input) = decode_request_header(body(&frame)).expect("a request");
            let client_id = Some(ByteStr::from_static("orders"));
            let expected = RequestHeader { api_key: 12, api_version: version, correlation_id: -7, client_id };
            assert_eq!(header, expected);
            assert!(header.is_supported());
            assert_eq!(HeartbeatRequest::decode(&mut input, version), Ok(request));
            input.finish().expect("nothing is left");

            let response =
                HeartbeatResponse { error_code: ErrorCode::RebalanceInProgress, ..Default::default() };
            let frame = encode_response::<HeartbeatRequest>(-7, version, &response).expect("version exists");
            assert_eq!(peek_correlation_id(&body(&frame)), Some(-7));
            assert_eq!(decode_response::<HeartbeatRequest>(body(&frame), version), Ok((-7, response)));
        }
    }

    #[test]
    fn a_client_without_a_name_is_read_as_such() {
        let frame = encode_request(1, None, 4, &HeartbeatRequest::default()).expect("version exists");
        let (header, _) = decode_request_header(body(&frame)).expect("a request");
        assert_eq!(header.client_id, None);
    }

    #[test]
    fn a_request_for_an_unknown_api_is_refused_by_its_header() {
        let error = decode_request_header(Bytes::from_static(&[0x03, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff]))
            .unwrap_err();
        assert_eq!(error.problem, DecodeProblem::UnknownApiKey { api_key: 999 });
    }

    #[test]
    fn a_header_cut_short_anywhere_is_refused() {
        let frame =
            body(&encode_request(1, Some("c"), 4, &HeartbeatRequest::default()).expect("version exists"));
        let header_len = 2 + 2 + 4 + 2 + 1 + 1;
        for length in 0..header_len {
            assert!(decode_request_header(frame.slice(..length)).is_err(), "{length} bytes");
        }
        assert_eq!(peek_correlation_id(&frame[..3]), None);
    }

    #[test]
    fn a_client_newer_than_the_broker_learns_the_versions_of_the_broker() {
        let known = encode_request(9, Some("c"), 4, &ApiVersionsRequest::default()).expect("version exists");
        let mut newer = body(&known).to_vec();
        newer[2..4].copy_from_slice(&99i16.to_be_bytes());
        let (header, _) = decode_request_header(newer.into()).expect("the header of any version can be read");
        assert!(!header.is_supported());

        let answer = unsupported_api_versions_response(header.correlation_id).expect("any correlation id");
        for asked in [1, 3, 4] {
            let decoded = decode_api_versions_response(body(&answer), asked);
            let (correlation_id, response) = decoded.expect("read in version 0");
            assert_eq!((correlation_id, response.error_code), (9, ErrorCode::UnsupportedVersion));
            let own = &response.api_keys[0];
            assert_eq!((own.api_key, own.min_version, own.max_version), (18, 0, 4));
        }
    }

    #[test]
    fn an_answer_that_is_no_api_versions_response_tells_what_is_wrong_with_the_version_asked() {
        let error = decode_api_versions_response(Bytes::from_static(b"HTTP/1.1 400"), 4).unwrap_err();
        assert_eq!((error.message, error.version), ("ApiVersionsResponse", 4));
    }

    #[test]
    fn a_version_that_cannot_carry_the_request_is_refused() {
        let request = MetadataRequest { topics: None, ..Default::default() };
        assert!(encode_request(1, None, 0, &request).is_err());
        assert!(encode_request(1, None, 14, &request).is_err());
    }

    #[test]
    fn a_prefixed_message_of_a_newer_version_is_read_as_the_newest_known() {
        let subscription = ConsumerProtocolSubscription { topics: vec!["a".into()], ..Default::default() };
        let bytes = encode_prefixed(1, &subscription).expect("version exists");
        assert_eq!(decode_prefixed(bytes), Ok((1, subscription.clone())));

        let mut newer = encode_prefixed(3, &subscription).expect("version exists").to_vec();
        newer[..2].copy_from_slice(&9i16.to_be_bytes());
        newer.extend_from_slice(b"whatever version 9 adds");
        assert_eq!(decode_prefixed(newer.into()), Ok((9, subscription)));

        let negative = Bytes::from_static(&[0xff, 0xff, 0, 0]);
        assert!(decode_prefixed::<ConsumerProtocolSubscription>(negative).is_err());
    }
}
