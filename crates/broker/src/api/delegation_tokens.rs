//! CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken, DescribeDelegationToken (KIP-48).
//!
//! Connections are not authenticated, and Kafka refuses requests about tokens over such
//! (Java: `KafkaApis.allowTokenRequests`).

use milena_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::node::{Reply, RequestContext};

const NOT_ALLOWED: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;

/// The first version that tells who asked, beside whom the token is for.
const REQUESTER_SINCE_VERSION: i16 = 3;

/// Who is not authenticated.
const ANONYMOUS: (&str, &str) = ("User", "ANONYMOUS");

impl Api for CreateDelegationTokenRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<CreateDelegationTokenResponse> {
        self.refuse(context, NOT_ALLOWED)
    }

    fn refuse(
        self,
        context: &RequestContext<'_>,
        error_code: ErrorCode,
    ) -> Reply<CreateDelegationTokenResponse> {
        let anonymous = || (ByteStr::from_static(ANONYMOUS.0), ByteStr::from_static(ANONYMOUS.1));
        let owner = self.owner_principal_name.filter(|name| !name.is_empty());
        let (principal_type, principal_name) = match owner {
            Some(name) => (self.owner_principal_type.unwrap_or_default(), name),
            None => anonymous(),
        };
        let (token_requester_principal_type, token_requester_principal_name) =
            if context.version >= REQUESTER_SINCE_VERSION { anonymous() } else { Default::default() };
        CreateDelegationTokenResponse {
            error_code,
            principal_type,
            principal_name,
            token_requester_principal_type,
            token_requester_principal_name,
            issue_timestamp_ms: -1,
            expiry_timestamp_ms: -1,
            max_timestamp_ms: -1,
            ..Default::default()
        }
        .into()
    }
}

impl Api for RenewDelegationTokenRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<RenewDelegationTokenResponse> {
        self.refuse(context, NOT_ALLOWED)
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<RenewDelegationTokenResponse> {
        RenewDelegationTokenResponse { error_code, expiry_timestamp_ms: -1, ..Default::default() }.into()
    }
}

impl Api for ExpireDelegationTokenRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ExpireDelegationTokenResponse> {
        self.refuse(context, NOT_ALLOWED)
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ExpireDelegationTokenResponse> {
        ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms: -1, ..Default::default() }.into()
    }
}

impl Api for DescribeDelegationTokenRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeDelegationTokenResponse> {
        self.refuse(context, NOT_ALLOWED)
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeDelegationTokenResponse> {
        DescribeDelegationTokenResponse { error_code, ..Default::default() }.into()
    }
}
