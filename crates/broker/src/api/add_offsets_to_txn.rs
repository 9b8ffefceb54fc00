//! AddOffsetsToTxn (KIP-98; Java: `KafkaApis.handleAddOffsetsToTxnRequest`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::{Api, check_coordinates, fenced_since};
use crate::node::{Reply, RequestContext};
use crate::state::InternalTopic;
use crate::txn::{Level, Producer, TopicPartition};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_SINCE_VERSION: i16 = 2;

impl Api for AddOffsetsToTxnRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AddOffsetsToTxnResponse> {
        let added = add(context, &self);
        let error_code = added.err().unwrap_or(ErrorCode::None);
        self.refuse(context, fenced_since(FENCED_SINCE_VERSION, context.version, error_code))
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<AddOffsetsToTxnResponse> {
        AddOffsetsToTxnResponse { error_code, ..Default::default() }.into()
    }
}

/// The partition of the offsets' topic that the group belongs to takes part in the transaction.
///
/// Only clients whose epoch is not bumped at every end send this.
fn add(context: &RequestContext<'_>, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let (shared, id) = (context.shared, &request.transactional_id);
    check_coordinates(context, id)?;
    let partition = offsets_partition(context, &request.group_id)?;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let now_ms = context.now_ms();
    shared.coordinate_step(id, |coordinator| {
        coordinator.add_partitions(id, producer, &[partition], Level::ORIGINAL, now_ms)
    })
}

/// The partition of the offsets' topic that a group belongs to. The topic is created, should nobody have looked for a
/// group's coordinator yet.
fn offsets_partition(context: &RequestContext<'_>, group_id: &str) -> Result<TopicPartition, ErrorCode> {
    let created = context.shared.state_mut().ensure_internal_topic(InternalTopic::Offsets, context.now_ms());
    created.map_err(|error| error.code)?;
    let state = context.shared.state();
    let partition = state.coordinator_partition(InternalTopic::Offsets, group_id);
    let partition = partition.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok((partition.topic.clone(), partition.index))
}
