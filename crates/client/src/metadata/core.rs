//! Decides what is asked, when, and of whom. What of an answer is believed is decided in [`super::merge`]. Pure.
//!
//! ```text
//!            request_update, new topic, age
//!   Idle ───────────────────────────────────▶ Due ──poll_action──▶ Asking
//!    ▲                                         ▲                     │
//!    │ handle_response, all topics fine        │ back-off over       │ handle_failure,
//!    └─────────────────────────────────────────┴─────────────────────┘ or topics still wrong
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;
use milena_protocol::messages::MetadataResponse;

use super::merge::{LeaderHint, Rewinds, apply_hints, merge, usable_brokers};
use super::snapshot::{Broker, Metadata};
use crate::config::MetadataRecovery;
use crate::env::later;
use crate::{Address, Backoff};

/// The state of knowledge about the cluster.
pub(super) struct MetadataCore {
    config: MetadataCoreConfig,
    snapshot: Arc<Metadata>,
    topics: BTreeMap<Arc<str>, Interest>,
    /// How many want to know all topics.
    all_topics: usize,
    state: State,
    source: Source,
    /// Attempts in a row that failed, or whose answer was not all that was asked for.
    failures: u32,
    /// Answers in a row that somebody had asked for and that brought nothing new.
    equivalent_answers: u32,
    last_answer: Option<Instant>,
    /// Since when there were only failures.
    attempts_since: Option<Instant>,
    rewinds: Rewinds,
}

/// The part of the configuration that decides.
#[derive(Clone, Debug)]
pub(super) struct MetadataCoreConfig {
    pub(super) bootstrap: Vec<Address>,
    pub(super) max_age: Duration,
    pub(super) retry_backoff: Backoff,
    pub(super) recovery: MetadataRecovery,
}

#[derive(Default)]
struct Interest {
    holders: usize,
    /// How many of the holders want a missing topic to be created.
    creators: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to ask before the metadata is too old.
    Idle,
    /// To be asked, not before the instant.
    Due { not_before: Instant },
    /// A request is under way; `next` is what came up meanwhile.
    Asking { next: Option<Next> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The answer may be out of date already.
    Refresh,
    /// A topic became of interest for which was not asked.
    NewTopic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The bootstrap servers; `afresh` when what is open to them is to be closed first, as their names may mean other brokers
    /// by now.
    Bootstrap { afresh: bool },
    /// The brokers in the snapshot.
    Known,
}

/// A Metadata request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Brokers to try.
    pub(super) candidates: Vec<Address>,
    /// Whether to close the connections to the candidates first.
    pub(super) afresh: bool,
    /// Topics to ask for without having them created; `None` for all.
    pub(super) topics: Option<Vec<Arc<str>>>,
    /// Missing topics to ask for and have created (`allow_auto_topic_creation` holds for a whole request).
    pub(super) create: Vec<Arc<str>>,
}

/// An answer that is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Useless {
    /// The broker sends its clients back to the bootstrap servers (KIP-1102).
    RebootstrapRequired,
    /// A broker that has just started may know nobody yet, itself included.
    NoBrokers,
}

impl MetadataCore {
    pub(super) fn new(config: MetadataCoreConfig, now: Instant) -> Self {
        Self {
            config,
            snapshot: Arc::default(),
            topics: BTreeMap::new(),
            all_topics: 0,
            state: State::Due { not_before: now },
            source: Source::Bootstrap { afresh: false },
            failures: 0,
            equivalent_answers: 0,
            last_answer: None,
            attempts_since: None,
            rewinds: Rewinds::default(),
        }
    }

    pub(super) fn snapshot(&self) -> &Arc<Metadata> {
        &self.snapshot
    }

    /// Someone wants to know a topic. Asks at once if nothing is known of it, and after the back-off if nothing good is.
    pub(super) fn add_interest(&mut self, topic: &Arc<str>, create: bool, now: Instant, unit_random: f64) {
        let interest = self.topics.entry(topic.clone()).or_default();
        interest.holders += 1;
        interest.creators += usize::from(create);
        match self.snapshot.topics.get(topic) {
            None => self.ask_at_once(now),
            Some(known) if known.partitions.is_empty() => self.request_update(now, unit_random),
            Some(_) => {}
        }
    }

    pub(super) fn remove_interest(&mut self, topic: &Arc<str>, create: bool) {
        let Some(interest) = self.topics.get_mut(topic) else { return };
        interest.holders -= 1;
        interest.creators -= usize::from(create);
        if interest.holders == 0 {
            self.topics.remove(topic);
        }
    }

    /// Someone wants to know all topics (subscriptions by pattern).
    pub(super) fn add_interest_in_all(&mut self, now: Instant) {
        self.all_topics += 1;
        self.ask_at_once(now);
    }

    pub(super) fn remove_interest_in_all(&mut self) {
        self.all_topics -= 1;
    }

    /// Something looks out of date: ask again, after the back-off.
    ///
    /// It counts from the last answer, so that a storm of errors makes one request, and grows while answers bring nothing new
    /// (`Metadata.timeToAllowUpdate`).
    pub(super) fn request_update(&mut self, now: Instant, unit_random: f64) {
        let wait =
            self.config.retry_backoff.delay(self.failures.max(self.equivalent_answers).max(1), unit_random);
        let not_before = self.last_answer.map_or(now, |last| later(last, wait).max(now));
        match &mut self.state {
            State::Idle => self.state = State::Due { not_before },
            State::Due { .. } => {}
            State::Asking { next } => *next = (*next).max(Some(Next::Refresh)),
        }
    }

