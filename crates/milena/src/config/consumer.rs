use std::time::Duration;

use super::catalog::Role;
use super::choices::{
    Assignor, GroupProtocol, IsolationLevel, OffsetReset, ShareAcknowledgementMode, ShareAcquireMode,
};
use super::common::CommonProperties;
use super::reader::Reader;
use super::{ClientProperties, ConfigError, ConfigErrors};

/// A consumer's properties. Defaults are those of Kafka's Java client 4.3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerProperties {
    /// What all clients have.
    pub common: CommonProperties,
    /// Kafka: `group.id`.
    pub group_id: Option<String>,
    /// Kafka: `group.instance.id` (KIP-345).
    pub group_instance_id: Option<String>,
    /// Kafka: `group.protocol` (KIP-848).
    pub group_protocol: GroupProtocol,
    /// Kafka: `group.remote.assignor` (KIP-848).
    pub group_remote_assignor: Option<String>,
    /// Kafka: `partition.assignment.strategy`.
    pub assignors: Vec<Assignor>,
    /// Kafka: `session.timeout.ms`.
    pub session_timeout: Duration,
    /// Kafka: `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// Kafka: `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// Kafka: `max.poll.records`.
    pub max_poll_records: usize,
    /// Kafka: `enable.auto.commit`. False without a group.
    pub enable_auto_commit: bool,
    /// Kafka: `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// librdkafka: `enable.auto.offset.store`.
    pub enable_auto_offset_store: bool,
    /// Kafka: `auto.offset.reset`.
    pub auto_offset_reset: OffsetReset,
    /// Kafka: `isolation.level`.
    pub isolation_level: IsolationLevel,
    /// Kafka: `fetch.min.bytes`.
    pub fetch_min_bytes: u32,
    /// Kafka: `fetch.max.bytes`.
    pub fetch_max_bytes: u32,
    /// Kafka: `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// Kafka: `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: u32,
    /// Bytes that may wait for the application. librdkafka: `queued.max.messages.kbytes`, which counts 1024
    /// bytes. `None` is the consumer's own default.
    pub prefetch_bytes: Option<usize>,
    /// Kafka: `check.crcs`.
    pub check_crcs: bool,
    /// Kafka: `allow.auto.create.topics`.
    pub allow_auto_create_topics: bool,
    /// Kafka: `exclude.internal.topics`.
    pub exclude_internal_topics: bool,
    /// Kafka: `share.acknowledgement.mode` (KIP-932).
    pub share_acknowledgement_mode: ShareAcknowledgementMode,
    /// Kafka: `share.acquire.mode` (KIP-1206).
    pub share_acquire_mode: ShareAcquireMode,
}

impl ClientProperties {
    /// A consumer's properties.
    ///
    /// # Errors
    /// Properties that contradict each other.
    pub fn consumer(&self) -> Result<ConsumerProperties, ConfigErrors> {
        let reader = Reader::new(self, Role::Consumer);
        let mut errors = Vec::new();
        let consumer = ConsumerProperties::read(reader, &mut errors);
        consumer.check_group(reader, &mut errors);
        ConfigErrors::check(errors)?;
        Ok(consumer)
    }
}

impl ConsumerProperties {
    fn read(reader: Reader<'_>, errors: &mut Vec<ConfigError>) -> Self {
        let group_id = reader.text("group.id");
        // Java: `ConsumerConfig.maybeOverrideEnableAutoCommit`.
        let enable_auto_commit =
            reader.flag("enable.auto.commit") && (group_id.is_some() || reader.is_set("enable.auto.commit"));
        let kibibytes: Option<usize> = reader.parsed_if_set("queued.max.messages.kbytes");
        Self {
            common: CommonProperties::read(reader, errors),
            group_id,
            group_instance_id: reader.text("group.instance.id"),
            group_protocol: reader.parsed("group.protocol"),
            group_remote_assignor: reader.text("group.remote.assignor"),
            assignors: reader.list("partition.assignment.strategy").filter_map(Assignor::find).collect(),
            session_timeout: reader.millis("session.timeout.ms"),
            heartbeat_interval: reader.millis("heartbeat.interval.ms"),
            max_poll_interval: reader.millis("max.poll.interval.ms"),
            max_poll_records: reader.parsed("max.poll.records"),
            enable_auto_commit,
            auto_commit_interval: reader.millis("auto.commit.interval.ms"),
            enable_auto_offset_store: reader.flag("enable.auto.offset.store"),
            auto_offset_reset: reader.parsed("auto.offset.reset"),
            isolation_level: reader.parsed("isolation.level"),
            fetch_min_bytes: reader.parsed("fetch.min.bytes"),
            fetch_max_bytes: reader.parsed("fetch.max.bytes"),
            fetch_max_wait: reader.millis("fetch.max.wait.ms"),
            max_partition_fetch_bytes: reader.parsed("max.partition.fetch.bytes"),
            prefetch_bytes: kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024)),
            check_crcs: reader.flag("check.crcs"),
            allow_auto_create_topics: reader.flag("allow.auto.create.topics"),
            exclude_internal_topics: reader.flag("exclude.internal.topics"),
            share_acknowledgement_mode: reader.parsed("share.acknowledgement.mode"),
            share_acquire_mode: reader.parsed("share.acquire.mode"),
        }
    }

    fn check_group(&self, reader: Reader<'_>, errors: &mut Vec<ConfigError>) {
        let mut contradiction = |text: String| errors.push(ConfigError::Contradiction(text));
        if self.group_id.is_none() && self.enable_auto_commit {
            contradiction(
                "`enable.auto.commit` is true, but without `group.id` there is nowhere to commit to; set one, or remove \
                 the other"
                    .to_owned(),
            );
        }
        // Java: `Heartbeat`. The broker decides in the other protocol.
        if self.group_protocol == GroupProtocol::Classic && self.heartbeat_interval >= self.session_timeout {
            contradiction(format!(
                "`heartbeat.interval.ms` ({}) must be less than `session.timeout.ms` ({}); a third of it is usual",
                self.heartbeat_interval.as_millis(),
                self.session_timeout.as_millis()
            ));
        }
        // Java: `ConsumerConfig.checkUnsupportedConfigsPostProcess`.
        let foreign: &[&'static str] = match self.group_protocol {
            GroupProtocol::Classic => &["group.remote.assignor"],
            GroupProtocol::Consumer => {
                &["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"]
            }
        };
        for name in foreign.iter().filter(|name| reader.is_set(name)) {
            contradiction(match self.group_protocol {
                GroupProtocol::Classic => format!("`{name}` needs group.protocol=consumer"),
                GroupProtocol::Consumer => {
                    format!("`{name}` is decided by the broker with group.protocol=consumer; remove it")
                }
            });
        }
    }
}
