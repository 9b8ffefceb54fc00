//! From properties, which are text with Kafka's names, to the configurations of the crates below.

use std::time::Duration;

use milena_client::env::TcpConnector;
use milena_client::{ClientConfig, MetadataRecovery};
use milena_consumer::ConsumerConfig;
use milena_producer::ProducerConfig;

use crate::config::choices::{AddressFamily, DnsLookup, MetadataRecoveryStrategy};
use crate::config::{
    ClientProperties, CommonProperties, ConfigWarning, ConsumerProperties, ProducerProperties,
};
use crate::error::Unsupported;

/// Longer than any connection lives: what `connections.max.idle.ms` means when it is negative.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The longest time that a producer is configured with: 2147483647 ms.
const IDLE_MAX: Duration = Duration::from_millis(i32::MAX as u64);

const NO_GROUPS: &str = "has no effect: there are no consumer groups yet";
const NO_TRANSACTIONS: &str = "has no effect: there are no transactions yet";
const NO_SHARE_GROUPS: &str = "has no effect: there are no share groups";

/// Properties that are valid, were given, and have nothing to act on in this version. A test tries every property of the catalog:
/// what has no effect is here.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("auto.commit.interval.ms", NO_GROUPS),
    (
        "bootstrap.controllers",
        "has no effect: administration asks the brokers; give them as bootstrap.servers",
    ),
    ("enable.auto.commit", NO_GROUPS),
    ("enable.auto.offset.store", NO_GROUPS),
    ("enable.metrics.push", "has no effect: metrics are read with `metrics()` and are not pushed to brokers"),
    ("exclude.internal.topics", "has no effect: there are no subscriptions by pattern"),
    ("group.instance.id", NO_GROUPS),
    ("group.protocol", NO_GROUPS),
    ("group.remote.assignor", NO_GROUPS),
    ("heartbeat.interval.ms", NO_GROUPS),
    ("max.poll.interval.ms", NO_GROUPS),
    ("max.poll.records", "has no effect: `poll` takes the number as an argument"),
    ("partition.assignment.strategy", NO_GROUPS),
    ("session.timeout.ms", NO_GROUPS),
    ("share.acknowledgement.mode", NO_SHARE_GROUPS),
    ("share.acquire.mode", NO_SHARE_GROUPS),
    ("socket.keepalive.enable", "has no effect: keep-alive is always on"),
    ("transaction.timeout.ms", NO_TRANSACTIONS),
    ("transaction.two.phase.commit.enable", NO_TRANSACTIONS),
];

/// What was given and changes nothing.
pub(crate) fn without_effect(properties: &ClientProperties) -> impl Iterator<Item = ConfigWarning> {
    let given = WITHOUT_EFFECT.iter().filter(|(name, _)| properties.is_set(name));
    given.map(|(name, message)| ConfigWarning { key: (*name).to_owned(), message: (*message).to_owned() })
}

/// What all clients have.
pub(crate) fn client_config(common: &CommonProperties) -> Result<ClientConfig, Unsupported> {
    check_supported(common)?;
    let mut config = ClientConfig::new(common.bootstrap_servers.clone());
    config.connection.client_id = common.client_id.clone().map(Into::into);
    config.connection.setup_timeout = common.connection_setup_timeout;
    config.connection.setup_timeout_max = common.connection_setup_timeout_max;
    config.connection.request_timeout = common.request_timeout;
    config.connection.response_bytes_max = common.response_bytes_max;
    config.retry_backoff = common.retry_backoff;
    config.reconnect_backoff = common.reconnect_backoff;
    config.connections_max_idle = common.connections_max_idle.unwrap_or(NEVER);
    config.metadata_max_age = common.metadata_max_age;
    config.metadata_recovery = match common.metadata_recovery_strategy {
        MetadataRecoveryStrategy::None => MetadataRecovery::None,
        MetadataRecoveryStrategy::Rebootstrap => {
            MetadataRecovery::Rebootstrap { trigger: common.rebootstrap_trigger }
        }
    };
    config.default_api_timeout = common.default_api_timeout;
    config.metrics_sampling = common.metrics;
    Ok(config)
}

