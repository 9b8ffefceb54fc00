//! The producer's own tasks: following the metadata, expiring what is too old, fetching a producer id.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Target;
use milena_client::connection::RequestError;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::core::sequencing::ProducerIdentity;
use crate::shared::Shared;

/// Gives partitions to the senders of their leaders whenever the metadata change.
pub(crate) async fn follow_metadata(shared: Arc<Shared>) {
    let mut version = 0;
    loop {
        version = shared.client.metadata().changed_since(version).await.version;
        shared.numbers.metadata_refreshed();
        for topic in shared.topics() {
            shared.route(&topic);
        }
        shared.end_departed_senders();
        for sender in shared.senders() {
            sender.handle_metadata();
        }
    }
}

/// Fails batches that are not acknowledged in time (KIP-91).
pub(crate) async fn expire(shared: Arc<Shared>) {
    loop {
        let next = shared.expire(shared.env().now());
        shared.env().sleep_until(next).await;
    }
}

/// Forgets topics that are not used for `idle`, or a little longer.
pub(crate) async fn forget_idle_topics(shared: Arc<Shared>, idle: Duration) {
    loop {
        shared.env().sleep(idle / 2).await;
        shared.forget_idle(idle, shared.env().now());
    }
}

const INIT_PRODUCER_ID: &str = "InitProducerId";

/// Fetches a producer id whenever one is wanted, at once for the first.
pub(crate) async fn fetch_identity(shared: Arc<Shared>) {
    loop {
        shared.identity.wait_until_wanted().await;
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let timeout = shared.client.config().default_api_timeout;
        match shared.client.call(Target::Any, request, timeout, judge).await {
            Ok(response) => {
                shared.identity.set(ProducerIdentity {
                    producer_id: response.producer_id,
                    producer_epoch: response.producer_epoch,
                });
                for sender in shared.senders() {
                    sender.handle_identity();
                }
            }
            Err(RequestError::Broker { code, .. }) if !code.is_retriable() => {
                return shared.fail_for_good(INIT_PRODUCER_ID, code);
            }
            Err(RequestError::UnsupportedVersion(_)) => {
                return shared.fail_for_good(INIT_PRODUCER_ID, ErrorCode::UnsupportedVersion);
            }
            Err(error) => {
                // Batches wait for it until their delivery timeout, and so may a broker that comes back.
                tracing::warn!(%error, "no producer id yet");
                shared.env().sleep(shared.config.retry_backoff.max).await;
            }
        }
    }
}

fn judge(response: &InitProducerIdResponse) -> Result<(), RequestError> {
    match response.error_code {
        code if code.is_ok() => Ok(()),
        code => Err(RequestError::Broker { api: INIT_PRODUCER_ID, code, message: None }),
    }
}
