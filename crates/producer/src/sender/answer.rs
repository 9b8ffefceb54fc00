//! What answers do to batches.

use std::sync::Arc;
use std::time::Instant;

use milena_client::connection::{ConnectionErrorReason, Response};
use milena_client::metadata::{Broker, LeaderHint};
use milena_client::{Address, ConnectionError};
use milena_protocol::messages::produce_response::PartitionProduceResponse;
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ErrorCode, Uuid, planted};

use super::split::Pieces;
use super::{BrokerSender, InFlightRequest};
use crate::core::outcome::Attempt;
use crate::core::queue::{Batch, Verdict};
use crate::delivery::{BatchFailure, Outcome};
use crate::error::DeliveryErrorKind;
use crate::partition::{Locked, Payload};
use crate::sender::request::Sent;
use crate::shared::Shared;

/// Resolves what the answer resolves; returns the broker's wish for silence in milliseconds.
pub(super) fn handle_response(
    sender: &BrokerSender,
    shared: &Arc<Shared>,
    mut response: Response<InFlightRequest>,
    address: &Address,
    now: Instant,
) -> Result<i32, ConnectionError> {
    shared.numbers.request_completed(now, Some(response.latency));
    let answer = match response.decode::<ProduceRequest>() {
        Ok(answer) => answer,
        Err(error) => {
            // The connection is given up, and with it every answer that may still come.
            response.context.fail_all(sender, shared, true, now);
            let reason = ConnectionErrorReason::Protocol(error.to_string());
            return Err(ConnectionError { address: address.clone(), reason });
        }
    };
    apply_leader_hints(shared, &response.context, &answer);
    let throttle_time_ms = answer.throttle_time_ms;
    shared.numbers.throttled(now, throttle_time_ms);
    let InFlightRequest { sent, topic_ids } = &mut response.context;
    let mut answered = vec![false; sent.len()];
    for topic in answer.responses {
        let name = match topic.topic_id.is_zero() {
            true => &*topic.name,
            false => topic_name(topic_ids, topic.topic_id).unwrap_or_default(),
        };
        for partition in topic.partition_responses {
            let Some(at) = find(sent, name, partition.index) else { continue };
            answered[at] = true;
            sent[at].handle_answer(sender, shared, partition, now);
        }
    }
    for (sent, answered) in sent.iter_mut().zip(answered) {
        if !answered {
            tracing::warn!(partition = %sent.partition.topic_partition, "the broker left a partition out of its answer");
            let attempt = Attempt::Disconnected { possibly_sent: true };
            sent.handle_failed(sender, shared, &attempt, &Told::default(), now);
        }
    }
    Ok(throttle_time_ms)
}

/// New leaders that the answer tells (KIP-951).
fn apply_leader_hints(shared: &Shared, request: &InFlightRequest, answer: &ProduceResponse) {
    let mut hints = Vec::new();
    for topic in &answer.responses {
        for partition in &topic.partition_responses {
            let leader = &partition.current_leader;
            if partition.error_code.is_ok() || leader.leader_id < 0 || leader.leader_epoch < 0 {
                continue;
            }
            let name = if topic.topic_id.is_zero() {
                Some(&*topic.name)
            } else {
                topic_name(&request.topic_ids, topic.topic_id)
            };
            if let Some(name) = name {
                hints.push(LeaderHint {
                    topic: name.into(),
                    partition: partition.index,
                    leader_id: leader.leader_id,
                    leader_epoch: leader.leader_epoch,
                });
            }
        }
    }
    if hints.is_empty() {
        return;
    }
    let endpoints: Vec<_> = answer
        .node_endpoints
        .iter()
        .filter_map(|endpoint| {
            Some(Broker {
                node_id: endpoint.node_id,
                address: Address::new(&*endpoint.host, u16::try_from(endpoint.port).ok()?),
                rack: endpoint.rack.as_ref().map(|rack| rack.to_string()),
            })
        })
        .collect();
    shared.client.metadata().apply_leader_hints(&hints, &endpoints);
}

fn topic_name(topic_ids: &[(Uuid, Arc<str>)], topic_id: Uuid) -> Option<&str> {
    topic_ids.iter().find(|(id, _)| *id == topic_id).map(|(_, name)| &**name)
}

