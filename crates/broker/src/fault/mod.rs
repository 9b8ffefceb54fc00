//! Faults on request.
//!
//! | where | what |
//! | --- | --- |
//! | `nodes`, `partitions`, `coordinators` | what happens at once |
//! | `requests` | rules for requests: what is worked on, and what is answered |
//! | `connections` | rules for connections: whether, when and how bytes arrive |
//! | `rule` | what rules of both kinds have in common: how often they strike, and how they are removed |

mod connections;
mod coordinators;
mod nodes;
mod partitions;
mod requests;
mod rule;

use std::sync::Arc;

pub use connections::ConnectionFaultBuilder;
pub(crate) use connections::{ConnectionEvent, ConnectionSubject, Direction, Passage, passing_time};
pub(crate) use requests::{Effect, Stage, Subject};
pub use requests::{FaultBuilder, PartFaultBuilder};
pub(crate) use rule::FaultRecord;
use rule::Table;
pub use rule::{Fault, FaultGuard};
use tokio::sync::Notify;

use crate::rng::Rng;
use crate::shared::Shared;

/// Makes things go wrong in a [`Cluster`](crate::Cluster), on purpose.
///
/// Rules change what happens to requests ([`on`](Self::on)) and to connections ([`connections`](Self::connections)); everything else
/// here happens at once. A new rule for requests does not affect those that are already being worked on; one for connections affects
/// their answers.
///
/// | what goes wrong | with |
/// | --- | --- |
/// | a node dies, and comes back | [`kill`](Self::kill), [`kill_unnoticed`](Self::kill_unnoticed), [`notice`](Self::notice), [`stop`](Self::stop), [`restart`](Self::restart) |
/// | a node hangs | [`freeze`](Self::freeze), [`unfreeze`](Self::unfreeze), [`stop_reading`](Self::stop_reading), [`resume_reading`](Self::resume_reading) |
/// | connections are closed | [`disconnect`](Self::disconnect), [`ConnectionFaultBuilder::reset_now`] |
/// | the network is cut, slow or broken | [`connections`](Self::connections), with [`silence`](ConnectionFaultBuilder::silence), [`refuse`](ConnectionFaultBuilder::refuse), [`delay`](ConnectionFaultBuilder::delay), [`slow`](ConnectionFaultBuilder::slow), [`reset`](ConnectionFaultBuilder::reset), [`truncate`](ConnectionFaultBuilder::truncate) |
/// | requests fail | [`on`](Self::on), [`on_any`](Self::on_any), with [`answer_with`](FaultBuilder::answer_with), [`close_before_work`](FaultBuilder::close_before_work) |
/// | the work is done and nobody knows | [`lose_answer`](FaultBuilder::lose_answer), [`truncate_answer`](FaultBuilder::truncate_answer), [`delay_answer`](FaultBuilder::delay_answer) |
/// | requests arrive late or twice | [`delay_work`](FaultBuilder::delay_work), [`deliver_twice`](FaultBuilder::deliver_twice) |
/// | metadata is wrong | [`hide_topic`](PartFaultBuilder::hide_topic), [`report_leader`](PartFaultBuilder::report_leader), [`report_leader_epoch`](PartFaultBuilder::report_leader_epoch) |
/// | leaders move or are lost | [`move_leader`](Self::move_leader), [`lose_leader`](Self::lose_leader), [`set_isr`](Self::set_isr), [`move_leader_and_lose_records`](Self::move_leader_and_lose_records) |
/// | coordinators move or are lost | [`move_coordinator`](Self::move_coordinator), [`lose_coordinator`](Self::lose_coordinator), [`move_transaction_coordinator`](Self::move_transaction_coordinator), [`lose_transaction_coordinator`](Self::lose_transaction_coordinator) |
/// | sessions and transactions expire | [`expire_group_sessions`](Self::expire_group_sessions), [`expire_fetch_sessions`](Self::expire_fetch_sessions), [`expire_transactions`](Self::expire_transactions) |
/// | transactions stay open | [`hold_transaction_markers`](Self::hold_transaction_markers), [`release_transaction_markers`](Self::release_transaction_markers) |
/// | idempotent producers are forgotten | [`forget_producers`](Self::forget_producers), [`forget_producer`](Self::forget_producer), [`set_last_sequence`](Self::set_last_sequence) |
/// | records are damaged or gone | [`corrupt_batch`](Self::corrupt_batch), [`delete_records`](Self::delete_records), [`recreate_topic`](Self::recreate_topic) |
/// | time jumps | [`turn_clock`](Self::turn_clock), [`run_retention`](Self::run_retention) |
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
    has_tcp: bool,
}

/// All rules that are in force.
#[derive(Debug)]
pub(crate) struct FaultTable {
    requests: Table<requests::Scope, Effect>,
    connections: Table<connections::Scope, connections::Effect>,
    /// Some have been removed.
    removed: Notify,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>, has_tcp: bool) -> Self {
        Self { shared, has_tcp }
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.shared.faults.clear();
    }

    /// Moves the cluster's wall clock, in milliseconds; timers that run already do not move with it.
    pub fn turn_clock(&self, by_ms: i64) {
        self.shared.clock.turn(by_ms);
    }

    /// Applies retention and expires producers and committed offsets now, rather than at the next check.
    pub fn run_retention(&self) {
        self.shared.apply_retention();
        self.shared.expire_producers();
        self.shared.expire_offsets();
    }
}

impl FaultTable {
    pub(crate) fn new(rng: Rng) -> Self {
        let of_connections = Rng::from_seed(rng.clone().next_u64());
        Self { requests: Table::new(rng), connections: Table::new(of_connections), removed: Notify::new() }
    }

    /// What happens to a request, or to a part of it, at these stages; each effect counted as fired.
    pub(crate) fn strike_request(&self, subject: Subject<'_>, stages: &[Stage]) -> Vec<Effect> {
        let is_meant = |scope: &requests::Scope, effect: &Effect| {
            stages.contains(&effect.stage()) && scope.matches(subject)
        };
        self.requests.strike(is_meant, |effect, _| *effect)
    }

    /// Whether a rule has a connection refused or broken at this event.
    pub(crate) fn strike_connection(&self, subject: ConnectionSubject<'_>, event: ConnectionEvent) -> bool {
        let is_meant = |scope: &connections::Scope, effect: &_| scope.is_meant(subject, event, effect);
        !self.connections.strike(is_meant, |_, _| ()).is_empty()
    }

    /// What happens to a request or an answer on its way.
    pub(crate) fn strike_passage(
        &self,
        subject: ConnectionSubject<'_>,
        direction: Direction,
    ) -> Option<Passage> {
        let event = ConnectionEvent::Passing(direction);
        let is_meant = |scope: &connections::Scope, effect: &_| scope.is_meant(subject, event, effect);
        Passage::of(self.connections.strike(is_meant, |effect, record| (*effect, record.clone())))
    }

    /// Returns once all of these rules have been removed.
    pub(crate) async fn removed(&self, rules: &[Arc<FaultRecord>]) {
        loop {
            let mut removed = std::pin::pin!(self.removed.notified());
            // Before the look, so that a removal right after it is not missed.
            removed.as_mut().enable();
            if rules.iter().all(|rule| rule.is_removed()) {
                return;
            }
            removed.await;
        }
    }

    fn remove(&self, rule: &FaultRecord) {
        rule.remove();
        self.removed.notify_waiters();
    }

    fn clear(&self) {
        self.requests.clear();
        self.connections.clear();
        self.removed.notify_waiters();
    }
}
