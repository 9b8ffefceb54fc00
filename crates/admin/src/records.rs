//! DeleteRecords: dropping the oldest records of partitions.

use std::collections::BTreeMap;

use milena_client::{Address, TopicPartition};
use milena_protocol::ByteStr;
use milena_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use milena_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::rounds::{Retried, Verdict};
use crate::routing::Led;
use crate::{Admin, Results};

/// Which records of a partition are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteBefore {
    /// Those with lower offsets than this.
    Offset(i64),
    /// All that are visible now.
    HighWatermark,
}

impl DeleteBefore {
    fn wire(self) -> i64 {
        const HIGH_WATERMARK: i64 = -1;
        match self {
            Self::Offset(offset) => offset,
            Self::HighWatermark => HIGH_WATERMARK,
        }
    }
}

impl Admin {
    /// Deletes the oldest records of partitions, and tells the offset of the first record that is left in each.
    ///
    /// # Errors
    /// For each partition, above all `OFFSET_OUT_OF_RANGE` (beyond the high watermark), `POLICY_VIOLATION` (the topic's
    /// `cleanup.policy` is not `delete`), `UNKNOWN_TOPIC_OR_PARTITION`.
    ///
    /// # Cancel safety
    /// A dropped future may have deleted records.
    pub async fn delete_records(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, DeleteBefore)>,
    ) -> Results<TopicPartition, i64> {
        let wanted: BTreeMap<TopicPartition, DeleteBefore> = partitions.into_iter().collect();
        let names: Vec<_> = wanted.keys().cloned().collect();
        let attempt = |open: Vec<TopicPartition>| {
            let wanted = &wanted;
            self.ask_leaders(open, move |leader, led| self.delete_at(leader, led, wanted))
        };
        self.settle_each("DeleteRecords", Retried::AllRetriable, names, attempt).await
    }

    async fn delete_at(
        &self,
        leader: Address,
        led: Vec<Led>,
        wanted: &BTreeMap<TopicPartition, DeleteBefore>,
    ) -> Vec<(TopicPartition, Verdict<i64>)> {
        let mut topics: BTreeMap<&str, Vec<DeleteRecordsPartition>> = BTreeMap::new();
        for (partition, _) in &led {
            topics.entry(&partition.topic).or_default().push(DeleteRecordsPartition {
                partition_index: partition.partition,
                offset: wanted[partition].wire(),
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| DeleteRecordsTopic {
            name: ByteStr::from(name),
            partitions,
            ..Default::default()
        });
        let request = DeleteRecordsRequest {
            topics: topics.collect(),
            timeout_ms: self.broker_timeout_ms(),
            ..Default::default()
        };
        match self.ask_at::<DeleteRecordsRequest>(&leader, request).await {
            Ok((_, response)) => verdicts(response),
            Err(error) => Verdict::lost(led.into_iter().map(|(partition, _)| partition).collect(), &error),
        }
    }
}

fn verdicts(response: DeleteRecordsResponse) -> Vec<(TopicPartition, Verdict<i64>)> {
    let topics = response.topics.into_iter();
    topics
        .flat_map(|topic| {
            topic.partitions.into_iter().map(move |partition| {
                let verdict = Verdict::of(partition.error_code, None, partition.low_watermark);
                (TopicPartition::new(&*topic.name, partition.partition_index), verdict)
            })
        })
        .collect()
}
