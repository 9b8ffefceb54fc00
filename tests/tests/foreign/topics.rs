//! kafka-topics, kafka-configs and kafka-get-offsets.

use milena_tests::unique;

use crate::context::{Context, text};

pub(crate) async fn topics_are_made_grown_described_and_deleted(context: &Context) {
    let name = unique("topics");
    let replicas = context.replicas().to_string();
    let topic = ["--topic", name.as_str()];
    let create = ["--create", "--partitions", "3", "--config", "max.message.bytes=12345"];
    let create = [&create[..], &["--replication-factor", &replicas], &topic].concat();
    let said = context.run("TopicCommand", &create).await;
    assert!(said.contains(&format!("Created topic {name}.")), "{said}");
    let listed = context.run("TopicCommand", &["--list"]).await;
    assert!(listed.lines().any(|line| line == name), "{listed}");

    let described = context.run("TopicCommand", &[&["--describe"], &topic[..]].concat()).await;
    assert!(described.contains("PartitionCount: 3"), "{described}");
    assert!(described.contains(&format!("ReplicationFactor: {replicas}")), "{described}");
    assert!(described.contains("max.message.bytes=12345"), "{described}");
    let grow = [&["--alter", "--partitions", "5"], &topic[..]].concat();
    context.run("TopicCommand", &grow).await;
    assert_eq!(context.cluster.partitions(&name), 5);
    let unhealthy = context.run("TopicCommand", &["--describe", "--under-replicated-partitions"]).await;
    assert_eq!(unhealthy.trim(), "");

    context.run("TopicCommand", &[&["--delete"], &topic[..]].concat()).await;
    let listed = context.run("TopicCommand", &["--list"]).await;
    assert!(!listed.contains(&name), "{listed}");
}

pub(crate) async fn configurations_are_altered_and_described(context: &Context) {
    const CLASS: &str = "kafka.admin.ConfigCommand";
    let name = context.topic("configs", 1);
    let configure = async |arguments: &[&str]| {
        let command = context.tool(CLASS).args(arguments.iter().copied());
        text(&command.run().await.expect("the tool runs"))
    };
    let topic = ["--entity-type", "topics", "--entity-name", name.as_str()];
    let alter = ["--alter", "--add-config", "retention.ms=86400000,cleanup.policy=[compact,delete]"];
    configure(&[&alter[..], &topic].concat()).await;
    let described = configure(&[&["--describe"], &topic[..]].concat()).await;
    assert!(described.contains("retention.ms=86400000"), "{described}");
    assert!(described.contains("cleanup.policy=compact,delete"), "{described}");
    let everything = configure(&[&["--describe", "--all"], &topic[..]].concat()).await;
    assert!(everything.contains("segment.bytes="), "{everything}");
    configure(&[&["--alter", "--delete-config", "retention.ms"], &topic[..]].concat()).await;
    let described = configure(&[&["--describe"], &topic[..]].concat()).await;
    assert!(!described.contains("retention.ms"), "{described}");

    let brokers = ["--entity-type", "brokers", "--entity-default"];
    let alter = ["--alter", "--add-config", "log.retention.ms=3600000"];
    configure(&[&alter[..], &brokers].concat()).await;
    let described = configure(&[&["--describe"], &brokers[..]].concat()).await;
    assert!(described.contains("log.retention.ms=3600000"), "{described}");
    let of_one = configure(&["--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"]).await;
    assert!(of_one.contains("log.retention.ms=3600000"), "{of_one}");
}

pub(crate) async fn offsets_are_listed(context: &Context) {
    let name = context.topic("offsets", 2);
    let lines: String = (0..7).map(|number| format!("{number}\n")).collect();
    let producer = context.tool("org.apache.kafka.tools.ConsoleProducer").args(["--topic", &name]);
    producer.stdin(lines).run().await.expect("produces");
    let listed = |time: &'static str| {
        let name = name.clone();
        async move { context.run("GetOffsetShell", &["--topic", &name, "--time", time]).await }
    };
    let total = |listing: &str| -> i64 {
        let of_topic = listing.lines().filter(|line| line.starts_with(&name));
        of_topic.filter_map(|line| line.rsplit(':').next()?.trim().parse::<i64>().ok()).sum()
    };
    assert_eq!(total(&listed("latest").await), 7);
    assert_eq!(total(&listed("earliest").await), 0);
    assert!(listed("max-timestamp").await.contains(&name));
}
