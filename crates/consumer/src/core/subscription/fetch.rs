//! What each broker is asked for, and what its answers change.

use std::time::{Duration, Instant};

use milena_client::{Backoff, RequestError, TopicPartition};
use milena_protocol::ErrorCode;

use super::Subscription;
use super::deliver::DecodeTicket;
use super::nodes::{Flight, LoopId, Waiting};
use crate::config::IsolationLevel;
use crate::core::ahead::Round;
use crate::core::budget::FrameId;
use crate::core::fetched::Fetched;
use crate::core::fetching::{Buffered, FetchId, Fetching, Lane};
use crate::core::partition::{EpochChecks, FetchReadiness, Partition, Watermarks};
use crate::core::position::Position;
use crate::core::session::{FetchTarget, Targets};
use crate::error::RecvError;

/// How long somebody who waits for nothing but a broker's patience can be made to wait.
const SHORT_WAIT: Duration = Duration::from_millis(50);
/// Between detours for a partition that has nothing new.
const DETOUR_PAUSE: Backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(500));

/// One Fetch request to one broker. It goes back to [`Subscription::handle_fetched`] or [`Subscription::handle_fetch_failure`].
#[derive(Debug)]
pub(crate) struct FetchPlan {
    pub(crate) fetch_id: FetchId,
    pub(crate) lane: Lane,
    pub(crate) targets: Targets,
    /// What the answer may bring.
    pub(crate) bytes_max: usize,
    /// What it might bring if the broker was asked as far ahead as the configuration allows.
    pub(crate) longest: usize,
    pub(crate) sent_at: Instant,
    /// How long the broker may hold it back.
    pub(crate) max_wait: Duration,
}

impl FetchPlan {
    /// Stands beside a request that fetches nothing.
    pub(crate) fn nothing(now: Instant) -> Self {
        Self {
            fetch_id: FetchId(u64::MAX),
            lane: Lane::Main,
            targets: Vec::new(),
            bytes_max: 0,
            longest: 0,
            sent_at: now,
            max_wait: Duration::ZERO,
        }
    }
}

/// What a fetch loop does next.
#[derive(Debug)]
pub(crate) enum FetchDecision {
    Send(FetchPlan),
    /// Nothing, until it is woken or the instant comes.
    Wait(Option<Instant>),
}

/// What a broker says of one partition.
#[derive(Debug)]
pub(crate) struct PartitionAnswer {
    pub(crate) partition: TopicPartition,
    pub(crate) error: ErrorCode,
    pub(crate) watermarks: Watermarks,
    /// The largest epoch that broker and consumer have in common, and where it ends in the broker's log (Fetch 12).
    pub(crate) diverging: Option<Position>,
    pub(crate) preferred_read_replica: Option<i32>,
    pub(crate) data: Option<FetchedData>,
}

/// An answer as it came over the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) frame_bytes: usize,
    /// What the buffer occupies that it is in.
    pub(crate) occupied_bytes: usize,
    /// When it began to come.
    pub(crate) first_byte_at: Instant,
}

/// Batches of one partition.
#[derive(Debug)]
pub(crate) struct FetchedData {
    pub(crate) fetched: Fetched,
    /// Where the log goes on after them, if their headers tell.
    pub(crate) end: Option<Position>,
    pub(crate) size_bytes: usize,
}

impl Subscription {
    /// What a fetch loop asks its broker for now.
    pub(crate) fn poll_fetch(&mut self, id: LoopId, checks: EpochChecks, now: Instant) -> FetchDecision {
        let LoopId { node_id, lane } = id;
        let Some(max_wait) = self.fetch_wait(id) else {
            self.set_waiting(id, Waiting::Work);
            return FetchDecision::Wait(None);
        };
        let (targets, wake_at) = self.fetch_targets(id, checks, now);
        if targets.is_empty() {
            self.set_waiting(id, Waiting::Work);
            return FetchDecision::Wait(wake_at);
        }
        let Some(answer_bytes) = self.nodes.get(&node_id).map(|node| node.ahead.answer_bytes()) else {
            return FetchDecision::Wait(wake_at);
        };
        let wanted = targets.len().saturating_mul(self.config.partition_fetch_bytes_max);
        let longest = wanted.min(self.config.fetch_bytes_max);
        let wanted = longest.min(answer_bytes);
        let Some(bytes_max) = self.find_room(node_id, wanted) else {
            self.set_waiting(id, Waiting::Room { wanted });
            return FetchDecision::Wait(wake_at);
        };
        self.budget.charge(node_id, bytes_max);
        let fetch_id = FetchId(self.next_fetch_id);
        self.next_fetch_id += 1;
        if let Some(node) = self.nodes.get_mut(&node_id) {
            let is_long_poll = max_wait > SHORT_WAIT;
            node.start_flight(lane, fetch_id, Flight { reserved: bytes_max, is_long_poll });
        }
        for (name, _) in &targets {
            if let Some(fetching) = self.partitions.get_mut(name).and_then(Partition::fetching_mut) {
                fetching.start_fetch(fetch_id);
            }
        }
        FetchDecision::Send(FetchPlan { fetch_id, lane, targets, bytes_max, longest, sent_at: now, max_wait })
    }