/// Where a partition is among what was sent, which is sorted.
fn find(sent: &[Sent], topic: &str, partition: i32) -> Option<usize> {
    sent.binary_search_by(|sent| {
        let sent = &sent.partition.topic_partition;
        (&*sent.topic, sent.partition).cmp(&(topic, partition))
    })
    .ok()
}

impl InFlightRequest {
    /// The connection is gone.
    pub(super) fn handle_disconnect(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        possibly_sent: bool,
        now: Instant,
    ) {
        shared.numbers.request_completed(now, None);
        self.fail_all(sender, shared, possibly_sent, now);
    }

    fn fail_all(&mut self, sender: &BrokerSender, shared: &Arc<Shared>, possibly_sent: bool, now: Instant) {
        for sent in &mut self.sent {
            let attempt = Attempt::Disconnected { possibly_sent };
            sent.handle_failed(sender, shared, &attempt, &Told::default(), now);
        }
    }

    /// All bytes went to the socket, and no answer will come (`acks=0`).
    pub(super) fn handle_unacknowledged(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        now: Instant,
    ) {
        shared.numbers.request_completed(now, None);
        for sent in &mut self.sent {
            let answer =
                PartitionProduceResponse { base_offset: -1, log_append_time_ms: -1, ..Default::default() };
            sent.handle_answer(sender, shared, answer, now);
        }
    }

    /// The request cannot be written in any version that the broker speaks.
    pub(super) fn handle_unsendable(&mut self, sender: &BrokerSender, shared: &Arc<Shared>, reason: String) {
        shared.numbers.request_completed(shared.env().now(), None);
        for sent in &mut self.sent {
            let attempt = Attempt::Refused(ErrorCode::UnsupportedVersion);
            let told = Told { message: Some(reason.clone()), blamed: Vec::new() };
            sent.handle_failed(sender, shared, &attempt, &told, shared.env().now());
        }
    }
}

/// What a broker told beside an error code.
#[derive(Default)]
struct Told {
    message: Option<String>,
    blamed: Vec<(u32, Option<String>)>,
}

impl Told {
    fn of(answer: &PartitionProduceResponse) -> Self {
        let blamed = answer.record_errors.iter().filter_map(|record| {
            let index = u32::try_from(record.batch_index).ok()?;
            Some((index, record.batch_index_error_message.as_ref().map(|message| message.to_string())))
        });
        Self {
            message: answer.error_message.as_ref().map(|message| message.to_string()),
            blamed: blamed.collect(),
        }
    }
}

impl Sent {
    fn handle_answer(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        answer: PartitionProduceResponse,
        now: Instant,
    ) {
        if !answer.error_code.is_ok() {
            let attempt = Attempt::Refused(answer.error_code);
            return self.handle_failed(sender, shared, &attempt, &Told::of(&answer), now);
        }
        // The socket has let go of the bytes.
        self.reservation = None;
        let mut state = self.partition.lock();
        let leaving = state.queue.handle_written(self.name, now).map(|batch| {
            let outcome = Outcome::Written {
                base_offset: believed_offset(answer.base_offset, batch.sealed.record_count()),
                log_append_time_ms: (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms),
            };
            shared.leave(&self.partition, &mut state, batch, outcome, now)
        });
        self.unlock_and_go_on(sender, state);
        if let Some(leaving) = leaving {
            shared.resolve(&self.partition, leaving, now);
        }
    }

