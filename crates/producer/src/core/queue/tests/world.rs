//! A queue, the network, and a partition with two replicas, moved by single events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use milena_client::Backoff;
use milena_protocol::ErrorCode;
use milena_records::{BatchBuilder, Codec, RecordParts, Scratch, SealedBatch};

use super::log::{Log, count};
use crate::core::outcome::Attempt;
use crate::core::queue::{Batch, BatchName, BatchSeries, Idle, QueueConfig, SendQueue, ToSend, Verdict};
use crate::core::sequencing::{ProducerIdentity, Sequencing, Stamp};

pub(super) const NODES: usize = 2;
const IN_FLIGHT_MAX: usize = 5;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A batch of so many records is sealed.
    Push(u32),
    /// The sender of the leader that the client believes in takes what it may.
    Send,
    /// So many batches are sealed and sent.
    Flow(usize),
    /// A node acknowledges so many requests.
    Serve(usize, usize),
    /// A node works on the next request.
    Work(usize, Fate),
    /// A node's next answer arrives.
    Answer(usize),
    /// The connection to a node breaks; so many of the last requests had not been written to it.
    Disconnect(usize, usize),
    /// A node works on a request that a broken connection left behind, however long ago.
    WorkOnRest(usize, Fate),
    /// The other node leads.
    FailOver,
    /// The client believes that this node leads.
    Believe(Option<usize>),
    /// Milliseconds pass.
    Wait(u64),
    /// The producer id that was asked for arrives.
    Identity,
    /// The topic's largest batch, in records.
    Limit(u32),
    /// The batch that was first refused as too large is split.
    Split,
}

/// What a node does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Acknowledge,
    Refuse(ErrorCode),
    AppendAndAnswer(ErrorCode),
    /// The answer never comes: the connection breaks.
    AppendAndBreak {
        replicated: bool,
    },
}

/// How a world begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) delivery_timeout_ms: u64,
    pub(super) retries_max: u32,
    pub(super) first_epoch: i16,
    /// The sequence number that comes next at the beginning.
    pub(super) next_sequence: Option<i32>,
}

#[derive(Clone, Debug)]
struct Request {
    name: BatchName,
    stamp: Stamp,
    records: Range<u64>,
}

