//! The task that keeps the picture current.

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::messages::metadata_request::MetadataRequestTopic;
use milena_protocol::messages::{MetadataRequest, MetadataResponse};

use super::MetadataHandle;
use super::core::Ask;
use crate::Address;
use crate::broker::BrokerPool;
use crate::connection::{ApiVersions, RequestError};

/// How long one broker may think about a Metadata request before the next one is asked too; a hung broker must not hide the
/// others' knowledge for a whole request timeout.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks whenever the core wants to know something. Runs until it is cancelled.
pub(crate) async fn run(handle: MetadataHandle, pool: Arc<BrokerPool>) {
    let shared = &handle.shared;
    loop {
        let ask = shared.lock().poll_action(shared.env.now());
        if let Some(ask) = ask {
            let answer = ask_any(&handle, &pool, &ask).await;
            let (now, unit_random) = (shared.env.now(), shared.env.random_unit());
            let mut core = shared.lock();
            let failure = match answer {
                Ok(response) => {
                    core.handle_response(response, ask.topics.is_none(), now, unit_random);
                    None
                }
                Err(error) => {
                    core.handle_failure(now, unit_random);
                    Some(error)
                }
            };
            let snapshot = core.snapshot().clone();
            drop(core);
            shared.publish(snapshot, failure);
            continue;
        }
        let deadline = shared.lock().poll_timeout();
        match deadline {
            Some(deadline) => {
                // Woken or due: either way, look again.
                let _ = shared.env.timeout_at(deadline, shared.wake.notified()).await;
            }
            None => shared.wake.notified().await,
        }
    }
}

/// Asks the candidates one after another, from a random one on, until one answers.
async fn ask_any(
    handle: &MetadataHandle,
    pool: &BrokerPool,
    ask: &Ask,
) -> Result<MetadataResponse, RequestError> {
    let env = &handle.shared.env;
    let mut candidates = ask.candidates.clone();
    if !candidates.is_empty() {
        let first = env.random_u64() % candidates.len() as u64;
        candidates.rotate_left(usize::try_from(first).unwrap_or(0));
    }
    let mut last_error = RequestError::NoBroker("no address is known".to_owned());
    for address in &candidates {
        match ask_one(handle, pool, ask, address).await {
            Ok(response) => return Ok(response),
            Err(error) => {
                tracing::debug!(broker = %address, %error, "metadata request failed");
                last_error = error;
            }
        }
    }
    Err(last_error)
}

async fn ask_one(
    handle: &MetadataHandle,
    pool: &BrokerPool,
    ask: &Ask,
    address: &Address,
) -> Result<MetadataResponse, RequestError> {
    let env = &handle.shared.env;
    let ask = ask.clone();
    let request = pool.request::<MetadataRequest>(address, move |versions| prepare(&ask, versions));
    match env.timeout_at(env.now() + PATIENCE, request).await {
        Some(answer) => answer,
        None => Err(RequestError::Timeout { api: "Metadata", after: PATIENCE, last: None }),
    }
}

fn prepare(ask: &Ask, versions: &ApiVersions) -> Result<(MetadataRequest, i16), RequestError> {
    let version = versions.choose::<MetadataRequest>()?;
    let topics = ask.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|name| MetadataRequestTopic { name: Some((&**name).into()), ..Default::default() })
            .collect()
    });
    Ok((
        MetadataRequest {
            topics,
            allow_auto_topic_creation: ask.allow_auto_topic_creation,
            ..Default::default()
        },
        version,
    ))
}