    fn handle_failed(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        attempt: &Attempt,
        told: &Told,
        now: Instant,
    ) {
        tracing::debug!(partition = %self.partition.topic_partition, ?attempt, "produce attempt failed");
        if let Attempt::Refused(code) = attempt
            && code.invalidates_metadata()
        {
            shared.client.metadata().request_update();
        }
        if planted("lost_answer_is_taken_for_good")
            && *attempt == (Attempt::Disconnected { possibly_sent: true })
        {
            let none =
                PartitionProduceResponse { base_offset: -1, log_append_time_ms: -1, ..Default::default() };
            return self.handle_answer(sender, shared, none, now);
        }
        let mut state = self.partition.lock();
        let verdict = state.queue.handle_failed(self.name, attempt, now, shared.env().random_unit());
        let (is_retry, is_fatal) = (matches!(verdict, Verdict::Retry), matches!(verdict, Verdict::Fatal(_)));
        let leaving = match verdict {
            Verdict::Retry | Verdict::Stale => None,
            Verdict::Split(sealed) => {
                drop(state);
                let pieces = Pieces::of(shared, &sealed);
                state = self.partition.lock();
                match pieces {
                    Ok(pieces) => {
                        // It may have expired meanwhile.
                        if let Some(whole) = state.queue.take_refused(self.name) {
                            pieces.take_the_place_of(whole, &mut state);
                            shared.numbers.split(now);
                        }
                        None
                    }
                    Err(_) => (state.queue.give_up_refused(self.name))
                        .map(|batch| (failure(shared, &batch, attempt, told, now), batch)),
                }
            }
            Verdict::AlreadyWritten(batch) => {
                Some((Outcome::Written { base_offset: None, log_append_time_ms: None }, batch))
            }
            Verdict::Fail(batch) | Verdict::Fatal(batch) => {
                Some((failure(shared, &batch, attempt, told, now), batch))
            }
        };
        let leaving =
            leaving.map(|(outcome, batch)| shared.leave(&self.partition, &mut state, batch, outcome, now));
        self.partition.publish_queue_len(&state);
        self.unlock_and_go_on(sender, state);
        if is_retry {
            let reason = describe(attempt);
            shared.numbers.retried(now, &self.partition, self.size.records, self.name.attempt, &reason);
        }
        if let Some(leaving) = leaving {
            shared.resolve(&self.partition, leaving, now);
        }
        if is_fatal && let Attempt::Refused(code) = attempt {
            shared.fail_for_good("Produce", *code);
        }
    }

    /// Lists the partition again if it has more to send.
    fn unlock_and_go_on(&self, sender: &BrokerSender, mut state: Locked<'_>) {
        if state.queue.waiting_len() == 0 && state.open.is_none() {
            return;
        }
        // The sender that is called here looks at its list before it rests; another one must be woken.
        let Some(current) = state.sender().cloned() else { return };
        let listed = current.list_ready(&self.partition, &mut state);
        drop(state);
        if listed && !std::ptr::eq(&*current, sender) {
            current.wake();
        }
    }
}

/// The offset of a batch's first record, if a broker told one: an offset that leaves no room for the batch's records is none.
fn believed_offset(base_offset: i64, record_count: u32) -> Option<i64> {
    (base_offset >= 0 && base_offset.checked_add(i64::from(record_count)).is_some()).then_some(base_offset)
}

/// What becomes of a batch that is not tried again.
fn failure(shared: &Shared, batch: &Batch<Payload>, attempt: &Attempt, told: &Told, now: Instant) -> Outcome {
    let last = describe(attempt);
    let kind = match attempt {
        _ if batch.deadline <= now => DeliveryErrorKind::Timeout {
            after: shared.config.delivery_timeout,
            attempts: batch.attempts(),
            last: Some(last),
        },
        Attempt::Refused(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => {
            let (batch_bytes, records) = (batch.sealed.encoded_len(), batch.sealed.record_count());
            match records {
                1 => DeliveryErrorKind::TooLarge { batch_bytes },
                _ => DeliveryErrorKind::BatchTooLarge { batch_bytes, records },
            }
        }
        Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber) if batch.is_possibly_written() => {
            DeliveryErrorKind::PredecessorLost { attempts: batch.attempts() }
        }
        Attempt::Refused(code) if !code.is_retriable() => {
            DeliveryErrorKind::Broker { code: *code, message: told.message.clone() }
        }
        _ => DeliveryErrorKind::RetriesExhausted { attempts: batch.attempts(), last },
    };
    let possibly_written = batch.is_possibly_written();
    Outcome::Failed(Arc::new(BatchFailure { kind, possibly_written, blamed: told.blamed.clone() }))
}

pub(crate) fn describe(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Refused(code) => code.to_string(),
        Attempt::Disconnected { .. } => "the connection to the broker was lost".to_owned(),
    }
}
