//! Fetch (KIP-74, 98, 227, 320, 392, 516, 595, 951; Java: `KafkaApis.handleFetchRequest`,
//! `ReplicaManager.fetchMessages`, `DelayedFetch`).

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use milena_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use milena_protocol::messages::{FetchRequest, FetchResponse};
use milena_protocol::{ByteStr, Encoder, ErrorCode, Message, Records, Uuid};
use tokio::select;

use super::Api;
use super::leaders::LeaderHints;
use crate::fetch::{FetchContext, FetchKey, FetchPosition, FetchWait, SessionRequest};
use crate::node::{Reply, RequestContext};
use crate::state::{Partition, PartitionState};
use crate::sync::lock;

/// From this version on topics are named by id only.
const TOPIC_IDS_SINCE_VERSION: i16 = 13;
/// The first version that tells who leads when this node does not, or leads in another epoch.
const LEADER_HINTS_SINCE_VERSION: i16 = 16;

const READ_COMMITTED: i8 = 1;

/// What is before every frame.
const LENGTH_BYTES: usize = 4;

impl Api for FetchRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<FetchResponse> {
        let bytes_max = context.shared.state().settings().fetch_max_bytes.min(context.fetch_bytes_max());
        let max_bytes = size(self.max_bytes).min(bytes_max);
        let limits = Limits {
            max_bytes,
            min_bytes: size(self.min_bytes).min(max_bytes),
            max_wait: Duration::from_millis(size(self.max_wait_ms) as u64),
            read_committed: self.isolation_level == READ_COMMITTED,
        };
        let request = session_request(context, self);
        let session = lock(&context.node.sessions).begin(request, context.now_ms());
        let targets: Vec<_> = session
            .partitions()
            .iter()
            .map(|(key, position)| Target::find(context, key, *position))
            .collect();

        let mut fetched = fetch(context, &targets, &limits).await;

        let hints = point_to_leaders(context, &targets, &mut fetched);
        let fetched: Vec<_> = targets.into_iter().map(|target| target.key).zip(fetched).collect();
        let (error_code, session_id, answered) =
            match context.charge_fetched(|| answer_bytes(context, &session, &fetched)) {
                false => lock(&context.node.sessions).finish(session, fetched, context.now_ms()),
                true => {
                    let (error_code, session_id) = lock(&context.node.sessions).put_off(&session);
                    (error_code, session_id, Vec::new())
                }
            };
        let endpoints = hints.into_endpoints().map(|endpoint| NodeEndpoint {
            node_id: endpoint.node_id,
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
            ..Default::default()
        });
        let response = FetchResponse {
            error_code,
            session_id,
            responses: by_topic(answered),
            node_endpoints: endpoints.collect(),
            ..Default::default()
        };
        response.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<FetchResponse> {
        let refused = |partition: &FetchPartition| PartitionData {
            partition_index: partition.partition,
            ..failed(error_code)
        };
        let topics = self.topics.iter().map(|topic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(refused).collect(),
            ..Default::default()
        });
        FetchResponse {
            error_code,
            session_id: self.session_id,
            responses: topics.collect(),
            ..Default::default()
        }
        .into()
    }
}

/// What the answer takes (Java: `FetchResponse.sizeOf`).
fn answer_bytes(
    context: &RequestContext<'_>,
    session: &FetchContext,
    fetched: &[(FetchKey, PartitionData)],
) -> usize {
    let sessions = lock(&context.node.sessions);
    let answered = fetched.iter().filter(|(key, data)| sessions.answers(session, key, data)).cloned();
    let response = FetchResponse { responses: by_topic(answered.collect()), ..Default::default() };
    let mut encoder = Encoder::new();
    match response.encode(&mut encoder, context.version) {
        Ok(()) => LENGTH_BYTES + encoder.len(),
        // It will not be sent either.
        Err(_) => 0,
    }
}

/// What bounds the answer.
struct Limits {
    max_bytes: usize,
    min_bytes: usize,
    max_wait: Duration,
    read_committed: bool,
}

/// A partition to fetch from, or why it cannot be.
struct Target {
    key: FetchKey,
    position: FetchPosition,
    partition: Result<Arc<Partition>, ErrorCode>,
}

/// What reading all partitions once gave.
struct ReadOnce {
    answers: Vec<PartitionData>,
    bytes: usize,
    /// There is something to tell beside records.
    must_answer: bool,
    /// The high watermark and leader epoch of each partition when it was read.
    seen: Vec<Option<(i64, i32)>>,
}