    /// How long the broker may hold the next answer back; `None` if this loop is to send nothing.
    fn fetch_wait(&self, id: LoopId) -> Option<Duration> {
        let node = self.nodes.get(&id.node_id)?;
        match id.lane {
            // It takes over what is on a detour when that is answered: soon, but not by all means.
            Lane::Main if node.is_detouring() => Some(self.config.fetch_max_wait.min(SHORT_WAIT)),
            Lane::Main => Some(self.config.fetch_max_wait),
            Lane::Detour => node.is_long_polling().then_some(Duration::ZERO),
        }
    }

    /// The partitions that can be fetched now, and when time alone will change that.
    fn fetch_targets(
        &mut self,
        LoopId { node_id, lane }: LoopId,
        checks: EpochChecks,
        now: Instant,
    ) -> (Targets, Option<Instant>) {
        let Some(node) = self.nodes.get_mut(&node_id) else { return (Vec::new(), None) };
        node.turn = node.turn.wrapping_add(1);
        let turn = node.turn % node.partitions.len().max(1);
        let names: Vec<_> =
            node.partitions.iter().skip(turn).chain(node.partitions.iter().take(turn)).cloned().collect();
        let mut targets = Vec::with_capacity(names.len());
        let mut wake_at: Option<Instant> = None;
        for name in names {
            let Some(partition) = self.partitions.get_mut(&name) else { continue };
            if partition.expire_preferred_replica(now) {
                self.follow_node(&name, Some(node_id));
                continue;
            }
            match partition.poll_fetch(lane, checks, now) {
                FetchReadiness::From(from) => {
                    let target = FetchTarget {
                        topic_id: partition.topic_id(),
                        fetch_offset: from.offset,
                        current_leader_epoch: partition.leader().and_then(|leader| leader.leader_epoch),
                        last_fetched_epoch: from.leader_epoch.filter(|_| checks == EpochChecks::InFetch),
                        partition_bytes_max: i32::try_from(self.config.partition_fetch_bytes_max)
                            .unwrap_or(i32::MAX),
                    };
                    targets.push((name, target));
                }
                FetchReadiness::Validate => self.validate(&name),
                FetchReadiness::Wait(at) => wake_at = wake_at.into_iter().chain(at).min(),
            }
        }
        (targets, wake_at)
    }

    pub(super) fn validate(&mut self, name: &TopicPartition) {
        let generation = self.next_generation();
        let Some(partition) = self.partitions.get_mut(name) else { return };
        let paused = partition.is_paused();
        let buffers = partition.validate(generation);
        self.drop_buffers(buffers, paused);
        self.after_transition(name);
    }

    /// Bytes to reserve for a fetch of up to `wanted`. What paused partitions have buffered does not keep anybody from being ahead
    /// with others, and makes room for them where the whole budget is used up.
    fn find_room(&mut self, node_id: i32, wanted: usize) -> Option<usize> {
        let ahead_max = self.nodes.get(&node_id)?.ahead.bytes();
        loop {
            let available = |node_max| self.budget.available(node_id, wanted, self.nodes.len(), node_max);
            let room = available(ahead_max)
                .or_else(|| available(ahead_max.saturating_add(self.paused_bytes(node_id))));
            let is_within_budget = || available(usize::MAX).is_some();
            if room.is_some() || is_within_budget() {
                return room;
            }
            let name = self.paused_buffers.first()?.clone();
            tracing::debug!(partition = %name, "what is buffered of a paused partition makes room");
            let generation = self.next_generation();
            let buffers = self.partitions.get_mut(&name)?.restart(generation);
            self.drop_buffers(buffers, true);
            self.note_paused_buffers(&name);
        }
    }

