//! What the keys mean that this broker acts on, as DescribeConfigs tells when asked (KIP-569).

/// What a key does; one sentence.
pub(crate) fn documentation(name: &str) -> &'static str {
    let found = SENTENCES.binary_search_by(|(known, _)| known.cmp(&name));
    found.map_or(WITHOUT_EFFECT, |index| SENTENCES[index].1)
}

const WITHOUT_EFFECT: &str =
    "Taken and described for the sake of tools; the embedded broker does not act on it.";

/// In alphabetical order.
#[rustfmt::skip] // A table: one key per line.
static SENTENCES: &[(&str, &str)] = &[
    ("add.partitions.to.txn.retry.backoff.max.ms", "How long a batch waits in all until its transaction may begin."),
    ("add.partitions.to.txn.retry.backoff.ms", "How long a batch waits before the coordinator is asked again whether its transaction may begin."),
    ("advertised.listeners", "Where clients find this broker."),
    ("authorizer.class.name", "Access control lists are kept where any is named; nobody is held to them."),
    ("auto.create.topics.enable", "Whether a topic is created when a client asks for its metadata or writes to it."),
    ("broker.id", "This broker's id; the same as node.id."),
    ("broker.rack", "The rack that this broker stands in; replicas are spread over racks."),
    ("cleanup.policy", "What becomes of old records: delete drops whole segments, compact keeps the newest record of each key."),
    ("compression.gzip.level", "The level where records are compressed with gzip by the broker."),
    ("compression.lz4.level", "The level where records are compressed with lz4 by the broker."),
    ("compression.type", "How batches are stored; producer keeps them as they came."),
    ("compression.zstd.level", "The level where records are compressed with zstd by the broker."),
    ("connections.max.idle.ms", "A connection without a request for so many milliseconds is closed."),
    ("consumer.heartbeat.interval.ms", "How often members of this group report to the coordinator."),
    ("consumer.session.timeout.ms", "A member of this group that has not reported for so many milliseconds is removed."),
    ("controller.quota.window.num", "Over how many windows the quota of topics created and deleted allows bursts."),
    ("controller.quota.window.size.seconds", "How long such a window is."),
    ("default.replication.factor", "How many replicas a topic has that does not say."),
    ("delete.retention.ms", "How long a record that deletes a key stays readable in a compacted topic."),
    ("delete.topic.enable", "Whether topics may be deleted."),
    ("fetch.max.bytes", "The most bytes that one fetch is answered with."),
    ("group.consumer.assignment.interval.ms", "The least time between two assignments of a consumer group."),
    ("group.consumer.assignors", "The assignors of consumer groups; the first one is the default."),
    ("group.consumer.heartbeat.interval.ms", "How often members of consumer groups report to the coordinator."),
    ("group.consumer.max.size", "The most members of a consumer group."),
    ("group.consumer.migration.policy", "Whether groups may change between the classic and the consumer protocol, and which way."),
    ("group.consumer.regex.refresh.interval.ms", "How often the coordinator looks for topics that match a subscription's pattern."),
    ("group.consumer.session.timeout.ms", "A member of a consumer group that has not reported for so many milliseconds is removed."),
    ("group.initial.rebalance.delay.ms", "How long the first rebalance of an empty classic group waits for more members."),
    ("group.max.session.timeout.ms", "The longest session timeout that a member of a classic group may ask for."),
    ("group.max.size", "The most members of a classic group."),
    ("group.min.session.timeout.ms", "The shortest session timeout that a member of a classic group may ask for."),
    ("index.interval.bytes", "How far apart the batches are that Kafka's index has; a fetch tells of aborted transactions up to the next one."),
    ("listeners", "Where this broker listens."),
    ("log.cleaner.backoff.ms", "How long the log cleaner rests when there is nothing to clean."),
    ("log.cleaner.delete.retention.ms", "The default of the topics' delete.retention.ms."),
    ("log.cleaner.max.compaction.lag.ms", "The default of the topics' max.compaction.lag.ms."),
    ("log.cleaner.min.cleanable.ratio", "The default of the topics' min.cleanable.dirty.ratio."),
    ("log.cleaner.min.compaction.lag.ms", "The default of the topics' min.compaction.lag.ms."),
    ("log.cleanup.policy", "The default of the topics' cleanup.policy."),
    ("log.dir", "Where logs are said to be; the embedded broker keeps them in memory."),
    ("log.dirs", "Where logs are said to be, before log.dir; the embedded broker keeps them in memory."),
    ("log.message.timestamp.after.max.ms", "The default of the topics' message.timestamp.after.max.ms."),
    ("log.message.timestamp.before.max.ms", "The default of the topics' message.timestamp.before.max.ms."),
    ("log.message.timestamp.type", "The default of the topics' message.timestamp.type."),
    ("log.retention.bytes", "The default of the topics' retention.bytes."),
    ("log.retention.check.interval.ms", "How often logs are looked at for segments to delete."),
    ("log.retention.hours", "The default of the topics' retention.ms in hours; minutes and milliseconds come before it."),
    ("log.retention.minutes", "The default of the topics' retention.ms in minutes; milliseconds come before it."),
    ("log.retention.ms", "The default of the topics' retention.ms."),
    ("log.roll.hours", "The default of the topics' segment.ms in hours; milliseconds come before it."),
    ("log.roll.jitter.hours", "The default of the topics' segment.jitter.ms in hours; milliseconds come before it."),
    ("log.roll.jitter.ms", "The default of the topics' segment.jitter.ms."),
    ("log.roll.ms", "The default of the topics' segment.ms."),
    ("log.segment.bytes", "The default of the topics' segment.bytes."),
    ("max.compaction.lag.ms", "The longest that a record of a compacted topic may wait for compaction."),
    ("max.connection.creation.rate", "How many connections are accepted in a second; further ones wait."),
    ("max.connections", "The most connections of this broker; further ones are closed at once."),
    ("max.connections.per.ip", "The most connections from one address; further ones are closed at once."),
    ("max.connections.per.ip.overrides", "The same for certain addresses, as 127.0.0.1:100 separated by commas."),
    ("max.incremental.fetch.session.cache.slots", "The most incremental fetch sessions."),
    ("max.message.bytes", "The largest batch that is taken, in bytes as stored."),
    ("max.request.partition.size.limit", "The most partitions that one answer to DescribeTopicPartitions has."),
    ("message.max.bytes", "The default of the topics' max.message.bytes."),
    ("message.timestamp.after.max.ms", "How far ahead of the broker's clock a record's timestamp may be."),
    ("message.timestamp.before.max.ms", "How far behind the broker's clock a record's timestamp may be."),
    ("message.timestamp.type", "Whether records keep the producer's timestamp or get the broker's."),
    ("min.cleanable.dirty.ratio", "A log is compacted once this share of it has not been compacted yet."),
    ("min.compaction.lag.ms", "How long a record is kept from compaction."),
    ("min.insync.replicas", "How many replicas must be in sync for a write with acks=all."),
    ("node.id", "This broker's id."),
    ("num.partitions", "How many partitions a topic has that does not say."),
    ("offset.metadata.max.bytes", "The longest text that may be committed with an offset."),
    ("offsets.commit.timeout.ms", "How long whoever commits offsets, or changes a group, waits for enough replicas in sync."),
    ("offsets.retention.check.interval.ms", "How often committed offsets are looked at for those to forget."),
    ("offsets.retention.minutes", "How long committed offsets are kept that nobody uses."),
    ("offsets.topic.num.partitions", "How many partitions the groups are spread over."),
    ("offsets.topic.replication.factor", "How many replicas those partitions have; fewer where there are fewer brokers."),
    ("offsets.topic.segment.bytes", "The segment.bytes of the topic of those partitions."),
    ("process.roles", "What this node is: a broker, a controller, or both."),
    ("producer.id.expiration.check.interval.ms", "How often partitions are looked at for such producers."),
    ("producer.id.expiration.ms", "How long a partition remembers an idempotent producer that does not write."),
    ("queued.max.request.bytes", "The most bytes of requests that all connections may have waiting; -1 takes a limit of our own."),
    ("quota.window.num", "Over how many windows, and the one that runs, the use of quotas is measured."),
    ("quota.window.size.seconds", "How long such a window is."),
    ("retention.bytes", "Old segments are deleted while a partition is larger than this; -1 has no limit."),
    ("retention.ms", "Segments whose newest record is older than this are deleted; -1 keeps them for ever."),
    ("segment.bytes", "A segment of the log is full at so many bytes."),
    ("segment.jitter.ms", "How much earlier than segment.ms says a segment may be full, by chance."),
    ("segment.ms", "A segment of the log is full once its records span so many milliseconds."),
    ("socket.request.max.bytes", "The largest request."),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "How often the coordinator looks for transactions that timed out."),
    ("transaction.max.timeout.ms", "The longest timeout of a transaction that a producer may ask for."),
    ("transaction.partition.verification.enable", "Whether a transactional batch is checked with the coordinator."),
    ("transaction.remove.expired.transaction.cleanup.interval.ms", "How often the coordinator looks for transactional ids to forget."),
    ("transaction.state.log.num.partitions", "How many partitions the transactional ids are spread over."),
    ("transaction.state.log.replication.factor", "How many replicas those partitions have; fewer where there are fewer brokers."),
    ("transaction.state.log.segment.bytes", "The segment.bytes of the topic of those partitions."),
    ("transactional.id.expiration.ms", "How long a transactional id is remembered that is not used."),
    ("unclean.leader.election.enable", "Whether a replica that is not in sync may lead when no other can, at the price of records."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{broker_key, group_key, topic_key};

    #[test]
    fn sentences_are_sorted_and_about_keys_that_exist() {
        assert!(SENTENCES.is_sorted_by(|one, other| one.0 < other.0));
        for (name, sentence) in SENTENCES {
            assert!(
                broker_key(name).is_some() || topic_key(name).is_some() || group_key(name).is_some(),
                "{name}"
            );
            assert!(sentence.ends_with('.'));
        }
    }

    #[test]
    fn what_has_no_effect_says_so() {
        assert_eq!(documentation("ssl.cipher.suites"), WITHOUT_EFFECT);
        assert_ne!(documentation("segment.ms"), WITHOUT_EFFECT);
    }
}
