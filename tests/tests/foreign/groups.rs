//! kafka-consumer-groups.

use crate::context::Context;

const COMMAND: &str = "consumer.group.ConsumerGroupCommand";

pub(crate) async fn a_group_is_listed_described_reset_and_deleted(context: &Context) {
    let topic = context.topic("groups", 2);
    let group = format!("{topic}-group");
    let produced = ["--topic", &topic, "--max-messages", "100"];
    context.run("VerifiableProducer", &produced).await;
    let consumed = ["--topic", &topic, "--group-id", &group, "--max-messages", "100"];
    context.run("VerifiableConsumer", &[&consumed[..], &["--reset-policy", "earliest"]].concat()).await;

    let listed = context.run(COMMAND, &["--list"]).await;
    assert!(listed.lines().any(|line| line.trim() == group), "{listed}");
    let described = context.run(COMMAND, &["--describe", "--group", &group]).await;
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
    let rows = || described.lines().filter(|line| line.starts_with(&group));
    let column = |index: usize| -> i64 {
        rows().map(|row| row.split_whitespace().nth(index).unwrap().parse::<i64>().unwrap()).sum()
    };
    assert_eq!((column(3), column(4), column(5)), (100, 100, 0), "{described}");
    let state = context.run(COMMAND, &["--describe", "--state", "--group", &group]).await;
    assert!(state.contains("Empty"), "{state}");

    let reset = ["--reset-offsets", "--to-earliest", "--execute", "--topic", &topic, "--group", &group];
    context.run(COMMAND, &reset).await;
    let described = context.run(COMMAND, &["--describe", "--group", &group]).await;
    let lag = described.lines().filter(|line| line.starts_with(&group));
    let lag: i64 = lag.map(|row| row.split_whitespace().nth(5).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(lag, 100, "{described}");

    let deleted = context.run(COMMAND, &["--delete", "--group", &group]).await;
    assert!(deleted.contains("was successful"), "{deleted}");
    let listed = context.run(COMMAND, &["--list"]).await;
    assert!(!listed.contains(&group), "{listed}");
}