    /// What paused partitions have in memory of a broker: the frames that they keep, what is decompressed of them included.
    fn paused_bytes(&self, node_id: i32) -> usize {
        let paused = self.paused_buffers.iter().filter_map(|name| self.partitions.get(name)?.fetching());
        let in_decoder =
            self.in_decoder.iter().filter(|ticket| self.paused_buffers.contains(ticket.partition()));
        let frames = paused.clone().flat_map(Fetching::frames).chain(in_decoder.map(DecodeTicket::frame));
        let decompressed: usize = paused.map(|fetching| fetching.charged_bytes(node_id)).sum();
        self.budget.frame_bytes(node_id, frames) + decompressed
    }

    /// Takes an answer. Partitions of the plan that it does not mention have no news.
    pub(crate) fn handle_fetched(
        &mut self,
        node_id: i32,
        plan: &FetchPlan,
        answers: Vec<PartitionAnswer>,
        arrival: Arrival,
        now: Instant,
        unit_random: f64,
    ) {
        self.tell_broker_works(node_id);
        self.end_flight(node_id, plan.fetch_id);
        self.look_ahead(node_id, plan, arrival, now);
        let awaited = |this: &Self, name: &TopicPartition| {
            let fetching = this.partitions.get(name).and_then(Partition::fetching);
            fetching.is_some_and(|fetching| fetching.awaits(plan.fetch_id))
        };
        // It counts as a whole until it is known which parts of it are kept: a partition may be named twice, or not be asked for.
        let frame = self.budget.add_frame(node_id, arrival.occupied_bytes);
        for answer in answers {
            if !awaited(self, &answer.partition) {
                continue;
            }
            let name = answer.partition.clone();
            let before = self.partitions.get(&name).and_then(Partition::fetch_node);
            self.handle_partition(LoopId { node_id, lane: plan.lane }, answer, frame, now, unit_random);
            self.follow_node(&name, before);
            self.after_transition(&name);
        }
        self.finish_part(frame);
        for (name, _) in &plan.targets {
            if awaited(self, name) {
                self.handle_no_news(name, plan.lane, now, unit_random);
                self.after_transition(name);
            }
        }
        // The reservation was larger than what came.
        self.wake_waiting_nodes();
    }

    /// Finds out whether longer answers would keep the application busier. One that is not at least half as long as it might be
    /// was all that there was.
    fn look_ahead(&mut self, node_id: i32, plan: &FetchPlan, arrival: Arrival, now: Instant) {
        let is_dry = self.ready.is_empty() && self.undecoded.is_empty() && self.in_decoder.is_none();
        let dry_since = self.dry_since.filter(|_| is_dry);
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        if arrival.frame_bytes >= plan.bytes_max / 2 {
            let first_byte_at = arrival.first_byte_at;
            let round = Round { sent_at: plan.sent_at, first_byte_at, received_at: now };
            // If not even that much was asked for, other limits are smaller.
            let is_limit = plan.bytes_max >= node.ahead.answer_bytes();
            let longest = if is_limit { plan.longest } else { plan.bytes_max };
            node.ahead.handle_full_answer(round, dry_since, longest);
        }
    }

    fn handle_partition(
        &mut self,
        LoopId { node_id, lane }: LoopId,
        answer: PartitionAnswer,
        frame: FrameId,
        now: Instant,
        unit_random: f64,
    ) {
        let generation = self.next_generation();
        let Some(partition) = self.partitions.get_mut(&answer.partition) else { return };
        if !answer.error.is_ok() {
            return self.handle_error(node_id, &answer.partition, answer.error, now, unit_random);
        }
        partition.watermarks_mut().update(answer.watermarks);
        let mut unknown_replica = false;
        if let Some(replica) = answer.preferred_read_replica.filter(|replica| *replica != node_id) {
            unknown_replica = !self.metadata.brokers.contains_key(&replica);
            if !unknown_replica {
                partition.prefer_replica(replica, now + self.config.preferred_replica_lease);
            }
        }
        let leader_epoch = partition.leader().and_then(|leader| leader.leader_epoch);
        let paused = partition.is_paused();
        let Some(fetching) = partition.fetching_mut() else { return };
        match (answer.diverging, answer.data) {
            (Some(end), _) => {
                let buffers = partition.diverged(end, generation);
                self.drop_buffers(buffers, paused);
            }
            (None, Some(FetchedData { fetched, end, .. })) => {
                self.budget.add_part(frame);
                fetching.handle_data(Buffered { fetched, frame, node_id }, end, leader_epoch);
                let read_until = fetching.fetch_offset();
                partition.watermarks_mut().include(read_until, self.config.isolation_level);
            }
            (None, None) if unknown_replica => {
                // The leader will say so again at once: not before metadata may know the replica.
                fetching.back_off(now + self.config.retry_backoff.delay(1, unit_random));
                self.effects.metadata = true;
            }
            (None, None) => self.handle_no_news(&answer.partition, lane, now, unit_random),
        }
    }

