//! A cluster without a network: logs, leaders, and what the consumer's tasks would do with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_client::Address;
use milena_client::metadata::{Broker, PartitionMetadata, TopicMetadata};
use milena_protocol::{ErrorCode, Uuid};
use milena_records::Batches;

use super::super::*;
use crate::core::aborted::{AbortedFilter, AbortedTransaction};
use crate::core::ahead::ANSWER_BYTES_MIN;
use crate::core::fetched::{Fetched, Outline, outline};
use crate::core::fetching::Lane;
use crate::core::partition::{EpochChecks, Question, Watermarks};
use crate::core::subscription::deliver::DecodeTicket;
use crate::decode::{Decode, Decoder};
use crate::pool::{FrameLease, FrameReturn};

pub(super) const UNIT_RANDOM: f64 = 0.5;

pub(super) fn config() -> SubscriptionConfig {
    SubscriptionConfig {
        policy: OffsetReset::Earliest,
        isolation_level: IsolationLevel::ReadUncommitted,
        fetch_bytes_max: 50 << 20,
        partition_fetch_bytes_max: 1 << 20,
        fetch_max_wait: Duration::from_millis(500),
        prefetch_bytes: 64 << 20,
        answer_bytes_min: ANSWER_BYTES_MIN,
        decode_ahead_bytes: 20,
        retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
        preferred_replica_lease: Duration::from_secs(300),
    }
}

pub(super) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// An answer of so many bytes, all of which come at once.
pub(super) fn arrival(frame_bytes: usize, now: Instant) -> Arrival {
    Arrival { frame_bytes, occupied_bytes: frame_bytes, first_byte_at: now }
}

/// A partition's log and who leads it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) start_offset: i64,
    /// Where reading ends although there is more: too few replicas have it.
    pub(super) held_watermark: Option<i64>,
    /// What the leader says of that, if it looked before the last records came.
    pub(super) told_watermark: Option<i64>,
    /// Encoded batches with their first and next offsets.
    pub(super) batches: Vec<(i64, i64, Bytes)>,
    /// Offsets of records that the application may see.
    pub(super) visible: Vec<i64>,
    /// Aborted transactions with the offsets of their markers.
    pub(super) aborted: Vec<(AbortedTransaction, i64)>,
}

impl Log {
    pub(super) fn new(leader: i32) -> Self {
        Self {
            leader,
            leader_epoch: 0,
            start_offset: 0,
            held_watermark: None,
            told_watermark: None,
            batches: Vec::new(),
            visible: Vec::new(),
            aborted: Vec::new(),
        }
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.batches.last().map_or(0, |(_, next, _)| *next)
    }

    fn high_watermark(&self) -> i64 {
        self.held_watermark.unwrap_or(self.end_offset())
    }

    pub(super) fn append(&mut self, next: i64, batch: Bytes, visible: impl IntoIterator<Item = i64>) {
        self.batches.push((self.end_offset(), next, batch));
        self.visible.extend(visible);
    }

    /// What a broker sends from `offset` on: whole batches up to a number of bytes, at least one.
    fn read(&self, offset: i64, bytes_max: usize) -> Bytes {
        let mut out = Vec::new();
        for (_, _, batch) in self.batches.iter().filter(|(_, next, _)| *next > offset) {
            if !out.is_empty() && out.len() + batch.len() > bytes_max {
                break;
            }
            out.extend_from_slice(batch);
        }
        out.into()
    }
}

/// A plan that was sent and not answered.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) node_id: i32,
    pub(super) plan: FetchPlan,
}

impl Flight {
    pub(super) fn id(&self) -> LoopId {
        LoopId { node_id: self.node_id, lane: self.plan.lane }
    }
}

/// Who is awake. Tasks act only when they were woken, as in real life: a wake-up that is missing leaves records undelivered.
#[derive(Debug)]
struct Awake {
    application: bool,
    decoder: bool,
    manager: bool,
    /// When the manager wakes by itself.
    manager_at: Option<Instant>,
    /// Running fetch loops; those that sleep until they are woken, or an instant comes.
    loops: BTreeMap<LoopId, Option<Sleep>>,
}

#[derive(Clone, Copy, Debug)]
struct Sleep {
    until: Option<Instant>,
}

/// A subscription and what is around it.
pub(super) struct World {
    pub(super) subscription: Subscription,
    pub(super) logs: BTreeMap<TopicPartition, Log>,
    pub(super) flights: Vec<Flight>,
    pub(super) decoding: Vec<(DecodeTicket, Decoded)>,
    pub(super) questions: Vec<(TopicPartition, Asked)>,
    pub(super) now: Instant,
    pub(super) checks: EpochChecks,
    pub(super) topic_id: Uuid,
    pub(super) topic_error: ErrorCode,
    decoder: Decoder,
    frames: Arc<FrameReturn>,
    metadata_version: u64,
    awake: Awake,
}

