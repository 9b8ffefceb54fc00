//! Produce requests: one batch of every partition that has one ready, gathered by topic.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use milena_client::Metadata;
use milena_protocol::messages::ProduceRequest;
use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::{Records, Uuid};
use milena_records::ProducerStamp;

use super::lists::Entry;
use super::{BrokerSender, ProducerConnection};
use crate::core::queue::{BatchName, ToSend};
use crate::memory::Reservation;
use crate::partition::{BatchSize, Partition};
use crate::shared::Shared;

/// The first version in which topics are named by id (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;

/// What is kept beside a request until its answer.
pub(crate) struct InFlightRequest {
    /// In the order of topic and partition.
    pub(crate) sent: Vec<Sent>,
    /// The topics by the ids under which they were sent.
    pub(super) topic_ids: Vec<(Uuid, Arc<str>)>,
}

/// One batch of a request.
pub(crate) struct Sent {
    pub(crate) partition: Arc<Partition>,
    pub(super) name: BatchName,
    pub(crate) size: BatchSize,
    /// The bytes stay in the budget until the request is answered or given up, even when the batch has expired: the socket may still
    /// hold them.
    pub(super) reservation: Option<Arc<Reservation>>,
}

struct Gathered {
    partition: Arc<Partition>,
    to_send: ToSend,
    reservation: Arc<Reservation>,
    size: BatchSize,
}

impl BrokerSender {
    /// Submits one request with what is ready. False when nothing is.
    pub(super) fn submit_ready(
        &self,
        connection: &mut ProducerConnection,
        unacknowledged: &mut Vec<InFlightRequest>,
        shared: &Arc<Shared>,
        now: Instant,
    ) -> bool {
        let mut gathered = self.gather(shared, now);
        if gathered.is_empty() {
            return false;
        }
        gathered.sort_by(|a, b| a.partition.topic_partition.cmp(&b.partition.topic_partition));
        debug_assert!(
            gathered.is_sorted_by(|a, b| a.partition.topic_partition < b.partition.topic_partition),
            "one batch per partition and request: a broker takes the last one only"
        );
        let metadata = shared.client.metadata().current();
        let (request, mut in_flight) = build(shared, &metadata, gathered);
        shared.numbers.request_sent(now, &in_flight, shared.memory.available_bytes());
        let cap = if in_flight.topic_ids.is_empty() { TOPIC_IDS_SINCE - 1 } else { i16::MAX };
        let version = match connection.versions().choose_up_to::<ProduceRequest>(cap) {
            Ok(version) => version,
            Err(error) => {
                in_flight.handle_unsendable(self, shared, error.to_string());
                return true;
            }
        };
        if request.acks == 0 {
            match connection.submit_unanswered(&request, version) {
                Ok(()) => unacknowledged.push(in_flight),
                Err(error) => in_flight.handle_unsendable(self, shared, error.to_string()),
            }
        } else {
            let timeout = shared.config.request_timeout;
            if let Err((error, mut in_flight)) = connection.submit(&request, version, timeout, in_flight) {
                in_flight.handle_unsendable(self, shared, error.to_string());
            }
        }
        true
    }

    /// Takes one batch of each listed partition, until the request is full.
    fn gather(&self, shared: &Arc<Shared>, now: Instant) -> Vec<Gathered> {
        let mut gathered = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.ready_len() {
            let Some(Entry { partition, stay }) = self.pop_ready() else { break };
            let mut state = partition.lock();
            // Two batches of one partition must not meet in one request. A partition has one entry that counts, and what is listed again
            // meanwhile goes behind all that is looked at here.
            if !state.listing.leave_line(stay) {
                continue;
            }
            shared.seal_if_due(&partition, &mut state, now);
            let next_bytes = state.queue.next_encoded_len().unwrap_or(0);
            if !gathered.is_empty() && bytes + next_bytes > shared.config.max_request_size {
                let _ = self.list_ready(&partition, &mut state);
                break;
            }
            match state.queue.poll_send(now, self.node_id, shared.identity.current()) {
                Ok(to_send) => {
                    bytes += to_send.sealed.encoded_len();
                    partition.publish_queue_len(&state);
                    let payload = state.queue.in_flight_payload(to_send.name).expect("just sent");
                    let (reservation, size) = (payload.reservation.clone(), payload.size);
                    if to_send.name.attempt == 1 {
                        shared.backlog.remove(reservation.bytes());
                    }
                    // The partition's next batch goes into the next request: there is one batch per partition and request.
                    if shared.has_more(&state, now) {
                        let _ = self.list_ready(&partition, &mut state);
                    }
                    drop(state);
                    gathered.push(Gathered { partition, to_send, reservation, size });
                }
                Err(idle) => self.list_idle(&partition, &mut state, idle, shared),
            }
        }
        gathered
    }
}

/// The request, with topics by id if the ids of all are known.
fn build(shared: &Shared, metadata: &Metadata, gathered: Vec<Gathered>) -> (ProduceRequest, InFlightRequest) {
    let mut topic_data: Vec<TopicProduceData> = Vec::new();
    let mut topic_ids = Vec::new();
    let mut all_ids_known = true;
    let mut sent = Vec::with_capacity(gathered.len());
    for Gathered { partition, to_send, reservation, size } in gathered {
        if topic_data.last().is_none_or(|topic| topic.name != partition.wire_topic) {
            let name = &partition.topic_partition.topic;
            let topic_id = metadata.topic(name).map_or(Uuid::ZERO, |topic| topic.topic_id);
            all_ids_known &= !topic_id.is_zero();
            topic_ids.push((topic_id, name.clone()));
            topic_data.push(TopicProduceData {
                name: partition.wire_topic.clone(),
                topic_id,
                ..Default::default()
            });
        }
        let topic = topic_data.last_mut().expect("pushed above if there was none");
        topic.partition_data.push(PartitionProduceData {
            index: partition.topic_partition.partition,
            records: Some(records_of(&to_send)),
            ..Default::default()
        });
        sent.push(Sent { partition, name: to_send.name, size, reservation: Some(reservation) });
    }
    if !all_ids_known {
        topic_ids.clear();
    }
    let timeout_ms = i32::try_from(shared.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
    let request =
        ProduceRequest { acks: shared.config.acks.wire(), timeout_ms, topic_data, ..Default::default() };
    (request, InFlightRequest { sent, topic_ids })
}

/// The batch on the wire: the header, stamped now, and the section as it was sealed.
fn records_of(to_send: &ToSend) -> Records {
    let stamp = to_send.stamp.map_or(ProducerStamp::NONE, |stamp| ProducerStamp {
        producer_id: stamp.identity.producer_id,
        producer_epoch: stamp.identity.producer_epoch,
        base_sequence: stamp.base_sequence,
        is_transactional: false,
    });
    let header = Bytes::copy_from_slice(&to_send.sealed.header(&stamp));
    Records::from_segments([header, to_send.sealed.section().clone()])
}
