//! WriteTxnMarkers (KIP-98, KIP-1228; Java: `KafkaApis.handleWriteTxnMarkersRequest`).
//!
//! Coordinators and leaders of this cluster need no requests between them; tools that abort hanging transactions do.

use std::collections::BTreeMap;

use milena_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use milena_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use milena_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::log::EndMarker;
use crate::node::{Reply, RequestContext};

impl Api for WriteTxnMarkersRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<WriteTxnMarkersResponse> {
        respond(&self.markers, |marker, topic, index| write(context, marker, topic, index)).into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<WriteTxnMarkersResponse> {
        respond(&self.markers, |_, _, _| error).into()
    }
}

/// What becomes of each marker; those of one producer share its entry, in which the last one counts.
fn respond(
    markers: &[WritableTxnMarker],
    mut write: impl FnMut(&WritableTxnMarker, &ByteStr, i32) -> ErrorCode,
) -> WriteTxnMarkersResponse {
    type Results = BTreeMap<i64, BTreeMap<ByteStr, BTreeMap<i32, ErrorCode>>>;
    let mut results = Results::new();
    for marker in markers {
        let of_producer = results.entry(marker.producer_id).or_default();
        for WritableTxnMarkerTopic { name, partition_indexes, .. } in &marker.topics {
            let of_topic = of_producer.entry(name.clone()).or_default();
            for index in partition_indexes {
                of_topic.insert(*index, write(marker, name, *index));
            }
        }
    }
    let partition = |(partition_index, error_code)| WritableTxnMarkerPartitionResult {
        partition_index,
        error_code,
        ..Default::default()
    };
    let topic = |(name, partitions): (ByteStr, BTreeMap<i32, ErrorCode>)| WritableTxnMarkerTopicResult {
        name,
        partitions: partitions.into_iter().map(partition).collect(),
        ..Default::default()
    };
    let producer = |(producer_id, topics): (i64, BTreeMap<ByteStr, _>)| WritableTxnMarkerResult {
        producer_id,
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    WriteTxnMarkersResponse { markers: results.into_iter().map(producer).collect(), ..Default::default() }
}

fn write(context: &RequestContext<'_>, marker: &WritableTxnMarker, topic: &ByteStr, index: i32) -> ErrorCode {
    let marker = EndMarker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        is_commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: i16::from(marker.transaction_version),
    };
    let topic_info = context.shared.state().topic(topic).cloned();
    let partition = match context.partition(topic_info.as_ref(), index) {
        Ok(partition) => partition,
        Err(error) => return error,
    };
    if !partition.lock().leadership.replicas.contains(&context.node.id) {
        return ErrorCode::UnknownTopicOrPartition;
    }
    context.shared.end_in_partition(&partition, context.node.id, &marker).err().unwrap_or(ErrorCode::None)
}