impl World {
    pub(super) fn new(config: SubscriptionConfig, logs: BTreeMap<TopicPartition, Log>) -> Self {
        let mut world = Self {
            subscription: Subscription::new(config),
            logs,
            flights: Vec::new(),
            decoding: Vec::new(),
            questions: Vec::new(),
            now: crate::testing::now(),
            checks: EpochChecks::InFetch,
            topic_id: Uuid([1; 16]),
            topic_error: ErrorCode::None,
            decoder: Decoder::new(true, 1 << 20, 1),
            frames: Arc::default(),
            metadata_version: 0,
            awake: Awake {
                application: true,
                decoder: true,
                manager: true,
                manager_at: None,
                loops: BTreeMap::new(),
            },
        };
        world.publish_metadata();
        let all = world.logs.keys().cloned().collect();
        world.subscription.assign(all);
        world
    }

    /// Wakes whom the subscription wants to be woken.
    fn wake(&mut self) {
        let wakes = self.subscription.take_effects();
        self.awake.application |= wakes.application;
        self.awake.decoder |= wakes.decoder;
        self.awake.manager |= wakes.manager;
        for id in wakes.loops {
            if let Some(sleep) = self.awake.loops.get_mut(&id) {
                *sleep = None;
            }
        }
    }

    pub(super) fn publish_metadata(&mut self) {
        self.metadata_version += 1;
        let brokers = (1..=3)
            .map(|node_id| (node_id, Broker { node_id, address: Address::new("broker", 9_092), rack: None }));
        let partitions = self.logs.values().map(|log| PartitionMetadata {
            leader: Some(log.leader),
            leader_epoch: Some(log.leader_epoch),
            replicas: vec![1, 2, 3],
            in_sync_replicas: vec![1, 2, 3],
            offline_replicas: Vec::new(),
            error: ErrorCode::None,
        });
        let topic = TopicMetadata {
            name: "t".into(),
            topic_id: self.topic_id,
            is_internal: false,
            error: self.topic_error,
            partitions: partitions.collect(),
        };
        let mut metadata = Metadata { version: self.metadata_version, ..Metadata::default() };
        metadata.brokers = brokers.collect();
        metadata.topics.insert("t".into(), Arc::new(topic));
        self.subscription.handle_metadata(Arc::new(metadata));
    }

    /// Sends what a broker is to be asked now, on the main lane or else on a detour. False if there is nothing.
    pub(super) fn send(&mut self, node_id: i32) -> bool {
        [Lane::Main, Lane::Detour].into_iter().any(|lane| self.send_on(LoopId { node_id, lane }))
    }

    pub(super) fn send_on(&mut self, id: LoopId) -> bool {
        self.wake();
        let is_sleeping = |sleep: &Option<Sleep>| {
            sleep.is_some_and(|sleep| sleep.until.is_none_or(|until| until > self.now))
        };
        let in_flight = self.flights.iter().any(|flight| flight.id() == id);
        if in_flight || self.awake.loops.get(&id).is_none_or(is_sleeping) {
            return false;
        }
        match self.subscription.poll_fetch(id, self.checks, self.now) {
            FetchDecision::Send(plan) => {
                self.flights.push(Flight { node_id: id.node_id, plan });
                true
            }
            FetchDecision::Wait(until) => {
                self.awake.loops.insert(id, Some(Sleep { until }));
                false
            }
        }
    }

