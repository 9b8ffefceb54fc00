//! Incremental fetch sessions (KIP-227): a request names only what changed since the last one. Pure.
//!
//! ```text
//!       answer without a session
//!        ┌───┐         answer to a full request, with a session
//!        │   ▼    ───────────────────────────────────────────────▶
//!       Full { close: 0 }                               Incremental { session_id, session_epoch }
//!        │   ▲    ◀───────────────────────────────────────────────
//!        │   │      FETCH_SESSION_ID_NOT_FOUND, answer without a session
//!        │   │                                                │
//!        │   │ answer without a session                       │ any other error, a broken connection, an answer
//!        │   │                                                │ that does not fit, topic ids come or go
//!        │  Full { close: session_id }  ◀─────────────────────┘
//!        └──────────▶ a full request closes the session that it names and asks for a new one
//! ```
//!
//! Java: `FetchSessionHandler`. One difference: records in an answer that does not fit the session are used where they answer a
//! partition that was asked for; only the session is given up.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::TopicPartition;
use milena_protocol::{ErrorCode, Uuid, planted};

#[cfg(test)]
mod tests;

/// Names no session.
const NO_SESSION: i32 = 0;
/// Asks for a new session.
const INITIAL_SESSION_EPOCH: i32 = 0;
/// Closes the session that is named, and asks for none. Also what "no sessions here" looks like.
const FINAL_SESSION_EPOCH: i32 = -1;

/// What one broker is asked for, and what it remembers of that.
#[derive(Debug)]
pub(crate) struct FetchSession {
    state: State,
    /// What the broker knows after the last request, if it was carried out.
    partitions: BTreeMap<TopicPartition, FetchTarget>,
    topic_names: BTreeMap<Uuid, Arc<str>>,
    uses_topic_ids: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next request names all partitions; it closes a session that the broker may still have.
    Full { close: i32 },
    /// The next request names what changed.
    Incremental { session_id: i32, session_epoch: i32 },
}

/// Partitions, and from where each is fetched.
pub(crate) type Targets = Vec<(TopicPartition, FetchTarget)>;

/// From where a partition is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchTarget {
    /// Zero where the broker tells none.
    pub(crate) topic_id: Uuid,
    pub(crate) fetch_offset: i64,
    pub(crate) current_leader_epoch: Option<i32>,
    pub(crate) last_fetched_epoch: Option<i32>,
    pub(crate) partition_bytes_max: i32,
}

/// What a broker can do, by its version range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionSupport {
    /// Fetch 7 and later.
    pub(crate) sessions: bool,
    /// Fetch 13 and later.
    pub(crate) topic_ids: bool,
}

/// The part of a Fetch request that is about the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    pub(crate) send: Targets,
    /// With the topic's id when it entered the session.
    pub(crate) forget: Vec<(TopicPartition, Uuid)>,
    /// Whether topics go by id: version 13 or later, or 12 at most.
    pub(crate) uses_topic_ids: bool,
}