    /// A partition has no news. Whoever asks beyond what can be read, where too few replicas have what the leader has, or where
    /// a transaction is open, is told so at once and not when there is something to read (Java: `DelayedFetch.tryComplete`): it is
    /// asked again after a pause, and keeps nobody else waiting.
    fn handle_no_news(&mut self, name: &TopicPartition, lane: Lane, now: Instant, unit_random: f64) {
        let Some(partition) = self.partitions.get_mut(name) else { return };
        let readable_end = partition.watermarks().readable_end(self.config.isolation_level);
        let Some(fetching) = partition.fetching_mut() else { return };
        if readable_end.is_some_and(|end| fetching.fetch_offset() > end) {
            let in_a_row = fetching.count_failure();
            return fetching.back_off(now + self.config.retry_backoff.delay(in_a_row, unit_random));
        }
        match lane {
            Lane::Main => fetching.handle_nothing(),
            // It is asked for again after a pause, which doubles: until then the main lane may have taken it over.
            Lane::Detour => {
                fetching.handle_empty_detour(|in_a_row| now + DETOUR_PAUSE.delay(in_a_row, unit_random));
            }
        }
    }

    /// Java: `FetchCollector.handleInitializeErrors`.
    fn handle_error(
        &mut self,
        node_id: i32,
        name: &TopicPartition,
        code: ErrorCode,
        now: Instant,
        unit_random: f64,
    ) {
        let generation = self.next_generation();
        let Some(partition) = self.partitions.get_mut(name) else { return };
        let from_replica = partition.leader().is_none_or(|leader| leader.node_id != node_id);
        partition.forget_preferred_replica();
        let paused = partition.is_paused();
        let Some(fetching) = partition.fetching_mut() else { return };
        if code == ErrorCode::OffsetOutOfRange && !from_replica {
            if fetching.hold_unless_drained() {
                let buffers = partition.out_of_range(generation);
                self.drop_buffers(buffers, paused);
            }
            return;
        }
        if is_refusal(code) {
            fetching.stop(RecvError::Refused { partition: name.clone(), code });
            return;
        }
        let failures = fetching.count_failure();
        tracing::debug!(partition = %name, node_id, %code, failures, "fetch failed");
        let until = now + self.config.retry_backoff.delay(failures, unit_random);
        fetching.back_off(until);
        // With these two, the broker is behind us, or has a trouble of its own.
        self.effects.metadata |=
            !matches!(code, ErrorCode::UnknownLeaderEpoch | ErrorCode::UnknownServerError);
    }

    /// The answer to a plan will not come: the connection failed, or the answer was of no use.
    pub(crate) fn handle_fetch_failure(
        &mut self,
        node_id: i32,
        plan: &FetchPlan,
        now: Instant,
        unit_random: f64,
    ) {
        self.end_flight(node_id, plan.fetch_id);
        for (name, _) in &plan.targets {
            let Some(partition) = self.partitions.get_mut(name) else { continue };
            let Some(fetching) = partition.fetching_mut().filter(|fetching| fetching.awaits(plan.fetch_id))
            else {
                continue;
            };
            fetching.retarget();
            self.leave_replica(name, node_id, now, unit_random);
            self.after_transition(name);
        }
        self.wake_waiting_nodes();
    }

