//! What answers do to batches.

use std::sync::Arc;
use std::time::Instant;

use milena_client::connection::{ConnectionErrorReason, Response};
use milena_client::metadata::{Broker, LeaderHint};
use milena_client::{Address, ConnectionError};
use milena_protocol::ErrorCode;
use milena_protocol::messages::produce_response::PartitionProduceResponse;
use milena_protocol::messages::{ProduceRequest, ProduceResponse};

use super::split::split;
use super::{BrokerSender, InFlightRequest};
use crate::core::outcome::Attempt;
use crate::core::queue::{Batch, Verdict};
use crate::delivery::{BatchFailure, Outcome};
use crate::error::DeliveryErrorKind;
use crate::partition::{Partition, PartitionState, Payload};
use crate::sender::request::Sent;
use crate::shared::Shared;

/// Resolves what the answer resolves; returns the broker's wish for silence in milliseconds.
pub(super) fn handle_response(
    sender: &BrokerSender,
    shared: &Arc<Shared>,
    response: Response<InFlightRequest>,
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
    let mut answered = vec![false; response.context.sent.len()];
    for topic in answer.responses {
        let name = match topic.topic_id.is_zero() {
            true => &*topic.name,
            false => response.context.topic_name(topic.topic_id).unwrap_or_default(),
        };
        for partition in topic.partition_responses {
            let Some(at) = response.context.find(name, partition.index) else { continue };
            answered[at] = true;
            response.context.sent[at].handle_answer(sender, shared, partition, now);
        }
    }
    for (sent, answered) in response.context.sent.iter().zip(answered) {
        if !answered {
            tracing::warn!(partition = %sent.partition.topic_partition, "the broker left a partition out of its answer");
            sent.handle_failed(
                sender,
                shared,
                &Attempt::Disconnected { possibly_sent: true },
                &Told::default(),
                now,
            );
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
                request.topic_name(topic.topic_id)
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

impl InFlightRequest {
    fn topic_name(&self, topic_id: milena_protocol::Uuid) -> Option<&str> {
        self.topic_ids.iter().find(|(id, _)| *id == topic_id).map(|(_, name)| &**name)
    }

    fn find(&self, topic: &str, partition: i32) -> Option<usize> {
        self.sent
            .binary_search_by(|sent| {
                let sent = &sent.partition.topic_partition;
                (&*sent.topic, sent.partition).cmp(&(topic, partition))
            })
            .ok()
    }

    /// The connection is gone.
    pub(super) fn handle_disconnect(
        &self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        possibly_sent: bool,
        now: Instant,
    ) {
        shared.numbers.request_completed(now, None);
        self.fail_all(sender, shared, possibly_sent, now);
    }

    fn fail_all(&self, sender: &BrokerSender, shared: &Arc<Shared>, possibly_sent: bool, now: Instant) {
        for sent in &self.sent {
            sent.handle_failed(
                sender,
                shared,
                &Attempt::Disconnected { possibly_sent },
                &Told::default(),
                now,
            );
        }
    }

    /// All bytes went to the socket, and no answer will come (`acks=0`).
    pub(super) fn handle_unacknowledged(&self, sender: &BrokerSender, shared: &Arc<Shared>, now: Instant) {
        shared.numbers.request_completed(now, None);
        for sent in &self.sent {
            let answer =
                PartitionProduceResponse { base_offset: -1, log_append_time_ms: -1, ..Default::default() };
            sent.handle_answer(sender, shared, answer, now);
        }
    }

    /// The request cannot be written in any version that the broker speaks.
    pub(super) fn handle_unsendable(&self, sender: &BrokerSender, shared: &Arc<Shared>, reason: String) {
        shared.numbers.request_completed(shared.env().now(), None);
        for sent in &self.sent {
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
        &self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        answer: PartitionProduceResponse,
        now: Instant,
    ) {
        if !answer.error_code.is_ok() {
            let attempt = Attempt::Refused(answer.error_code);
            return self.handle_failed(sender, shared, &attempt, &Told::of(&answer), now);
        }
        let mut state = self.partition.lock();
        let written = state.queue.handle_written(self.name, now);
        self.unlock_and_go_on(sender, state);
        if let Some(batch) = written {
            let outcome = Outcome::Written {
                base_offset: (answer.base_offset >= 0).then_some(answer.base_offset),
                log_append_time_ms: (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms),
            };
            shared.resolve(&self.partition, batch, outcome, now);
        }
    }

    fn handle_failed(
        &self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        attempt: &Attempt,
        told: &Told,
        now: Instant,
    ) {
        if let Attempt::Refused(code) = attempt
            && code.invalidates_metadata()
        {
            shared.client.metadata().request_update();
        }
        let mut state = self.partition.lock();
        let verdict = state.queue.handle_failed(self.name, attempt, now, shared.env().random_unit());
        let verdict = match verdict {
            Verdict::Split(batch) => match split(shared, &mut state, &batch) {
                Ok(()) => None,
                Err(_) => Some(Verdict::Fail(batch)),
            },
            verdict => Some(verdict),
        };
        self.partition.publish_queue_len(&state);
        self.unlock_and_go_on(sender, state);
        tracing::debug!(partition = %self.partition.topic_partition, ?attempt, "produce attempt failed");
        let Some(verdict) = verdict else { return };
        match verdict {
            Verdict::Retry => {
                let reason = describe(attempt);
                shared.numbers.retried(now, &self.partition, self.size.records, self.name.attempt, &reason);
            }
            Verdict::Stale | Verdict::Split(_) => {}
            Verdict::AlreadyWritten(batch) => {
                let outcome = Outcome::Written { base_offset: None, log_append_time_ms: None };
                shared.resolve(&self.partition, batch, outcome, now);
            }
            Verdict::Fail(batch) => fail(shared, &self.partition, batch, attempt, told, now),
            Verdict::Fatal(batch) => {
                fail(shared, &self.partition, batch, attempt, told, now);
                if let Attempt::Refused(code) = attempt {
                    shared.fail_for_good(*code);
                }
            }
        }
    }

    /// Lists the partition again if it has more to send.
    fn unlock_and_go_on(&self, sender: &BrokerSender, mut state: std::sync::MutexGuard<'_, PartitionState>) {
        if state.queue.waiting_len() == 0 && state.open.is_none() {
            return;
        }
        // The sender that is called here looks at its list before it rests; another one must be woken.
        let Some(current) = state.sender.clone() else { return };
        let listed = current.list_ready(&self.partition, &mut state);
        drop(state);
        if listed && !std::ptr::eq(&*current, sender) {
            current.wake();
        }
    }
}

fn fail(
    shared: &Arc<Shared>,
    partition: &Arc<Partition>,
    batch: Batch<Payload>,
    attempt: &Attempt,
    told: &Told,
    now: Instant,
) {
    let last = describe(attempt);
    let kind = match attempt {
        _ if batch.deadline <= now => DeliveryErrorKind::Timeout {
            after: shared.config.delivery_timeout,
            attempts: batch.attempts(),
            last: Some(last),
        },
        Attempt::Refused(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => {
            DeliveryErrorKind::TooLarge { batch_bytes: batch.sealed.encoded_len() }
        }
        Attempt::Refused(code) if !code.is_retriable() => {
            DeliveryErrorKind::Broker { code: *code, message: told.message.clone() }
        }
        _ => DeliveryErrorKind::RetriesExhausted { attempts: batch.attempts(), last },
    };
    let failure =
        BatchFailure { kind, possibly_written: batch.is_possibly_written(), blamed: told.blamed.clone() };
    shared.resolve(partition, batch, Outcome::Failed(Arc::new(failure)), now);
}

pub(crate) fn describe(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Refused(code) => code.to_string(),
        Attempt::Disconnected { .. } => "the connection to the broker was lost".to_owned(),
    }
}
