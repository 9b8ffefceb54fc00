//! WriteTxnMarkers (KIP-98, KIP-1228; Java: `KafkaApis.handleWriteTxnMarkersRequest`).
//!
//! Coordinators and leaders of this cluster need no requests between them; tools that abort hanging transactions do.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use milena_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use milena_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::log::EndMarker;
use crate::node::{Reply, RequestContext};
use crate::state::{Hold, Partition};

impl Api for WriteTxnMarkersRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<WriteTxnMarkersResponse> {
        let mut held = Vec::new();
        let mut results = results(&self.markers, |marker, topic, index| {
            let (error, is_held) = write(context, marker, topic, index);
            if let Some((partition, hold)) = is_held {
                held.push((marker.producer_id, partition, hold));
            }
            error
        });
        // What concerns groups waits for enough replicas in sync, as commits do. Of two markers of one producer that outcome
        // is told which is known last, so that a marker that was held back outdoes a later one that was refused at once.
        let deadline = context.group_write_deadline();
        for (producer_id, partition, hold) in held {
            let error = match context.let_go(&partition, hold, deadline).await {
                Ok(()) => ErrorCode::None,
                Err(ErrorCode::CoordinatorNotAvailable) => ErrorCode::RequestTimedOut,
                Err(_) => ErrorCode::NotLeaderOrFollower,
            };
            let of_producer = results.entry(producer_id).or_default();
            of_producer.entry(partition.topic.clone()).or_default().insert(partition.index, error);
        }
        respond(results).into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<WriteTxnMarkersResponse> {
        respond(results(&self.markers, |_, _, _| error)).into()
    }
}

/// The error of each partition, by producer id and topic.
type Results = BTreeMap<i64, BTreeMap<ByteStr, BTreeMap<i32, ErrorCode>>>;

/// What becomes of each marker; those of one producer share its entry, in which the last one counts.
fn results(
    markers: &[WritableTxnMarker],
    mut write: impl FnMut(&WritableTxnMarker, &ByteStr, i32) -> ErrorCode,
) -> Results {
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
    results
}

fn respond(results: Results) -> WriteTxnMarkersResponse {
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

/// Writes a marker; says where it is held back, if it is.
fn write(
    context: &RequestContext<'_>,
    marker: &WritableTxnMarker,
    topic: &ByteStr,
    index: i32,
) -> (ErrorCode, Option<(Arc<Partition>, Hold)>) {
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
        Err(error) => return (error, None),
    };
    if !partition.lock().leadership.replicas.contains(&context.node.id) {
        return (ErrorCode::UnknownTopicOrPartition, None);
    }
    match context.shared.end_in_partition(&partition, context.node.id, &marker) {
        Ok(None) => (ErrorCode::None, None),
        Ok(Some(hold)) => (ErrorCode::RequestTimedOut, Some((partition.clone(), hold))),
        Err(error) => (error, None),
    }
}