    /// A broker cannot be reached or used. What it was to be asked goes back to leaders where another replica was preferred; an
    /// error that trying again does not help is told once.
    pub(crate) fn handle_broker_failure(
        &mut self,
        node_id: i32,
        error: &RequestError,
        now: Instant,
        unit_random: f64,
    ) {
        self.effects.metadata = true;
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        let partitions = node.partitions.clone();
        if !error.is_retriable() {
            let error = RecvError::Broker { node_id, error: error.clone() };
            if node.told.as_ref() != Some(&error) {
                node.told = Some(error.clone());
                self.tell(error);
            }
        }
        for name in partitions {
            self.leave_replica(&name, node_id, now, unit_random);
        }
    }

    /// Goes back to the leader if `node_id` was read from in its place. The leader may not know yet what is wrong with it, and say
    /// the same again: not at once.
    fn leave_replica(&mut self, name: &TopicPartition, node_id: i32, now: Instant, unit_random: f64) {
        let Some(partition) = self.partitions.get_mut(name) else { return };
        if partition.preferred_replica() != Some(node_id) {
            return;
        }
        partition.forget_preferred_replica();
        if let Some(fetching) = partition.fetching_mut() {
            fetching.back_off(now + self.config.retry_backoff.delay(1, unit_random));
        }
        self.follow_node(name, Some(node_id));
        self.after_transition(name);
    }

    /// Whether a fetch loop may find something to do, now or later; otherwise it is woken when it may.
    pub(crate) fn has_work(&mut self, id: LoopId) -> bool {
        let partitions = &self.partitions;
        let is_fetched = |name: &TopicPartition| {
            let partition = partitions.get(name).filter(|partition| !partition.is_paused());
            partition.and_then(Partition::fetching).is_some_and(|fetching| match id.lane {
                Lane::Main => true,
                Lane::Detour => fetching.wants_fetch(),
            })
        };
        let node = self.nodes.get(&id.node_id).filter(|_| self.fetch_wait(id).is_some());
        let has_work = node.is_some_and(|node| node.partitions.iter().any(is_fetched));
        if !has_work {
            self.set_waiting(id, Waiting::Work);
        }
        has_work
    }

    /// The fetch loop of a broker is gone, and with it the answer that it waited for. (It was stopped because nothing was to be
    /// fetched there; but by the time it ends, that may have changed, and it may have sent another fetch.)
    pub(crate) fn abandon_fetch(&mut self, node_id: i32, fetch_id: FetchId) {
        self.end_flight(node_id, fetch_id);
        let awaits =
            |partition: &Partition| partition.fetching().is_some_and(|fetching| fetching.awaits(fetch_id));
        let waiting = self.partitions.iter().filter(|(_, partition)| awaits(partition));
        let names: Vec<_> = waiting.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(fetching) = self.partitions.get_mut(&name).and_then(Partition::fetching_mut) {
                fetching.retarget();
            }
            self.after_transition(&name);
        }
        self.wake_waiting_nodes();
    }

    fn tell_broker_works(&mut self, node_id: i32) {
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.told = None;
        }
    }
}

/// Errors that stay until somebody changes something. All others are tried again, with back-off: none but "out of range" and a
/// truncated log ever moves a position.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TopicAuthorizationFailed
            | ErrorCode::CorruptMessage
            | ErrorCode::UnsupportedCompressionType
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidTopicException
    )
}

impl Watermarks {
    /// The end of what may be read, as far as brokers told.
    pub(super) fn readable_end(&self, isolation_level: IsolationLevel) -> Option<i64> {
        match isolation_level {
            IsolationLevel::ReadCommitted => self.last_stable_offset,
            IsolationLevel::ReadUncommitted => self.high_watermark,
        }
    }

    /// Records up to `end` were read. A leader looks at its watermarks before it reads, so that some of the records may have been
    /// appended after that (Java: `Partition.readRecords`).
    fn include(&mut self, end: i64, isolation_level: IsolationLevel) {
        let raise = |mark: &mut Option<i64>| *mark = mark.map(|offset| offset.max(end));
        raise(&mut self.high_watermark);
        if isolation_level == IsolationLevel::ReadCommitted {
            raise(&mut self.last_stable_offset);
        }
    }

    /// Takes over what is told; what is not told stays.
    fn update(&mut self, told: Self) {
        self.log_start_offset = told.log_start_offset.or(self.log_start_offset);
        self.high_watermark = told.high_watermark.or(self.high_watermark);
        self.last_stable_offset = told.last_stable_offset.or(self.last_stable_offset);
    }
}