/// Everything that was asked for at once: whoever completes a login step by step should not learn at the end that there is none.
pub(crate) fn check_security(properties: &ClientProperties) -> Result<(), Unsupported> {
    let protocol = properties.security_protocol();
    if !protocol.has_tls() && !protocol.has_sasl() {
        return Ok(());
    }
    let keys: Vec<_> = properties.security_keys().map(|key| format!("`{key}`")).collect();
    let beside = if keys.is_empty() { String::new() } else { format!(" (with {})", keys.join(", ")) };
    Err(Unsupported {
        property: "security.protocol",
        asked: format!("{}{beside}", protocol.name()),
        instead: "TLS and SASL are not supported yet: use a PLAINTEXT listener",
    })
}

fn check_supported(common: &CommonProperties) -> Result<(), Unsupported> {
    let unsupported =
        |property, asked: &str, instead| Err(Unsupported { property, asked: asked.to_owned(), instead });
    if common.dns_lookup != DnsLookup::UseAllDnsIps {
        let instead = "use use_all_dns_ips, which tries all addresses of a name";
        return unsupported("client.dns.lookup", common.dns_lookup.name(), instead);
    }
    if common.address_family != AddressFamily::Any {
        let instead = "leave it out, which tries addresses of both kinds";
        return unsupported("broker.address.family", common.address_family.name(), instead);
    }
    Ok(())
}

/// The kernel adapts its buffers better than Kafka's defaults do, so that they are set only where they were asked for.
pub(crate) fn connector(properties: &ClientProperties, common: &CommonProperties) -> TcpConnector {
    let asked = |name, bytes: Option<usize>| {
        bytes.filter(|_| properties.is_set(name)).map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    };
    let mut connector = TcpConnector::default();
    if let Some(bytes) = asked("send.buffer.bytes", common.send_buffer_bytes) {
        connector = connector.send_buffer_bytes(bytes);
    }
    if let Some(bytes) = asked("receive.buffer.bytes", common.receive_buffer_bytes) {
        connector = connector.receive_buffer_bytes(bytes);
    }
    connector
}

pub(crate) fn producer_config(properties: ProducerProperties) -> Result<ProducerConfig, Unsupported> {
    if let Some(transactional_id) = properties.transactional_id {
        let instead = "leave it out: the producer is idempotent without it";
        return Err(Unsupported { property: "transactional.id", asked: transactional_id, instead });
    }
    let mut config = ProducerConfig::default();
    config.acks = properties.acks;
    config.enable_idempotence = properties.enable_idempotence;
    config.linger = properties.linger;
    config.batch_size = properties.batch_size;
    config.buffer_memory = properties.buffer_memory;
    config.max_block = properties.max_block;
    config.max_in_flight = properties.max_in_flight;
    config.retries = properties.retries;
    config.delivery_timeout = properties.delivery_timeout;
    config.request_timeout = properties.common.request_timeout;
    config.retry_backoff = properties.common.retry_backoff;
    config.max_request_size = properties.max_request_size;
    // Java takes a `long`; three weeks are as good as for ever.
    config.metadata_max_idle = properties.metadata_max_idle.min(IDLE_MAX);
    config.compression = properties.compression;
    config.partitioning = properties.partitioning;
    config.partitioner_adaptive = properties.partitioner_adaptive;
    config.partitioner_availability_timeout = properties.partitioner_availability_timeout;
    Ok(config)
}

pub(crate) fn consumer_config(properties: ConsumerProperties) -> Result<ConsumerConfig, Unsupported> {
    if let Some(group_id) = properties.group_id {
        let instead = "leave it out, and assign partitions";
        return Err(Unsupported { property: "group.id", asked: format!("the group {group_id}"), instead });
    }
    let mut config = ConsumerConfig::default();
    config.auto_offset_reset = properties.auto_offset_reset;
    config.isolation_level = properties.isolation_level;
    config.fetch_min_bytes = properties.fetch_min_bytes;
    config.fetch_max_bytes = properties.fetch_max_bytes;
    config.fetch_max_wait = properties.fetch_max_wait;
    config.max_partition_fetch_bytes = properties.max_partition_fetch_bytes;
    config.prefetch_bytes = properties.prefetch_bytes.unwrap_or(config.prefetch_bytes);
    config.check_crcs = properties.check_crcs;
    config.client_rack = properties.common.client_rack;
    config.allow_auto_create_topics = properties.allow_auto_create_topics;
    Ok(config)
}

#[cfg(test)]
mod tests;
