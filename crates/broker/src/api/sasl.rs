//! SaslHandshake and SaslAuthenticate, on a listener without SASL (KIP-43, 152).
//!
//! Kafka offers them there too, and answers that they are out of place.

use milena_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};

const OUT_OF_PLACE: &str = "SaslAuthenticate request received after successful authentication";

impl Api for SaslHandshakeRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<SaslHandshakeResponse> {
        self.refuse(context, ErrorCode::IllegalSaslState)
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<SaslHandshakeResponse> {
        SaslHandshakeResponse { error_code, mechanisms: Vec::new() }.into()
    }
}

impl Api for SaslAuthenticateRequest {
    async fn handle(self, _: &RequestContext<'_>) -> Reply<SaslAuthenticateResponse> {
        SaslAuthenticateResponse {
            error_code: ErrorCode::IllegalSaslState,
            error_message: Some(ByteStr::from_static(OUT_OF_PLACE)),
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<SaslAuthenticateResponse> {
        SaslAuthenticateResponse { error_code, error_message: message(error_code), ..Default::default() }
            .into()
    }
}
