//! What a node is told: `server.properties`, and ZooKeeper's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::{Error, KafkaVersion};

/// Properties by name; the order makes a file that reads well.
pub(crate) type Properties = BTreeMap<String, String>;

/// Where the nodes of a cluster are; node `i` is number `i + 1`.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) brokers: Vec<SocketAddr>,
    pub(crate) coordination: Coordination,
}

/// Who keeps the cluster's metadata, and where it listens.
#[derive(Clone, Debug)]
pub(crate) enum Coordination {
    /// A controller in each node.
    Kraft { controllers: Vec<SocketAddr> },
    /// One for all.
    ZooKeeper { address: SocketAddr },
}

/// How long a killed node is still taken for alive, and cannot come back: Kafka's defaults are 9 s and 18 s.
const SESSION_TIMEOUT_MS: u32 = 6000;

/// Names that say where and who a node is: a cluster gives them itself.
const OWN: [&str; 8] = [
    "advertised.listeners",
    "broker.id",
    "controller.quorum.voters",
    "listeners",
    "log.dirs",
    "node.id",
    "process.roles",
    "zookeeper.connect",
];

/// Refuses what would take a node out of the cluster's hands.
pub(crate) fn check_custom(custom: &Properties) -> Result<(), Error> {
    match custom.keys().find(|name| OWN.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::Unsuitable {
            what: format!("the configuration {name} cannot be set"),
            hint: "the cluster gives its nodes their ids, ports and directories",
        }),
    }
}

/// The properties of one node, `custom` last.
pub(crate) fn server_properties(
    version: KafkaVersion,
    layout: &Layout,
    index: usize,
    directory: &Path,
    custom: &Properties,
) -> Properties {
    let node_id = index + 1;
    let broker = layout.brokers[index];
    let mut properties = Properties::new();
    let mut set = |name: &str, value: String| drop(properties.insert(name.to_owned(), value));

    match &layout.coordination {
        Coordination::Kraft { controllers } => {
            let voters = controllers.iter().enumerate().map(|(index, at)| format!("{}@{at}", index + 1));
            set("process.roles", "broker,controller".to_owned());
            set("node.id", node_id.to_string());
            set("controller.quorum.voters", voters.collect::<Vec<_>>().join(","));
            set("controller.listener.names", "CONTROLLER".to_owned());
            set("broker.session.timeout.ms", SESSION_TIMEOUT_MS.to_string());
            set("listeners", format!("PLAINTEXT://{broker},CONTROLLER://{}", controllers[index]));
            set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned());
        }
        Coordination::ZooKeeper { address } => {
            set("broker.id", node_id.to_string());
            set("zookeeper.connect", address.to_string());
            set("zookeeper.session.timeout.ms", SESSION_TIMEOUT_MS.to_string());
            // Only for connecting: on a busy machine ZooKeeper may need longer to start than the default of some seconds.
            set("zookeeper.connection.timeout.ms", "120000".to_owned());
            set("listeners", format!("PLAINTEXT://{broker}"));
        }
    }
    set("advertised.listeners", format!("PLAINTEXT://{broker}"));
    set("log.dirs", directory.join("data").display().to_string());
    set("broker.rack", format!("rack-{node_id}"));

    let replicas = layout.brokers.len().min(3);
    let in_sync = replicas.saturating_sub(1).max(1);
    set("default.replication.factor", replicas.to_string());
    set("min.insync.replicas", in_sync.to_string());
    let mut internal_topic = |prefix: &str, min_isr: &str| {
        set(&format!("{prefix}.replication.factor"), replicas.to_string());
        set(&format!("{prefix}.num.partitions"), "4".to_owned());
        if !min_isr.is_empty() {
            set(min_isr, in_sync.to_string());
        }
    };
    internal_topic("offsets.topic", "");
    internal_topic("transaction.state.log", "transaction.state.log.min.isr");
    if version >= KafkaVersion::V4_1_2 {
        internal_topic("share.coordinator.state.topic", "share.coordinator.state.topic.min.isr");
    }
    // Three seconds, waiting for more members, are good in production and long in a test.
    set("group.initial.rebalance.delay.ms", "0".to_owned());

    properties.extend(custom.iter().map(|(name, value)| (name.clone(), value.clone())));
    properties
}

/// ZooKeeper alone, in memory of a small machine.
pub(crate) fn zookeeper_properties(address: SocketAddr, directory: &Path) -> Properties {
    [
        ("dataDir", directory.join("data").display().to_string()),
        ("clientPort", address.port().to_string()),
        ("clientPortAddress", address.ip().to_string()),
        ("admin.enableServer", "false".to_owned()),
        ("maxClientCnxns", "0".to_owned()),
        ("tickTime", "1000".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Java's `.properties`: a backslash would begin an escape.
pub(crate) fn to_file(properties: &Properties) -> String {
    properties.iter().map(|(name, value)| format!("{name}={}\n", value.replace('\\', "\\\\"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Layout {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Layout {
            brokers: vec![at(1001), at(1002), at(1003)],
            coordination: Coordination::Kraft { controllers: vec![at(2001), at(2002), at(2003)] },
        }
    }

    #[test]
    fn three_nodes_replicate_and_know_each_other() {
        let custom = Properties::from([("num.partitions".to_owned(), "6".to_owned())]);
        let node = server_properties(KafkaVersion::V4_3_1, &three(), 1, Path::new("/n2"), &custom);
        assert_eq!(node["node.id"], "2");
        assert_eq!(node["listeners"], "PLAINTEXT://127.0.0.1:1002,CONTROLLER://127.0.0.1:2002");
        assert_eq!(node["controller.quorum.voters"], "1@127.0.0.1:2001,2@127.0.0.1:2002,3@127.0.0.1:2003");
        assert_eq!(node["min.insync.replicas"], "2");
        assert_eq!(node["num.partitions"], "6");
    }

    #[test]
    fn single_node_asks_for_no_second_replica() {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let layout = Layout { brokers: vec![at], coordination: Coordination::ZooKeeper { address: at } };
        let node = server_properties(KafkaVersion::V2_1_1, &layout, 0, Path::new("/n1"), &Properties::new());
        for (name, value) in
            node.iter().filter(|(name, _)| name.contains("replication") || name.contains("isr"))
        {
            assert_eq!(value, "1", "{name}");
        }
        assert!(!node.contains_key("process.roles"));
    }

    #[test]
    fn ports_and_ids_cannot_be_taken_over() {
        let custom = Properties::from([("listeners".to_owned(), "PLAINTEXT://0.0.0.0:9092".to_owned())]);
        let error = check_custom(&custom).unwrap_err().to_string();
        assert!(error.contains("listeners cannot be set"), "{error}");
    }
}
