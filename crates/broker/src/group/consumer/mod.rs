//! Groups of the new consumer protocol (KIP-848; Java: `ConsumerGroup` and the parts of `GroupMetadataManager` that
//! work on it). Pure.
//!
//! Three numbers tell how far a group is. The *group epoch* rises whenever who is to have what must be worked out
//! anew: members come and go, subscriptions and topics change. The *assignment epoch* is the group epoch that the
//! target assignment was worked out for. A *member epoch* is the assignment epoch that a member has been taken to. All
//! of it happens in heartbeats: a member's request brings its own news, may have the target worked out, and takes the
//! member itself, and only it, a step towards its target.
//!
//! | where | what |
//! | --- | --- |
//! | `state` | the group: epochs, members, who holds what |
//! | `heartbeat` | joining, staying, leaving, running out of time |
//! | `subscription` | names, expressions and topics; the target assignment |
//! | `reconcile` | a member's step towards its target |
//! | `assignor` | who is to have what |
//! | `offsets` | who may commit and fetch offsets |
//! | `describe` | what is told of a group |
//! | `classic` | members that still speak the classic protocol |
//! | `migrate` | classic groups that become consumer groups, and back |
//! | `requests` | requests to groups that may not exist, or be of another kind |
//!
//! What differs from Kafka, and is not seen in what clients are told of the protocol: expressions are resolved right
//! after the heartbeat that asks for it, not in the background; replicas that move to another rack start no rebalance;
//! subscriptions are taken to be the same when they come to the same topics, however they are written.

mod assignor;
mod classic;
mod describe;
mod heartbeat;
mod member;
mod migrate;
mod offsets;
mod reconcile;
mod regex;
mod requests;
mod state;
mod subscription;
#[cfg(test)]
mod testing;
mod topics;

use milena_protocol::ErrorCode;

pub(crate) use assignor::Assignor;
pub(crate) use heartbeat::{Client, check_heartbeat};
pub(crate) use offsets::CommitCheck;
pub(crate) use state::ConsumerGroup;
pub(crate) use topics::Topics;

use crate::config::{ConsumerGroupSettings, Migration, Values};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct GroupError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl GroupError {
    /// In the error's own words.
    pub(crate) fn of(code: ErrorCode) -> Self {
        Self::new(code, code.description())
    }

    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Kafka's configuration, as far as it concerns one group.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `consumer.session.timeout.ms` of the group, or else `group.consumer.session.timeout.ms`.
    pub(crate) session_timeout_ms: i64,
    /// `consumer.heartbeat.interval.ms` of the group, or else `group.consumer.heartbeat.interval.ms`.
    pub(crate) heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`.
    pub(crate) members_max: usize,
    /// `group.consumer.assignors`; the first is the default.
    pub(crate) assignors: Vec<Assignor>,
    /// `consumer.assignment.interval.ms` of the group, or else `group.consumer.assignment.interval.ms`.
    pub(crate) assignment_interval_ms: i64,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub(crate) regex_refresh_interval_ms: i64,
    /// `group.consumer.migration.policy`
    pub(crate) migration: Migration,
}

impl Settings {
    /// The settings of a group that has some of its own.
    pub(crate) fn of_group(settings: &ConsumerGroupSettings, overrides: &Values) -> Self {
        let own = |name: &str| overrides.get(name)?.trim().parse::<i64>().ok();
        let mut merged = Self::of_broker(settings);
        if let Some(timeout_ms) = own("consumer.session.timeout.ms") {
            merged.session_timeout_ms = timeout_ms;
        }
        if let Some(interval_ms) = own("consumer.heartbeat.interval.ms") {
            merged.heartbeat_interval_ms = i32::try_from(interval_ms).unwrap_or(i32::MAX);
        }
        if let Some(interval_ms) = own("consumer.assignment.interval.ms") {
            merged.assignment_interval_ms = interval_ms;
        }
        merged
    }

    /// The settings of groups that have none of their own.
    pub(crate) fn of_broker(settings: &ConsumerGroupSettings) -> Self {
        Self {
            session_timeout_ms: settings.session_timeout_ms,
            heartbeat_interval_ms: i32::try_from(settings.heartbeat_interval_ms).unwrap_or(i32::MAX),
            members_max: settings.members_max,
            assignors: settings.assignors.iter().filter_map(|name| Assignor::by_name(name)).collect(),
            assignment_interval_ms: settings.assignment_interval_ms,
            regex_refresh_interval_ms: settings.regex_refresh_interval_ms,
            migration: settings.migration,
        }
    }
}

/// What surrounds a group while it works on a request.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// `Moment::elapsed_ms`.
    pub(crate) now_ms: i64,
    pub(crate) settings: &'a Settings,
    pub(crate) topics: &'a dyn Topics,
}