impl FetchSession {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Full { close: NO_SESSION },
            partitions: BTreeMap::new(),
            topic_names: BTreeMap::new(),
            uses_topic_ids: false,
        }
    }

    /// The request that fetches exactly `wanted`, in this order where the request names them.
    pub(crate) fn prepare(&mut self, wanted: Targets, support: SessionSupport) -> SessionRequest {
        let uses_topic_ids = support.topic_ids && wanted.iter().all(|(_, target)| !target.topic_id.is_zero());
        if let State::Incremental { session_id, .. } = self.state
            && uses_topic_ids != self.uses_topic_ids
        {
            // A session goes by names or by ids, not by both (FETCH_SESSION_TOPIC_ID_ERROR).
            self.state = State::Full { close: session_id };
        }
        self.uses_topic_ids = uses_topic_ids;
        match self.state {
            State::Full { close } => {
                self.topic_names.clear();
                self.partitions = wanted.iter().cloned().collect();
                self.remember_names(&wanted);
                let session_epoch =
                    if support.sessions { INITIAL_SESSION_EPOCH } else { FINAL_SESSION_EPOCH };
                SessionRequest {
                    session_id: close,
                    session_epoch,
                    send: wanted,
                    forget: Vec::new(),
                    uses_topic_ids,
                }
            }
            State::Incremental { session_id, session_epoch } => {
                let (send, forget) = self.difference(wanted);
                self.remember_names(&send);
                SessionRequest { session_id, session_epoch, send, forget, uses_topic_ids }
            }
        }
    }

    /// What the broker does not know, and what it is to forget.
    fn difference(&mut self, wanted: Targets) -> (Targets, Vec<(TopicPartition, Uuid)>) {
        let mut before = std::mem::take(&mut self.partitions);
        let mut send = Vec::new();
        let mut forget = Vec::new();
        for (partition, target) in wanted {
            let known = before.remove(&partition);
            if let Some(known) = known
                && known.topic_id != target.topic_id
                && self.uses_topic_ids
            {
                // Created anew under the same name: to the broker, another partition.
                forget.push((partition.clone(), known.topic_id));
            }
            let is_known = planted("session_keeps_the_old_offset")
                && known.is_some_and(|known| known.topic_id == target.topic_id);
            if known != Some(target) && !is_known {
                send.push((partition.clone(), target));
            }
            self.partitions.insert(partition, target);
        }
        forget.extend(before.into_iter().map(|(partition, target)| (partition, target.topic_id)));
        (send, forget)
    }

    fn remember_names(&mut self, targets: &[(TopicPartition, FetchTarget)]) {
        if self.uses_topic_ids {
            for (partition, target) in targets {
                self.topic_names.entry(target.topic_id).or_insert_with(|| partition.topic.clone());
            }
        }
    }

    /// Which partition of the session an answer is about; `None` for one that was not asked for.
    pub(crate) fn resolve(&self, topic: &str, topic_id: Uuid, partition: i32) -> Option<TopicPartition> {
        let topic = match self.uses_topic_ids {
            true => self.topic_names.get(&topic_id)?.clone(),
            false => Arc::from(topic),
        };
        let partition = TopicPartition { topic, partition };
        let target = self.partitions.get(&partition)?;
        (!self.uses_topic_ids || target.topic_id == topic_id).then_some(partition)
    }

    /// Takes note of an answer: how many of its partitions resolved, and how many did not. Its records are usable if it carries no
    /// error.
    pub(crate) fn handle_response(
        &mut self,
        error: ErrorCode,
        session_id: i32,
        resolved: usize,
        strangers: usize,
    ) {
        let fits = strangers == 0;
        self.state = match (self.state, error) {
            (_, ErrorCode::FetchSessionIdNotFound) => State::Full { close: NO_SESSION },
            (State::Full { close }, error) if !error.is_ok() => State::Full { close },
            (State::Incremental { session_id, .. }, error) if !error.is_ok() => {
                State::Full { close: session_id }
            }
            _ if session_id == NO_SESSION => State::Full { close: NO_SESSION },
            (State::Full { .. }, _) if fits && resolved == self.partitions.len() => {
                State::Incremental { session_id, session_epoch: next_session_epoch(INITIAL_SESSION_EPOCH) }
            }
            (State::Incremental { session_epoch, .. }, _) if fits => {
                State::Incremental { session_id, session_epoch: next_session_epoch(session_epoch) }
            }
            _ => State::Full { close: session_id },
        };
    }

    /// Takes note that the answer will not come.
    pub(crate) fn handle_failure(&mut self) {
        if let State::Incremental { session_id, .. } = self.state {
            self.state = State::Full { close: session_id };
        }
    }

    /// The session id and epoch of a request that closes the session, if the broker has one.
    pub(crate) fn prepare_close(&mut self) -> Option<(i32, i32)> {
        let (State::Incremental { session_id, .. } | State::Full { close: session_id }) = self.state;
        self.state = State::Full { close: NO_SESSION };
        (session_id != NO_SESSION).then_some((session_id, FINAL_SESSION_EPOCH))
    }
}

/// After the largest epoch comes 1: 0 opens sessions (Java: `FetchMetadata.nextEpoch`).
fn next_session_epoch(session_epoch: i32) -> i32 {
    session_epoch.checked_add(1).unwrap_or(1)
}
