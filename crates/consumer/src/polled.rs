//! What `poll` returns.

use std::collections::BTreeMap;

use milena_client::TopicPartition;
use milena_records::RecordRef;

use crate::batch::RecordBatch;

/// Records of several partitions, as far as they were there.
#[derive(Debug, Default)]
pub struct PolledRecords {
    partitions: BTreeMap<TopicPartition, Vec<RecordBatch>>,
    record_count: usize,
}

impl PolledRecords {
    pub(crate) fn push(&mut self, batch: RecordBatch) {
        self.record_count += batch.len();
        self.partitions.entry(batch.topic_partition().clone()).or_default().push(batch);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.record_count
    }

    /// Whether there is none: the time was over.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The partitions of which there are records, in order.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// The records of one partition, in order.
    pub fn records(&self, partition: &TopicPartition) -> impl Iterator<Item = RecordRef<'_>> {
        self.batches(partition).iter().flatten()
    }

    /// The records of one partition, in the batches in which they came.
    pub fn batches(&self, partition: &TopicPartition) -> &[RecordBatch] {
        self.partitions.get(partition).map_or(&[], Vec::as_slice)
    }

    /// All records, partition by partition.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, RecordRef<'_>)> {
        let batches = self.partitions.values().flatten();
        batches.flat_map(|batch| batch.iter().map(move |record| (batch.topic_partition(), record)))
    }

    /// Where to go on in each partition once these records are processed.
    pub fn next_offsets(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.partitions
            .iter()
            .filter_map(|(partition, batches)| Some((partition, batches.last()?.next_offset())))
    }
}

impl IntoIterator for PolledRecords {
    type Item = RecordBatch;
    type IntoIter =
        std::iter::Flatten<std::collections::btree_map::IntoValues<TopicPartition, Vec<RecordBatch>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.partitions.into_values().flatten()
    }
}
