//! What every case has: a cluster, and Kafka's tools.

use milena_broker::{Cluster, TopicSpec};
use milena_testcontainers::{Java, JavaCommand, JavaOutput, KafkaVersion};
use milena_tests::unique;

/// A cluster to be used by others.
pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) bootstrap: String,
    nodes: usize,
}

impl Context {
    pub(crate) async fn start(nodes: usize) -> Self {
        let builder = Cluster::builder().nodes(nodes).store_acls();
        let builder = builder.config("group.initial.rebalance.delay.ms", "100");
        let cluster = builder.start().await.expect("the embedded cluster starts");
        let bootstrap = cluster.bootstrap();
        Self { cluster, bootstrap, nodes }
    }

    /// How many replicas a topic can have.
    pub(crate) fn replicas(&self) -> i16 {
        i16::try_from(self.nodes).expect("few nodes")
    }

    /// A topic of this case's own.
    pub(crate) fn topic(&self, case: &str, partitions: i32) -> String {
        let name = unique(case);
        let topic = TopicSpec::new(&*name).partitions(partitions).replication_factor(self.replicas());
        self.cluster.create_topic(topic).expect("created");
        name
    }

    /// One of Kafka's tools, told where the cluster is.
    pub(crate) fn tool(&self, class: &str) -> JavaCommand {
        Java::of(KafkaVersion::LATEST).tool(class).args(["--bootstrap-server", &self.bootstrap])
    }

    /// Produces so many records to one topic, and copies them to another by Kafka's TransactionalMessageCopier.
    pub(crate) async fn copy(&self, from: &str, to: &str, id: &str, count: &str, options: &[&str]) {
        self.run("VerifiableProducer", &["--topic", from, "--max-messages", count]).await;
        let copier = Java::of(KafkaVersion::LATEST).tool("org.apache.kafka.tools.TransactionalMessageCopier");
        let copier = copier.args(["--broker-list", &self.bootstrap, "--transaction-size", "100"]);
        let copier = copier.args(["--input-topic", from, "--input-partition", "0", "--output-topic", to]);
        let copier = copier.args(["--max-messages", count, "--transactional-id", id]);
        let copier = copier.args(["--consumer-group", &format!("{id}s")]).args(options.iter().copied());
        copier.run().await.expect("copies");
    }

    /// Runs a tool of `org.apache.kafka.tools` to its good end.
    pub(crate) async fn run(&self, tool: &str, arguments: &[&str]) -> String {
        let class = format!("org.apache.kafka.tools.{tool}");
        text(&self.tool(&class).args(arguments.iter().copied()).run().await.expect("the tool runs"))
    }
}

pub(crate) fn text(output: &JavaOutput) -> String {
    output.text().into_owned()
}