impl Target {
    fn find(context: &RequestContext<'_>, key: &FetchKey, position: FetchPosition) -> Self {
        let by_id = context.version >= TOPIC_IDS_SINCE_VERSION;
        let topic = {
            let state = context.shared.state();
            if by_id { state.topic_by_id(&key.topic_id).cloned() } else { state.topic(&key.topic).cloned() }
        };
        let partition = match &topic {
            None if by_id => Err(Self::gone(context, key)),
            topic => context.partition(topic.as_ref(), key.partition),
        };
        Self { key: key.clone(), position, partition }
    }

    /// The error for a topic id that is not known: it never was, or the topic was there when the session began and
    /// has since been deleted, and perhaps created again (Java: `CachedPartition.maybeResolveUnknownName`).
    fn gone(context: &RequestContext<'_>, key: &FetchKey) -> ErrorCode {
        let state = context.shared.state();
        match state.topic(&key.topic).and_then(|topic| topic.partition(key.partition)) {
            Some(_) => ErrorCode::InconsistentTopicId,
            None if key.topic.is_empty() => ErrorCode::UnknownTopicId,
            None => ErrorCode::UnknownTopicOrPartition,
        }
    }
}

/// Reads until there are enough bytes, something else to tell, or no time left.
async fn fetch(context: &RequestContext<'_>, targets: &[Target], limits: &Limits) -> Vec<PartitionData> {
    let deadline = context.shared.clock.instant() + limits.max_wait;
    let mut may_wait = !limits.max_wait.is_zero() && !targets.is_empty();
    loop {
        let read = read_once(context, targets, limits);
        if !may_wait || read.must_answer || read.bytes >= limits.min_bytes {
            return read.answers;
        }
        let Some(waiting) = Waiting::begin(targets, &read, limits.min_bytes - read.bytes) else {
            // Something was appended since the read: read again.
            continue;
        };
        select! {
            biased;
            () = waiting.fetch.woken() => may_wait = !waiting.fetch.must_answer(),
            () = context.hangup.on() => may_wait = false,
            () = tokio::time::sleep_until(deadline) => may_wait = false,
        }
    }
}

/// Reads each partition in turn. Until one has given a batch, the next one gives at least one, whatever the limits
/// (KIP-74); what follows shares the bytes that are left.
fn read_once(context: &RequestContext<'_>, targets: &[Target], limits: &Limits) -> ReadOnce {
    let mut all = ReadOnce { answers: Vec::new(), bytes: 0, must_answer: false, seen: Vec::new() };
    for target in targets {
        let left = limits.max_bytes.saturating_sub(all.bytes);
        let (answer, seen) = match &target.partition {
            Err(error) => (failed(*error), None),
            Ok(partition) => {
                let state = partition.lock();
                let at_least_one = all.bytes == 0;
                let answer = read_partition(context, &state, target.position, left, at_least_one, limits);
                (answer, Some((state.log.high_watermark(), state.leadership.leader_epoch)))
            }
        };
        all.bytes += answer.records.as_ref().map_or(0, Records::len);
        all.must_answer |= !answer.error_code.is_ok() || answer.diverging_epoch.epoch != -1;
        // Whoever asks beyond what can be read is answered at once (Java: `DelayedFetch.tryComplete`, case F).
        let end_offset =
            if limits.read_committed { answer.last_stable_offset } else { answer.high_watermark };
        all.must_answer |= answer.error_code.is_ok() && target.position.fetch_offset > end_offset;
        all.answers.push(PartitionData { partition_index: target.key.partition, ..answer });
        all.seen.push(seen);
    }
    all
}

fn read_partition(
    context: &RequestContext<'_>,
    state: &PartitionState,
    position: FetchPosition,
    left: usize,
    at_least_one: bool,
    limits: &Limits,
) -> PartitionData {
    if let Err(error) = state.check_readable(context.node.id, position.current_leader_epoch) {
        return failed(error);
    }
    let log = &state.log;
    let mut answer = PartitionData {
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable_offset(),
        log_start_offset: log.log_start_offset(),
        records: Some(Records::new()),
        ..Default::default()
    };
    match check_last_fetched_epoch(state, position) {
        Ok(None) => {}
        Ok(Some(diverging)) => return PartitionData { diverging_epoch: diverging, ..answer },
        Err(error) => return failed(error),
    }
    let max_bytes = size(position.max_bytes).min(left);
    let read = match limits.read_committed {
        false => log.read(position.fetch_offset, max_bytes, at_least_one).map(|segments| (segments, None)),
        true => log
            .read_committed(position.fetch_offset, max_bytes, at_least_one)
            .map(|read| (read.segments, Some(read.aborted.iter().map(aborted_transaction).collect()))),
    };
    match read {
        Ok((segments, aborted)) => {
            answer.records = Some(Records::from_segments(segments));
            answer.aborted_transactions = aborted;
            answer
        }
        Err(_) => failed(ErrorCode::OffsetOutOfRange),
    }
}

