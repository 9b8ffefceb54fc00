//! The tools of administrators: records deleted, replicas moved, leaders elected, the cluster described.

use std::path::PathBuf;

use milena_testcontainers::{Java, KafkaVersion};

use crate::context::{Context, text};

/// A file for a tool to read, gone when dropped.
struct Input(PathBuf);

impl Input {
    fn new(topic: &str, json: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{topic}.json"));
        std::fs::write(&path, json).expect("a temporary file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("of ASCII")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap_or_default();
    }
}

pub(crate) async fn records_are_deleted_up_to_an_offset(context: &Context) {
    let topic = context.topic("delete-records", 1);
    context.run("VerifiableProducer", &["--topic", &topic, "--max-messages", "20"]).await;
    let upto = format!(r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"offset":15}}]}}"#);
    let upto = Input::new(&topic, &upto);
    let said = context.run("DeleteRecordsCommand", &["--offset-json-file", upto.path()]).await;
    assert!(said.contains(&format!("partition: {topic}-0\tlow_watermark: 15")), "{said}");
    let earliest = context.run("GetOffsetShell", &["--topic", &topic, "--time", "earliest"]).await;
    assert_eq!(earliest.trim(), format!("{topic}:0:15"));
}

pub(crate) async fn replicas_are_moved_and_leaders_elected(context: &Context) {
    const REASSIGN: &str = "reassign.ReassignPartitionsCommand";
    let topic = context.topic("reassigned", 2);
    let target = |partition: i32| format!(r#"{{"topic":"{topic}","partition":{partition},"replicas":[1]}}"#);
    let target = format!(r#"{{"version":1,"partitions":[{},{}]}}"#, target(0), target(1));
    let target = Input::new(&topic, &target);
    let plan = ["--reassignment-json-file", target.path()];
    let said = context.run(REASSIGN, &[&["--execute", "--throttle", "1000000"], &plan[..]].concat()).await;
    assert!(said.contains("Successfully started partition reassignment"), "{said}");
    let said = context.run(REASSIGN, &[&["--verify"], &plan[..]].concat()).await;
    for partition in 0..2 {
        let completed = format!("Reassignment of partition {topic}-{partition} is completed");
        assert!(said.contains(&completed), "{said}");
    }
    assert!(said.contains(&format!("Clearing topic-level throttles on topic {topic}")), "{said}");
    let said = context.run(REASSIGN, &["--list"]).await;
    assert!(said.contains("No partition reassignments found."), "{said}");
    let described = context.run("TopicCommand", &["--describe", "--topic", &topic]).await;
    assert_eq!(described.matches("Leader: 1\tReplicas: 1\tIsr: 1").count(), 2, "{described}");

    let election = ["--election-type", "preferred", "--topic", &topic, "--partition", "0"];
    let said = context.run("LeaderElectionCommand", &election).await;
    assert!(said.contains(&format!("Valid replica already elected for partitions {topic}-0")), "{said}");
}

pub(crate) async fn the_cluster_and_its_quorum_are_described(context: &Context) {
    let nodes = usize::try_from(context.replicas()).unwrap();
    let tool = async |command: &str| {
        let tool = Java::of(KafkaVersion::LATEST).tool("org.apache.kafka.tools.ClusterTool");
        let tool = tool.args([command, "--bootstrap-server", &context.bootstrap]);
        text(&tool.run().await.expect("the tool runs"))
    };
    let id = tool("cluster-id").await;
    assert!(id.starts_with("Cluster ID: "), "{id}");
    let endpoints = tool("list-endpoints").await;
    assert_eq!(endpoints.matches("unfenced").count(), nodes, "{endpoints}");
    let status = context.run("MetadataQuorumCommand", &["describe", "--status"]).await;
    assert!(status.contains("LeaderId:               1"), "{status}");
    let replication = context.run("MetadataQuorumCommand", &["describe", "--replication"]).await;
    assert_eq!(replication.matches("Leader").count(), 1, "{replication}");
    assert_eq!(replication.matches("Follower").count(), nodes - 1, "{replication}");
    let features = context.run("FeatureCommand", &["describe"]).await;
    assert!(features.contains("transaction.version") && features.contains("4.3-IV0"), "{features}");
    let versions = context.run("BrokerApiVersionsCommand", &[]).await;
    assert_eq!(versions.matches("Produce(0): 0 to 13 [usable: 13]").count(), nodes, "{versions}");
    let topic = context.topic("log-dirs", 1);
    let directories = context.run("LogDirsCommand", &["--describe", "--topic-list", &topic]).await;
    assert_eq!(directories.matches(&format!("{topic}-0")).count(), nodes, "{directories}");
}

pub(crate) async fn acls_are_added_listed_and_removed(context: &Context) {
    let topic = context.topic("acls", 1);
    let acl = ["--allow-principal", "User:reader", "--operation", "Read", "--topic", &topic];
    context.run("AclCommand", &[&["--add"], &acl[..]].concat()).await;
    let listed = context.run("AclCommand", &["--list", "--topic", &topic]).await;
    let expected = "(principal=User:reader, host=*, operation=READ, permissionType=ALLOW)";
    assert!(listed.contains(expected), "{listed}");
    context.run("AclCommand", &[&["--remove", "--force"], &acl[..]].concat()).await;
    let listed = context.run("AclCommand", &["--list", "--topic", &topic]).await;
    assert!(!listed.contains("User:reader"), "{listed}");
}

pub(crate) async fn users_clients_groups_and_metrics_are_configured(context: &Context) {
    let configure = async |entity: &[&str], arguments: &[&str]| {
        let command = context.tool("kafka.admin.ConfigCommand");
        let command = command.args(arguments.iter().chain(entity).copied());
        text(&command.run().await.expect("the tool runs"))
    };
    let user = ["--entity-type", "users", "--entity-name", "u"];
    for (entity, given, told) in [
        (&user[..], "SCRAM-SHA-256=[iterations=4096,password=p]", "SCRAM-SHA-256=iterations=4096"),
        (&["--entity-type", "clients", "--entity-default"], "consumer_byte_rate=20000000", "2.0E7"),
        (&["--entity-type", "ips", "--entity-name", "127.0.0.9"], "connection_creation_rate=9", "9.0"),
        (&["--entity-type", "groups", "--entity-name", "g"], "consumer.session.timeout.ms=50000", "50000"),
        (&["--entity-type", "brokers", "--entity-name", "1"], "background.threads=9", "background.threads=9"),
    ] {
        configure(entity, &["--alter", "--add-config", given]).await;
        let described = configure(entity, &["--describe"]).await;
        assert!(described.contains(told), "{entity:?}: {described}");
    }
    configure(&user, &["--alter", "--delete-config", "SCRAM-SHA-256"]).await;
    assert_eq!(configure(&user, &["--describe"]).await.trim(), "");

    let metrics = ["--alter", "--name", "m", "--metrics", "org.apache.kafka.producer", "--interval", "30000"];
    context.run("ClientMetricsCommand", &metrics).await;
    assert_eq!(context.run("ClientMetricsCommand", &["--list"]).await.trim(), "m");
    context.run("ClientMetricsCommand", &["--delete", "--name", "m"]).await;
    assert_eq!(context.run("ClientMetricsCommand", &["--list"]).await.trim(), "");
}

pub(crate) async fn transactions_are_listed_and_hanging_ones_found(context: &Context) {
    let (input, output) = (context.topic("hanging-from", 1), context.topic("hanging-to", 1));
    let id = format!("{input}-copier");
    context.copy(&input, &output, &id, "50", &[]).await;
    let listed = context.run("TransactionsCommand", &["list"]).await;
    let row = listed.lines().find(|line| line.starts_with(&id)).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains("CompleteCommit"), "{row}");
    let described = context.run("TransactionsCommand", &["describe", "--transactional-id", &id]).await;
    assert!(described.contains("CompleteCommit"), "{described}");
    let partition = ["--topic", &output, "--partition", "0"];
    let producers = [&["describe-producers"], &partition[..]].concat();
    let producers = context.run("TransactionsCommand", &producers).await;
    assert_eq!(producers.lines().filter(|line| line.trim_end().ends_with("None")).count(), 1, "{producers}");
    let hanging = [&["find-hanging"], &partition[..]].concat();
    let hanging = context.run("TransactionsCommand", &hanging).await;
    assert_eq!(hanging.lines().count(), 1, "a header alone: {hanging}");
}

pub(crate) async fn records_come_back_end_to_end(context: &Context) {
    let topic = context.topic("end-to-end", 1);
    let run = ["--topic", &topic, "--num-records", "50", "--producer-acks", "all", "--record-size", "100"];
    let said = context.run("EndToEndLatency", &run).await;
    assert!(said.contains("Percentiles: 50th"), "{said}");
}
