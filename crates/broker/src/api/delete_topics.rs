//! DeleteTopics (KIP-4, 516, 599; Java: `ControllerApis.deleteTopics`).

use std::collections::BTreeSet;

use milena_protocol::messages::delete_topics_response::DeletableTopicResult;
use milena_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use milena_protocol::{ByteStr, ErrorCode, Uuid};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{ClusterState, Topic};

/// From this version on topics are named by name or id.
const TOPIC_IDS_SINCE_VERSION: i16 = 6;
/// The first version that knows `THROTTLING_QUOTA_EXCEEDED`.
const THROTTLING_KNOWN_SINCE_VERSION: i16 = 5;
/// The first version that knows the error for this.
const DELETION_DISABLED_SINCE_VERSION: i16 = 3;

impl Api for DeleteTopicsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DeleteTopicsResponse> {
        let mut state = context.shared.state_mut();
        if !state.settings().delete_topics {
            drop(state);
            let error = match context.version {
                ..DELETION_DISABLED_SINCE_VERSION => ErrorCode::InvalidRequest,
                _ => ErrorCode::TopicDeletionDisabled,
            };
            return self.refuse(context, error);
        }
        let mut deletion =
            Deletion { context, state: &mut state, responses: Vec::new(), seen: BTreeSet::new() };
        for (name, id) in self.named(context.version) {
            deletion.delete(name, id);
        }
        let responses = deletion.responses;
        let deleted = || {
            let deleted = responses.iter().filter(|response| response.error_code.is_ok());
            deleted.map(|response| (response.name.as_deref().unwrap_or_default(), response.topic_id))
        };
        deleted().for_each(|(name, id)| context.shared.forget_offsets(name, id));
        drop(state);
        deleted().for_each(|(name, _)| context.shared.forget_transactions_of(name));
        DeleteTopicsResponse { responses, ..Default::default() }.into()
    }

    fn refuse(self, context: &RequestContext<'_>, error: ErrorCode) -> Reply<DeleteTopicsResponse> {
        let refused = |(name, id)| DeletableTopicResult {
            error_message: message(error),
            ..failed(name, id, error, "")
        };
        let responses = self.named(context.version).into_iter().map(refused).collect();
        DeleteTopicsResponse { responses, ..Default::default() }.into()
    }
}

trait Asked {
    /// The topics as they are named in this version.
    fn named(self, version: i16) -> Vec<(Option<ByteStr>, Uuid)>;
}

impl Asked for DeleteTopicsRequest {
    fn named(self, version: i16) -> Vec<(Option<ByteStr>, Uuid)> {
        if version < TOPIC_IDS_SINCE_VERSION {
            return self.topic_names.into_iter().map(|name| (Some(name), Uuid::ZERO)).collect();
        }
        self.topics.into_iter().map(|topic| (topic.name, topic.topic_id)).collect()
    }
}

struct Deletion<'a> {
    context: &'a RequestContext<'a>,
    state: &'a mut ClusterState,
    responses: Vec<DeletableTopicResult>,
    seen: BTreeSet<(Option<ByteStr>, Uuid)>,
}

impl Deletion<'_> {
    fn delete(&mut self, name: Option<ByteStr>, id: Uuid) {
        let result = match (&name, id.is_zero()) {
            (None, true) => failed(None, id, ErrorCode::InvalidRequest, "a topic without name and id"),
            (Some(_), false) => failed(name, id, ErrorCode::InvalidRequest, "a topic with both name and id"),
            _ if !self.seen.insert((name.clone(), id)) => {
                let what = if name.is_some() { "duplicate topic name" } else { "duplicate topic id" };
                failed(name, id, ErrorCode::InvalidRequest, what)
            }
            (Some(wanted), true) => match self.state.topic(wanted).cloned() {
                Some(topic) => self.delete_found(&topic),
                None => unknown(name, id, ErrorCode::UnknownTopicOrPartition),
            },
            (None, false) => match self.state.topic_by_id(&id).cloned() {
                Some(topic) => self.delete_found(&topic),
                None => unknown(None, id, ErrorCode::UnknownTopicId),
            },
        };
        self.responses.push(result);
    }

    fn delete_found(&mut self, topic: &Topic) -> DeletableTopicResult {
        let strict = self.context.version >= THROTTLING_KNOWN_SINCE_VERSION;
        match self.context.charge_mutations(topic.partitions.len() as i32, strict) {
            Ok(()) => {
                self.state.delete_topic(&topic.name);
                succeeded(topic.name.clone(), topic.id)
            }
            Err(error) => failed(Some(topic.name.clone()), topic.id, error.code, &error.message),
        }
    }
}

fn succeeded(name: ByteStr, topic_id: Uuid) -> DeletableTopicResult {
    DeletableTopicResult { name: Some(name), topic_id, ..Default::default() }
}

fn unknown(name: Option<ByteStr>, id: Uuid, error: ErrorCode) -> DeletableTopicResult {
    failed(name, id, error, error.description())
}

fn failed(name: Option<ByteStr>, topic_id: Uuid, error_code: ErrorCode, why: &str) -> DeletableTopicResult {
    DeletableTopicResult { name, topic_id, error_code, error_message: Some(why.into()), ..Default::default() }
}