/// A connection to a node.
#[derive(Default)]
struct Link {
    /// On the way to the node, or waiting there.
    requests: VecDeque<Request>,
    answers: VecDeque<(BatchName, Result<(), ErrorCode>)>,
    /// What the client waits for.
    unanswered: VecDeque<BatchName>,
    /// What earlier connections left behind.
    rest: VecDeque<Request>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fated {
    Acknowledged,
    Failed { possibly_written: bool },
}

pub(super) struct World {
    beginning: Beginning,
    pub(super) queue: SendQueue<Range<u64>>,
    now: Instant,
    next_record: u64,
    identity: Option<ProducerIdentity>,
    identity_wanted: bool,
    believed: Option<usize>,
    links: [Link; NODES],
    leader: usize,
    pub(super) log: Log,
    batch_records_max: u32,
    to_split: VecDeque<BatchName>,
    stamps: BTreeMap<u64, Stamp>,
    pub(super) fates: BTreeMap<u64, Fated>,
    /// Whether repetitions are recognised throughout: no producer is ever forgotten.
    pub(super) is_strict: bool,
}

impl World {
    pub(super) fn new(beginning: Beginning) -> Self {
        let config = QueueConfig {
            idempotent: true,
            in_flight_max: IN_FLIGHT_MAX,
            retries_max: beginning.retries_max,
            retry_backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(20)),
        };
        let mut world = Self {
            beginning,
            queue: SendQueue::new(config),
            now: start(),
            next_record: 0,
            identity: None,
            identity_wanted: false,
            believed: Some(0),
            links: Default::default(),
            leader: 0,
            log: Log::default(),
            batch_records_max: u32::MAX,
            to_split: VecDeque::new(),
            stamps: BTreeMap::new(),
            fates: BTreeMap::new(),
            is_strict: true,
        };
        if let Some(next_sequence) = beginning.next_sequence {
            // As if the record before had that number.
            let identity = ProducerIdentity { producer_id: 1, producer_epoch: beginning.first_epoch };
            let stamp = Stamp { identity, base_sequence: next_sequence - 1 };
            world.log.append(stamp, &(0..1)).unwrap();
            world.log.replicate();
            world.next_record = 1;
            world.fates.insert(0, Fated::Acknowledged);
            world.identity = Some(identity);
            world.queue.sequencing = Sequencing::Assigned { identity, next_sequence };
        }
        world
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Push(records) => self.push(records),
            Event::Send => self.send(),
            Event::Flow(batches) => {
                for _ in 0..batches {
                    self.push(1);
                    self.send();
                }
            }
            Event::Serve(node, requests) => {
                for _ in 0..requests {
                    self.work(node, Fate::Acknowledge);
                    self.answer(node);
                }
            }
            Event::Work(node, fate) => self.work(node, fate),
            Event::Answer(node) => self.answer(node),
            Event::Disconnect(node, unwritten) => self.disconnect(node, unwritten),
            Event::WorkOnRest(node, fate) => {
                if let Some(request) = self.links[node].rest.pop_front() {
                    let _ = self.carry_out(node, &request, fate);
                }
            }
            Event::FailOver => self.fail_over(),
            Event::Believe(node) => self.believe(node),
            Event::Wait(ms) => self.wait(ms),
            Event::Identity => self.give_identity(),
            Event::Limit(records) => self.batch_records_max = records,
            Event::Split => self.split(),
        }
    }

    fn push(&mut self, records: u32) {
        let first_record = self.next_record;
        self.next_record += u64::from(records);
        let deadline = self.now + Duration::from_millis(self.beginning.delivery_timeout_ms);
        self.queue.push(Batch::new(first_record, seal(records), deadline, first_record..self.next_record));
    }

    fn send(&mut self) {
        let Some(node) = self.believed else { return };
        loop {
            match self.queue.poll_send(self.now, node as i32, self.identity) {
                Ok(to_send) => self.submit(node, &to_send),
                Err(Idle::NeedsProducerId(needs)) => {
                    let has_other = self.identity.map(|identity| identity.producer_id) != needs.exhausted;
                    assert!(self.identity.is_none() || !has_other, "there is a usable producer id");
                    self.identity_wanted = true;
                    return;
                }
                Err(Idle::Waiting | Idle::Backoff(_)) => return,
            }
        }
    }

    fn submit(&mut self, node: usize, to_send: &ToSend) {
        let stamp = to_send.stamp.expect("idempotent batches are numbered");
        let first = to_send.name.first_record;
        let records = first..first + u64::from(to_send.sealed.record_count());
        if self.stamps.insert(first, stamp).is_some_and(|before| before != stamp) && self.is_strict {
            assert!(
                !records.clone().any(|record| self.log.contains(record)),
                "{records:?} got new numbers although it is in the log"
            );
        }
        assert!(self.queue.in_flight.len() <= IN_FLIGHT_MAX);
        self.links[node].unanswered.push_back(to_send.name);
        self.links[node].requests.push_back(Request { name: to_send.name, stamp, records });
    }

    fn work(&mut self, node: usize, fate: Fate) {
        if self.links[node].requests.is_empty() {
            return;
        }
        let request = self.links[node].requests.pop_front().expect("there was one");
        match self.carry_out(node, &request, fate) {
            Some(answer) => self.links[node].answers.push_back((request.name, answer)),
            None => self.disconnect(node, 0),
        }
    }

    /// The answer, if there will be one.
    fn carry_out(&mut self, node: usize, request: &Request, fate: Fate) -> Option<Result<(), ErrorCode>> {
        if node != self.leader {
            return Some(Err(ErrorCode::NotLeaderOrFollower));
        }
        if let Fate::Refuse(code) = fate {
            return Some(Err(code));
        }
        if count(&request.records) > self.batch_records_max {
            return Some(Err(ErrorCode::MessageTooLarge));
        }
        if let Err(code) = self.log.append(request.stamp, &request.records) {
            return Some(Err(code));
        }
        match fate {
            Fate::Acknowledge => {
                self.log.replicate();
                Some(Ok(()))
            }
            Fate::AppendAndAnswer(code) => Some(Err(code)),
            Fate::AppendAndBreak { replicated } => {
                if replicated {
                    self.log.replicate();
                }
                None
            }
            Fate::Refuse(_) => unreachable!("dealt with above"),
        }
    }

    fn answer(&mut self, node: usize) {
        let Some((name, answer)) = self.links[node].answers.pop_front() else { return };
        assert_eq!(self.links[node].unanswered.pop_front(), Some(name), "answers come in order");
        match answer {
            Ok(()) => {
                if let Some(batch) = self.queue.handle_written(name, self.now) {
                    self.resolve(batch, true);
                }
            }
            Err(code) => self.fail(name, &Attempt::Refused(code)),
        }
    }

    fn disconnect(&mut self, node: usize, unwritten: usize) {
        let link = &mut self.links[node];
        let written = link.requests.len().saturating_sub(unwritten);
        let unwritten = link.requests.split_off(written).len();
        link.rest.extend(link.requests.drain(..));
        link.answers.clear();
        let unanswered: Vec<_> = link.unanswered.drain(..).collect();
        let written = unanswered.len() - unwritten;
        for (index, name) in unanswered.into_iter().enumerate() {
            self.fail(name, &Attempt::Disconnected { possibly_sent: index < written });
        }
    }

    fn fail(&mut self, name: BatchName, attempt: &Attempt) {
        match self.queue.handle_failed(name, attempt, self.now, 0.5) {
            Verdict::Retry | Verdict::Stale => {}
            Verdict::AlreadyWritten(batch) => self.resolve(batch, true),
            Verdict::Split(_) => self.to_split.push_back(name),
            Verdict::Fail(batch) | Verdict::Fatal(batch) => self.resolve(batch, false),
        }
    }

    fn split(&mut self) {
        let Some(batch) = self.to_split.pop_front().and_then(|name| self.queue.take_refused(name)) else {
            return;
        };
        let (mut at, mut pieces) = (batch.payload.start, Vec::new());
        let half = batch.sealed.record_count().div_ceil(2);
        for records in [half, batch.sealed.record_count() - half] {
            let end = at + u64::from(records);
            pieces.push((seal(records), at..end));
            at = end;
        }
        self.queue.insert_pieces(BatchSeries::from(&batch), pieces);
    }

    fn resolve(&mut self, batch: Batch<Range<u64>>, acknowledged: bool) {
        let possibly_written = batch.is_possibly_written();
        let fate = if acknowledged { Fated::Acknowledged } else { Fated::Failed { possibly_written } };
        for record in batch.payload {
            assert_eq!(self.fates.insert(record, fate), None, "record {record} is resolved once");
        }
    }

    fn fail_over(&mut self) {
        self.log.fail_over();
        self.leader = (self.leader + 1) % NODES;
        // What waited at the new one was refused while it did not lead.
        let link = &mut self.links[self.leader];
        let refused = link.requests.drain(..).map(|request| request.name);
        link.answers.extend(refused.map(|name| (name, Err(ErrorCode::NotLeaderOrFollower))));
    }

    fn believe(&mut self, node: Option<usize>) {
        if self.believed != node {
            self.believed = node;
            self.queue.handle_new_leader();
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for batch in self.queue.expire(self.now) {
            self.resolve(batch, false);
        }
    }

    fn give_identity(&mut self) {
        if std::mem::take(&mut self.identity_wanted) {
            let producer_id = self.identity.map_or(1, |identity| identity.producer_id + 1);
            self.identity =
                Some(ProducerIdentity { producer_id, producer_epoch: self.beginning.first_epoch });
        }
    }

    /// Heals everything, and demands that all is resolved soon, and that new records are acknowledged.
    pub(super) fn heal(&mut self) {
        for node in 0..NODES {
            while !self.links[node].rest.is_empty() {
                self.happen(Event::WorkOnRest(node, Fate::Acknowledge));
            }
        }
        self.believe(Some(self.leader));
        self.happen(Event::Limit(u32::MAX));
        self.run_until_empty();
        let first_new = self.next_record;
        for _ in 0..2 * IN_FLIGHT_MAX {
            self.push(2);
        }
        self.run_until_empty();
        for record in first_new..self.next_record {
            assert_eq!(
                self.fates.get(&record),
                Some(&Fated::Acknowledged),
                "record {record}, sent after the healing"
            );
        }
    }

    fn run_until_empty(&mut self) {
        const STEPS_MAX: usize = 400;
        for _ in 0..STEPS_MAX {
            if self.queue.is_empty() {
                return;
            }
            self.happen(Event::Split);
            self.happen(Event::Send);
            self.happen(Event::Identity);
            for node in 0..NODES {
                self.happen(Event::Work(node, Fate::Acknowledge));
                self.happen(Event::Answer(node));
            }
            self.happen(Event::Wait(2));
        }
        panic!("no end after {STEPS_MAX} steps: {:?}", self.queue.sequencing);
    }

    /// All that was promised.
    pub(super) fn check(&self) {
        assert_eq!(self.fates.len() as u64, self.next_record, "each record is resolved");
        let logged: Vec<_> = self.log.records().collect();
        for (record, fate) in &self.fates {
            let is_logged = logged.contains(record);
            match fate {
                Fated::Acknowledged => {
                    assert!(is_logged, "record {record} was acknowledged and is not in the log")
                }
                Fated::Failed { possibly_written: false } if self.is_strict => {
                    assert!(!is_logged, "record {record} failed for certain and is in the log");
                }
                Fated::Failed { .. } => {}
            }
        }
        if self.is_strict {
            let once: BTreeSet<_> = logged.iter().collect();
            assert_eq!(once.len(), logged.len(), "each record is in the log once: {logged:?}");
            // Nothing fences a producer id whose epochs are used up: what was failed under it may still come.
            let had_other_ids = self.identity.is_some_and(|identity| identity.producer_id > 1);
            let is_ordered = |record: &u64| !had_other_ids || self.fates[record] == Fated::Acknowledged;
            let ordered: Vec<_> = logged.iter().filter(|record| is_ordered(record)).collect();
            assert!(ordered.is_sorted(), "the records are in order: {logged:?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn seal(records: u32) -> SealedBatch {
    let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
    for _ in 0..records {
        builder.try_append(&RecordParts::default()).unwrap();
    }
    builder.seal(&Codec::default(), &mut Scratch::new()).unwrap()
}
