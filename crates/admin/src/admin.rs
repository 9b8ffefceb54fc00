//! The handle.

use std::time::Duration;

use milena_client::{Address, Client, RequestError, Target};
use milena_protocol::messages::metadata_request::MetadataRequestTopic;
use milena_protocol::messages::{MetadataRequest, MetadataResponse};
use milena_protocol::{ByteStr, ErrorCode, Request};

/// Administers the cluster of a [`Client`]; cheap to clone.
///
/// Requests go over the client's shared connections. Works with brokers from Kafka 2.1 on; what an older broker cannot do is an
/// error that says so.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
    timeout: Duration,
}

impl Admin {
    /// Administers the cluster of `client`.
    pub fn new(client: Client) -> Self {
        let timeout = client.config().default_api_timeout;
        Self { client, timeout }
    }

    /// How long each operation is tried. Default: the client's `default_api_timeout`, 60 s. Kafka: `default.api.timeout.ms`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The client whose cluster is administered.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn operation_timeout(&self) -> Duration {
        self.timeout
    }

    /// The `timeout_ms` of a request: the broker is to answer before the client stops waiting for it.
    pub(crate) fn broker_timeout_ms(&self) -> i32 {
        let patience = self.client.config().connection.request_timeout.min(self.timeout);
        i32::try_from((patience - patience / 10).as_millis()).unwrap_or(i32::MAX)
    }

    /// One request to `target`, and the version in which it was answered.
    pub(crate) async fn ask<R: Request>(
        &self,
        target: &Target,
        request: R,
    ) -> Result<(i16, R::Response), RequestError> {
        let address = self.client.resolve(target).await?;
        self.ask_at(&address, request).await
    }

    /// One request to the broker at `address`, and the version in which it was answered.
    pub(crate) async fn ask_at<R: Request>(
        &self,
        address: &Address,
        request: R,
    ) -> Result<(i16, R::Response), RequestError> {
        self.client.request_versioned(address, |versions| Ok((request, versions.choose::<R>()?))).await
    }
}

/// A Metadata request for `topics`, or for all, that creates none.
pub(crate) fn metadata_request<'a>(topics: Option<impl Iterator<Item = &'a str>>) -> MetadataRequest {
    let topic = |name| MetadataRequestTopic { name: Some(ByteStr::from(name)), ..Default::default() };
    MetadataRequest {
        topics: topics.map(|names| names.map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

/// The answer, unless it says as a whole that another broker is to be asked.
pub(crate) fn usable(response: MetadataResponse) -> Result<MetadataResponse, RequestError> {
    match response.error_code {
        ErrorCode::None => Ok(response),
        code => Err(RequestError::Broker { api: "Metadata", code, message: None }),
    }
}