    /// Answers the oldest flight of a broker as Kafka does; `error` answers for a partition instead.
    pub(super) fn answer(
        &mut self,
        node_id: i32,
        error: impl Fn(&TopicPartition) -> Option<ErrorCode>,
    ) -> bool {
        let Some(at) = self.flights.iter().position(|flight| flight.node_id == node_id) else { return false };
        let Flight { plan, .. } = self.flights.remove(at);
        let mut answers = Vec::new();
        let mut room = plan.bytes_max;
        let mut frame_bytes = 0;
        let lease = FrameLease::new(Bytes::new(), self.frames.clone());
        for (name, target) in &plan.targets {
            let log = &self.logs[name];
            let forced = error(name);
            let code = forced.unwrap_or({
                if log.leader != node_id {
                    ErrorCode::NotLeaderOrFollower
                } else if target.fetch_offset > log.end_offset() || target.fetch_offset < log.start_offset {
                    ErrorCode::OffsetOutOfRange
                } else {
                    ErrorCode::None
                }
            });
            let mut data = None;
            if code.is_ok() {
                let bytes_max = room.min(usize::try_from(target.partition_bytes_max).unwrap());
                let is_readable = target.fetch_offset < log.high_watermark();
                let records =
                    if is_readable { log.read(target.fetch_offset, bytes_max) } else { Bytes::new() };
                // At least one batch, but only of the first partition that has records (KIP-74).
                if !records.is_empty() && (records.len() <= bytes_max || frame_bytes == 0) {
                    frame_bytes += records.len();
                    room = room.saturating_sub(records.len());
                    let overlaps = |(_, marker): &&(AbortedTransaction, i64)| *marker >= target.fetch_offset;
                    let aborted = log.aborted.iter().filter(overlaps).map(|(aborted, _)| *aborted);
                    data = Some(self.fetched(records, aborted.collect(), &lease));
                }
            }
            let known = code.is_ok();
            let watermark = known.then(|| log.told_watermark.unwrap_or(log.high_watermark()));
            answers.push(PartitionAnswer {
                partition: name.clone(),
                error: code,
                watermarks: Watermarks {
                    log_start_offset: known.then_some(log.start_offset),
                    high_watermark: watermark,
                    last_stable_offset: watermark,
                },
                diverging: None,
                preferred_read_replica: None,
                data,
            });
        }
        self.subscription.handle_fetched(
            node_id,
            &plan,
            answers,
            arrival(frame_bytes, self.now),
            self.now,
            UNIT_RANDOM,
        );
        true
    }

    /// Answers the oldest flight of a broker: its log has another epoch there, and is as long. (Fetch 12.)
    pub(super) fn answer_with_another_epoch(&mut self, node_id: i32) {
        let Some(at) = self.flights.iter().position(|flight| flight.node_id == node_id) else { return };
        let Flight { plan, .. } = self.flights.remove(at);
        // Beyond its end it says something else.
        let in_log =
            plan.targets.iter().filter(|(name, target)| target.fetch_offset <= self.logs[name].end_offset());
        let answers = in_log.map(|(name, _)| {
            let log = &self.logs[name];
            let end = Position::new(log.end_offset()).with_leader_epoch(log.leader_epoch);
            PartitionAnswer {
                partition: name.clone(),
                error: ErrorCode::None,
                watermarks: Watermarks::default(),
                diverging: Some(end),
                preferred_read_replica: None,
                data: None,
            }
        });
        let answers = answers.collect();
        self.subscription.handle_fetched(
            node_id,
            &plan,
            answers,
            arrival(0, self.now),
            self.now,
            UNIT_RANDOM,
        );
    }

    /// Answers the oldest flight of a broker with these bytes for these partitions, whatever was asked for.
    pub(super) fn answer_with(&mut self, node_id: i32, parts: &[(TopicPartition, Bytes)]) {
        let at = self.flights.iter().position(|flight| flight.node_id == node_id).unwrap();
        let Flight { plan, .. } = self.flights.remove(at);
        let lease = FrameLease::new(Bytes::new(), self.frames.clone());
        let answers = parts.iter().map(|(name, records)| PartitionAnswer {
            partition: name.clone(),
            error: ErrorCode::None,
            watermarks: Watermarks::default(),
            diverging: None,
            preferred_read_replica: None,
            data: Some(self.fetched(records.clone(), Vec::new(), &lease)),
        });
        let answers = answers.collect();
        let frame_bytes = parts.iter().map(|(_, records)| records.len()).sum();
        self.subscription.handle_fetched(
            node_id,
            &plan,
            answers,
            arrival(frame_bytes, self.now),
            self.now,
            UNIT_RANDOM,
        );
    }

    fn fetched(
        &self,
        records: Bytes,
        aborted: Vec<AbortedTransaction>,
        frame: &Arc<FrameLease>,
    ) -> FetchedData {
        let committed = self.subscription.config.isolation_level == IsolationLevel::ReadCommitted;
        let filter = committed.then(|| AbortedFilter::new(aborted));
        let size_bytes = records.len();
        let Outline { end, disorder } = outline(&records);
        let (next, fetch_offset) = (Position::new(-1), -1);
        let batches = Batches::new(records);
        FetchedData {
            fetched: Fetched { batches, filter, disorder, next, fetch_offset, frame: frame.clone() },
            end,
            size_bytes,
        }
    }

    /// The connection breaks: what is in flight gets no answer.
    pub(super) fn lose(&mut self, node_id: i32) {
        if let Some(at) = self.flights.iter().position(|flight| flight.node_id == node_id) {
            let Flight { plan, .. } = self.flights.remove(at);
            self.subscription.handle_fetch_failure(node_id, &plan, self.now, UNIT_RANDOM);
        }
    }