fn aborted_transaction(aborted: &crate::log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
        ..Default::default()
    }
}

/// Whether the client's log agrees with this one at its end; if not, where they part (KIP-595, KIP-320).
fn check_last_fetched_epoch(
    state: &PartitionState,
    position: FetchPosition,
) -> Result<Option<EpochEndOffset>, ErrorCode> {
    if position.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let Some(end) = state.log.end_of_leader_epoch(position.last_fetched_epoch) else {
        return Err(ErrorCode::OffsetOutOfRange);
    };
    if position.fetch_offset < state.log.log_start_offset() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = end.leader_epoch < position.last_fetched_epoch || end.end_offset < position.fetch_offset;
    Ok(diverges.then(|| EpochEndOffset {
        epoch: end.leader_epoch,
        end_offset: end.end_offset,
        ..Default::default()
    }))
}

/// A fetch in the waiting lists of its partitions, as long as this exists.
struct Waiting<'a> {
    fetch: Arc<FetchWait>,
    targets: &'a [Target],
}

impl<'a> Waiting<'a> {
    /// Waits for `missing` bytes, unless a partition has changed since it was read.
    fn begin(targets: &'a [Target], read: &ReadOnce, missing: usize) -> Option<Self> {
        let waiting = Self { fetch: Arc::new(FetchWait::for_bytes(missing)), targets };
        for (target, seen) in targets.iter().zip(&read.seen) {
            let (Ok(partition), Some(seen)) = (&target.partition, seen) else { continue };
            let mut state = partition.lock();
            if *seen != (state.log.high_watermark(), state.leadership.leader_epoch) {
                return None;
            }
            state.wait(waiting.fetch.clone());
        }
        Some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for partition in self.targets.iter().filter_map(|target| target.partition.as_ref().ok()) {
            partition.lock().stop_waiting(&self.fetch);
        }
    }
}

fn point_to_leaders(
    context: &RequestContext<'_>,
    targets: &[Target],
    answers: &mut [PartitionData],
) -> LeaderHints {
    let mut hints = LeaderHints::default();
    if context.version < LEADER_HINTS_SINCE_VERSION {
        return hints;
    }
    for (target, answer) in targets.iter().zip(answers) {
        let about_leader =
            matches!(answer.error_code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        if !about_leader {
            continue;
        }
        let partition = match &target.partition {
            Ok(partition) => Some(partition.clone()),
            Err(_) => {
                let state = context.shared.state();
                state
                    .topic_by_id(&target.key.topic_id)
                    .and_then(|t| t.partition(target.key.partition))
                    .cloned()
            }
        };
        if let Some(partition) = partition {
            let hint = hints.point_to(context, &partition);
            answer.current_leader = LeaderIdAndEpoch {
                leader_id: hint.leader_id,
                leader_epoch: hint.leader_epoch,
                ..Default::default()
            };
        }
    }
    hints
}

fn session_request(context: &RequestContext<'_>, request: FetchRequest) -> SessionRequest {
    let state = context.shared.state();
    // What a session keeps must not pin the frame in which it came.
    let name_of = |name: ByteStr, id: &Uuid| match state.topic_by_id(id) {
        Some(topic) => topic.name.clone(),
        None => name.detached(),
    };
    let of_topic = |topic: FetchTopic| {
        let name = name_of(topic.topic, &topic.topic_id);
        topic.partitions.into_iter().map(move |partition| {
            let key =
                FetchKey { topic: name.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let position = FetchPosition {
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            (key, position)
        })
    };
    let forgotten = |topic: ForgottenTopic| {
        let name = name_of(topic.topic, &topic.topic_id);
        topic.partitions.into_iter().map(move |partition| FetchKey {
            topic: name.clone(),
            topic_id: topic.topic_id,
            partition,
        })
    };
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        uses_topic_ids: context.version >= TOPIC_IDS_SINCE_VERSION,
        partitions: request.topics.into_iter().flat_map(of_topic).collect(),
        forgotten: request.forgotten_topics_data.into_iter().flat_map(forgotten).collect(),
    }
}

/// Neighbouring partitions of one topic share its entry.
fn by_topic(answered: Vec<(FetchKey, PartitionData)>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for (key, data) in answered {
        match topics.last_mut() {
            Some(last) if last.topic == key.topic && last.topic_id == key.topic_id => {
                last.partitions.push(data)
            }
            _ => topics.push(FetchableTopicResponse {
                topic: key.topic,
                topic_id: key.topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }
    topics
}

fn failed(error_code: ErrorCode) -> PartitionData {
    PartitionData {
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        records: Some(Records::new()),
        ..Default::default()
    }
}

/// A number of the wire that counts something; negative is none.
fn size(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}
