//! Fetch requests in the broker's version.

use milena_client::connection::{ApiVersions, RequestError};
use milena_protocol::messages::FetchRequest;
use milena_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use milena_protocol::{ApiKey, ByteStr};

use crate::config::ConsumerConfig;
use crate::core::session::{FetchSession, SessionRequest, SessionSupport};
use crate::core::{EpochChecks, FetchPlan, Lane};

/// From this version on there are sessions (KIP-227).
const SESSIONS_SINCE: i16 = 7;
/// From this version on the broker compares the epoch of the last fetched record.
const EPOCHS_COMPARED_SINCE: i16 = 12;
/// From this version on topics go by id (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;
/// From this version on OffsetForLeaderEpoch is for everyone who may read the topic.
const EPOCH_ENDS_SINCE: i16 = 3;

/// What this broker does about leaders that have changed.
pub(super) fn epoch_checks(versions: &ApiVersions) -> EpochChecks {
    let max = |api| versions.range(api).map_or(0, |range| range.max);
    if max(ApiKey::Fetch) >= EPOCHS_COMPARED_SINCE {
        EpochChecks::InFetch
    } else if max(ApiKey::OffsetForLeaderEpoch) >= EPOCH_ENDS_SINCE {
        EpochChecks::BeforeFetch
    } else {
        EpochChecks::Nowhere
    }
}

/// The request for a plan, and its version.
pub(super) fn prepare(
    session: &mut FetchSession,
    versions: &ApiVersions,
    config: &ConsumerConfig,
    plan: &FetchPlan,
) -> Result<(FetchRequest, i16), RequestError> {
    let newest = versions.choose::<FetchRequest>()?;
    let support = SessionSupport {
        // A detour is for once: a session would take another one's place in the broker's cache.
        sessions: newest >= SESSIONS_SINCE && plan.lane == Lane::Main,
        topic_ids: newest >= TOPIC_IDS_SINCE,
    };
    let part = session.prepare(plan.targets.clone(), support);
    let version = match part.uses_topic_ids {
        true => newest,
        false => versions.choose_up_to::<FetchRequest>(TOPIC_IDS_SINCE - 1)?,
    };
    let request = FetchRequest {
        max_wait_ms: i32::try_from(plan.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: i32::try_from(config.fetch_min_bytes).unwrap_or(i32::MAX),
        max_bytes: i32::try_from(plan.bytes_max).unwrap_or(i32::MAX),
        isolation_level: config.isolation_level.code(),
        session_id: part.session_id,
        session_epoch: part.session_epoch,
        topics: topics(&part),
        forgotten_topics_data: forgotten_topics(&part),
        rack_id: config.client_rack.as_deref().map_or_else(ByteStr::new, ByteStr::from),
        ..Default::default()
    };
    Ok((request, version))
}

/// A request that closes the session, if there is one.
pub(super) fn close(session: &mut FetchSession, versions: &ApiVersions) -> Option<(FetchRequest, i16)> {
    let (session_id, session_epoch) = session.prepare_close()?;
    let version = versions.choose::<FetchRequest>().ok()?;
    Some((FetchRequest { session_id, session_epoch, ..Default::default() }, version))
}

fn topics(part: &SessionRequest) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (name, target) in &part.send {
        let partition = FetchPartition {
            partition: name.partition,
            current_leader_epoch: target.current_leader_epoch.unwrap_or(-1),
            fetch_offset: target.fetch_offset,
            last_fetched_epoch: target.last_fetched_epoch.unwrap_or(-1),
            partition_max_bytes: target.partition_bytes_max,
            ..Default::default()
        };
        match topics.last_mut() {
            Some(topic) if *topic.topic == *name.topic && topic.topic_id == target.topic_id => {
                topic.partitions.push(partition);
            }
            _ => topics.push(FetchTopic {
                topic: ByteStr::from(&*name.topic),
                topic_id: target.topic_id,
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    topics
}

fn forgotten_topics(part: &SessionRequest) -> Vec<ForgottenTopic> {
    let mut topics: Vec<ForgottenTopic> = Vec::new();
    for (name, topic_id) in &part.forget {
        match topics.last_mut() {
            Some(topic) if *topic.topic == *name.topic && topic.topic_id == *topic_id => {
                topic.partitions.push(name.partition);
            }
            _ => topics.push(ForgottenTopic {
                topic: ByteStr::from(&*name.topic),
                topic_id: *topic_id,
                partitions: vec![name.partition],
                ..Default::default()
            }),
        }
    }
    topics
}