    /// Has the decoder use this buffer next.
    pub(super) fn reuse_buffer(&self, buffer: Vec<u8>) {
        self.decoder.buffers().put(buffer);
    }

    /// Decodes the next part, and keeps the result back.
    pub(super) fn decode(&mut self) -> bool {
        self.wake();
        // One decoder: what it has is given back before it takes more.
        if !self.decoding.is_empty() || !self.awake.decoder {
            return false;
        }
        let Some(job) = self.subscription.poll_decode() else {
            self.awake.decoder = false;
            return false;
        };
        let (ticket, fetched) = job.into_parts();
        let decoded = self.decoder.decode(ticket.partition(), ticket.generation(), fetched);
        self.decoding.push((ticket, decoded));
        true
    }

    /// Gives the decoded part to the subscription.
    pub(super) fn finish_decoding(&mut self) -> bool {
        let Some((ticket, decoded)) = self.decoding.pop() else { return false };
        self.subscription.handle_decoded(ticket, decoded);
        true
    }

    /// Takes up the questions that are to be asked.
    pub(super) fn ask(&mut self) {
        self.wake();
        if !self.awake.manager && self.awake.manager_at.is_none_or(|at| at > self.now) {
            return;
        }
        while let Some(action) = self.subscription.poll_action(self.now) {
            match action {
                Action::Ask(questions) => self.questions.extend(questions),
                Action::Fetch(ids) => {
                    self.awake.loops.retain(|id, _| ids.contains(id));
                    for id in &ids {
                        self.awake.loops.entry(*id).or_insert(None);
                    }
                    // A cancelled task takes its connection with it.
                    for flight in self.flights.extract_if(.., |flight| !ids.contains(&flight.id())) {
                        self.subscription.abandon_fetch(flight.node_id, flight.plan.fetch_id);
                    }
                }
            }
        }
        self.awake.manager = false;
        self.awake.manager_at = self.subscription.poll_timeout();
    }

    /// The application asks for something.
    pub(super) fn take(&mut self) -> Option<Delivery> {
        self.take_some(usize::MAX)
    }

    /// What is here and decoded for the application, or can be.
    pub(super) fn take_decoded(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.take();
            if delivery.is_some() || !(self.decode() && self.finish_decoding()) {
                return delivery;
            }
        }
    }

    /// The application asks for so many records at most.
    pub(super) fn take_some(&mut self, records_max: usize) -> Option<Delivery> {
        let delivery = self.subscription.poll_delivery(records_max);
        self.wake();
        self.awake.application = delivery.is_some();
        delivery
    }

    /// Answers the oldest question as the partition's leader does.
    pub(super) fn answer_question(&mut self) -> bool {
        if self.questions.is_empty() {
            return false;
        }
        let (name, asked) = self.questions.remove(0);
        let log = &self.logs[&name];
        let answer = if asked.leader.node_id != log.leader {
            Answer::Error(ErrorCode::NotLeaderOrFollower)
        } else {
            match asked.question {
                Question::Offset(OffsetLookup::Earliest) => Answer::Offset(Some(log.start_offset)),
                Question::Offset(OffsetLookup::Latest) => Answer::Offset(Some(log.end_offset())),
                Question::Offset(_) => Answer::Offset(None),
                Question::EpochEnd(position) => {
                    let end = Position { offset: log.end_offset(), leader_epoch: position.leader_epoch };
                    Answer::EpochEnd(Some(end))
                }
            }
        };
        self.subscription.handle_answer(&name, asked, answer, self.now, UNIT_RANDOM);
        true
    }

    /// Lets everything happen that can, as a healthy cluster would, until the application has something.
    pub(super) fn settle(&mut self) -> Option<Delivery> {
        for _ in 0..100 {
            self.wake();
            if self.awake.application
                && let Some(delivery) = self.take()
            {
                return Some(delivery);
            }
            self.ask();
            self.answer_question();
            self.decode();
            self.finish_decoding();
            for node_id in 1..=3 {
                self.send(node_id);
                self.answer(node_id, |_| None);
            }
            self.now += Duration::from_millis(500);
        }
        None
    }

    /// What comes next must be records: their partition and offsets.
    pub(super) fn settle_batch(&mut self) -> (i32, Vec<i64>) {
        match self.settle() {
            Some(Delivery::Batch { batch, .. }) => {
                (batch.partition(), batch.iter().map(|record| record.offset).collect())
            }
            other => panic!("expected records, got {other:?}"),
        }
    }

    pub(super) fn settle_error(&mut self) -> RecvError {
        match self.settle() {
            Some(Delivery::Error(error)) => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }
}
