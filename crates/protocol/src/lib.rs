//! Kafka's wire protocol: messages, framing, headers, version ranges and error codes.
//!
//! The messages in [`messages`] are generated from the definitions of Kafka 4.3.1 by `cargo xtask codegen`
//! and carry Kafka's names. Decoding borrows from the received [`Bytes`](bytes::Bytes): strings, byte fields
//! and record batches are slices of the frame. No received byte panics, overflows, loops, or makes the decoder
//! allocate more than a small multiple of what was received.
//!
//! ```
//! use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
//! use milena_protocol::{ByteStr, decode_response, encode_request, encode_response};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = ApiVersionsRequest { client_software_name: ByteStr::from_static("milena"), ..Default::default() };
//! let frame = encode_request(7, Some("orders"), 3, &request)?; // ready for a vectored write
//!
//! let answer = encode_response::<ApiVersionsRequest>(7, 3, &ApiVersionsResponse::default())?.to_bytes();
//! let (correlation_id, response) = decode_response::<ApiVersionsRequest>(answer.slice(4..), 3)?;
//! assert_eq!((correlation_id, response), (7, ApiVersionsResponse::default()));
//! # Ok(())
//! # }
//! ```

mod api;
mod byte_str;
mod codec;
mod error_code;
mod exchange;
mod frame;
#[path = "generated/mod.rs"]
pub mod messages;
mod planted;
mod records;
mod uuid;

pub use api::{UnknownApiKey, VersionRange};
pub use byte_str::ByteStr;
pub use codec::{
    DecodeError, DecodeProblem, Decoder, EncodeError, EncodeProblem, Encoder, Message, Request,
    UnknownTaggedField, Wire, memory_limit,
};
pub use error_code::ErrorCode;
pub use exchange::{
    RequestHeader, decode_api_versions_response, decode_prefixed, decode_request_header, decode_response,
    encode_prefixed, encode_request, encode_response, peek_correlation_id, unsupported_api_versions_response,
};
pub use frame::Frame;
pub use messages::api_key::ApiKey;
#[doc(hidden)]
pub use planted::planted;
pub use records::Records;
pub use uuid::{ParseUuidError, Uuid};
