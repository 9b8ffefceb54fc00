//! Where logs begin and end, and which offset belongs to a time.

use std::collections::BTreeMap;

use milena_client::TopicPartition;

use super::Consumer;
use crate::error::OffsetsError;
use crate::offsets::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, Listed, MAX_TIMESTAMP, OffsetQuery, query};

/// A record's place in the log and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp: i64,
    /// Epoch of the leader that appended it, where the broker knows it.
    pub leader_epoch: Option<i32>,
}

impl Consumer {
    /// The offset of the first record of each partition, which need not be assigned.
    ///
    /// # Errors
    /// A leader refused, or not all answered within `default_api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn beginning_offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetsError> {
        self.offsets_at(partitions, EARLIEST_TIMESTAMP).await
    }

    /// The offset that the next record of each partition will have, which need not be assigned: the high watermark, or the last
    /// stable offset for `read_committed`.
    ///
    /// # Errors
    /// A leader refused, or not all answered within `default_api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn end_offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetsError> {
        self.offsets_at(partitions, LATEST_TIMESTAMP).await
    }

    /// The first record with this timestamp (milliseconds since 1970) or a later one, of each partition, which need not be
    /// assigned; `None` where there is none.
    ///
    /// # Errors
    /// A leader refused, or not all answered within `default_api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn offsets_for_times(
        &self,
        timestamps: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, OffsetsError> {
        // Numbers below zero would ask for something else.
        let wanted = timestamps.into_iter().map(|(partition, timestamp)| (partition, timestamp.max(0)));
        self.search(wanted.collect()).await
    }

    /// The record with the largest timestamp of each partition, which need not be assigned; `None` where there is no record.
    /// KIP-734: brokers since 3.0 know.
    ///
    /// # Errors
    /// A leader refused or is too old, or not all answered within `default_api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn max_timestamp_offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, OffsetsError> {
        self.search(partitions.into_iter().map(|partition| (partition.clone(), MAX_TIMESTAMP)).collect())
            .await
    }

    async fn offsets_at<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetsError> {
        let wanted = partitions.into_iter().map(|partition| (partition.clone(), timestamp)).collect();
        let listed = self.list(wanted).await?;
        Ok(listed.into_iter().filter_map(|(partition, listed)| Some((partition, listed.offset?))).collect())
    }

    async fn search(
        &self,
        wanted: OffsetQuery,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, OffsetsError> {
        let found = |listed: Listed| {
            let (offset, leader_epoch) = (listed.offset?, listed.leader_epoch);
            Some(OffsetAndTimestamp { offset, timestamp: listed.timestamp.unwrap_or(-1), leader_epoch })
        };
        let listed = self.list(wanted).await?;
        Ok(listed.into_iter().map(|(partition, listed)| (partition, found(listed))).collect())
    }

    async fn list(&self, wanted: OffsetQuery) -> Result<BTreeMap<TopicPartition, Listed>, OffsetsError> {
        query(&self.shared, wanted, self.shared.client.config().default_api_timeout).await
    }
}