    fn ask_at_once(&mut self, now: Instant) {
        self.equivalent_answers = 0;
        match &mut self.state {
            State::Asking { next } => *next = Some(Next::NewTopic),
            State::Due { not_before } => *not_before = now.min(*not_before),
            State::Idle => self.state = State::Due { not_before: now },
        }
    }

    /// When to call [`Self::poll_action`] next, if nothing else happens.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle => self.last_answer.map(|last| later(last, self.config.max_age)),
            State::Due { not_before } => Some(not_before),
            State::Asking { .. } => None,
        }
    }

    /// The request to send now, if one is due. It ends with `handle_response` or `handle_failure`.
    pub(super) fn poll_action(&mut self, now: Instant) -> Option<Ask> {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        if self.state == State::Idle {
            // Because of age: nobody is in need of anything new.
            self.equivalent_answers = 0;
        }
        self.state = State::Asking { next: None };
        let since = *self.attempts_since.get_or_insert(now);
        if let MetadataRecovery::Rebootstrap { trigger } = self.config.recovery
            && now.saturating_duration_since(since) > trigger
        {
            self.source = Source::Bootstrap { afresh: true };
            self.attempts_since = Some(now);
        }
        let (candidates, afresh) = match self.source {
            Source::Known => (self.known_addresses(), false),
            Source::Bootstrap { afresh } => {
                self.source = Source::Bootstrap { afresh: false };
                (self.config.bootstrap.clone(), afresh)
            }
        };
        let wanted = |(name, interest): (&Arc<str>, &Interest)| {
            (name.clone(), interest.creators > 0 && !self.snapshot.has_topic(name))
        };
        let (create, known): (Vec<_>, Vec<_>) =
            self.topics.iter().map(wanted).partition(|(_, create)| *create);
        let names = |topics: Vec<(Arc<str>, bool)>| topics.into_iter().map(|(name, _)| name).collect();
        Some(Ask {
            candidates,
            afresh,
            topics: (self.all_topics == 0).then(|| names(known)),
            create: names(create),
        })
    }

    fn known_addresses(&self) -> Vec<Address> {
        self.snapshot.brokers.values().map(|broker| broker.address.clone()).collect()
    }

    /// No candidate answered.
    ///
    /// When all known brokers failed, the bootstrap servers are asked at once (KIP-899). Java forgets the known brokers then;
    /// here both take turns from then on, as the bootstrap names may be unresolvable just now while known brokers come back.
    pub(super) fn handle_failure(&mut self, now: Instant, unit_random: f64) {
        self.failures = self.failures.saturating_add(1);
        let mut not_before = later(now, self.config.retry_backoff.delay(self.failures, unit_random));
        match (self.source, self.config.recovery) {
            (Source::Known, MetadataRecovery::Rebootstrap { .. }) => {
                self.source = Source::Bootstrap { afresh: false };
                not_before = now;
            }
            (Source::Bootstrap { .. }, _) if !self.snapshot.brokers.is_empty() => self.source = Source::Known,
            _ => {}
        }
        self.state = State::Due { not_before };
    }

    /// Takes an answer in `version` over into a new snapshot.
    ///
    /// # Errors
    /// The answer is of no use: the attempt counts as failed.
    pub(super) fn handle_response(
        &mut self,
        ask: &Ask,
        version: i16,
        response: MetadataResponse,
        now: Instant,
        unit_random: f64,
    ) -> Result<(), Useless> {
        if response.error_code == ErrorCode::RebootstrapRequired
            && let MetadataRecovery::Rebootstrap { .. } = self.config.recovery
        {
            let came_from_bootstrap = matches!(self.source, Source::Bootstrap { .. });
            self.handle_failure(now, unit_random);
            self.source = Source::Bootstrap { afresh: true };
            if !came_from_bootstrap {
                self.state = State::Due { not_before: now };
            }
            return Err(Useless::RebootstrapRequired);
        }
        if usable_brokers(&response.brokers).is_empty() {
            self.handle_failure(now, unit_random);
            return Err(Useless::NoBrokers);
        }
        let State::Asking { next } = self.state else { return Ok(()) };
        self.state = State::Idle;
        self.source = Source::Known;
        self.last_answer = Some(now);
        self.attempts_since = None;
        let merged = merge(&self.snapshot, &mut self.rewinds, response, version, ask, |topic| {
            self.topics.contains_key(topic)
        });
        let same = merged.metadata.has_same_content(&self.snapshot);
        self.equivalent_answers = if same { self.equivalent_answers.saturating_add(1) } else { 0 };
        self.snapshot = Arc::new(merged.metadata);
        if merged.incomplete {
            self.failures = self.failures.saturating_add(1);
            let not_before = later(now, self.config.retry_backoff.delay(self.failures, unit_random));
            self.state = State::Due { not_before };
        } else {
            self.failures = 0;
        }
        match next {
            Some(Next::NewTopic) => self.ask_at_once(now),
            Some(Next::Refresh) => self.request_update(now, unit_random),
            None => {}
        }
        Ok(())
    }

    /// Takes over leaders told in the answer of a former leader, if they are newer and the new leader's address is known or told
    /// beside them. Returns whether something changed.
    pub(super) fn handle_leader_hints(&mut self, hints: &[LeaderHint], endpoints: &[Broker]) -> bool {
        match apply_hints(&self.snapshot, hints, endpoints) {
            Some(next) => {
                self.snapshot = Arc::new(next);
                true
            }
            None => false,
        }
    }
}
