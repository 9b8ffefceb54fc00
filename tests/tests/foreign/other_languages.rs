//! Whole scenarios in Python and Go; see `peers/README.md`.

use milena_tests::{run_franz, run_python};

use crate::context::Context;

const PARTITIONS: i32 = 6;

pub(crate) async fn librdkafka_shares_a_group(context: &Context) {
    for protocol in ["classic", "consumer"] {
        let topic = context.topic("librdkafka-group", PARTITIONS);
        run_python("group_librdkafka.py", &[&context.bootstrap, &topic, protocol]).await;
    }
}

pub(crate) async fn librdkafka_commits_transactions(context: &Context) {
    let (input, output) = (context.topic("librdkafka-in", 2), context.topic("librdkafka-out", 2));
    run_python("transactions_librdkafka.py", &[&context.bootstrap, &input, &output]).await;
}

pub(crate) async fn kafka_python_shares_a_group(context: &Context) {
    let topic = context.topic("kafka-python-group", PARTITIONS);
    run_python("group_kafka_python.py", &[&context.bootstrap, &topic]).await;
}

pub(crate) async fn franz_go_shares_a_group(context: &Context) {
    let topic = context.topic("franz-group", PARTITIONS);
    run_franz(&["group", &context.bootstrap, &topic]).await;
}

pub(crate) async fn franz_go_commits_transactions(context: &Context) {
    let (input, output) = (context.topic("franz-in", 2), context.topic("franz-out", 2));
    run_franz(&["transactions", &context.bootstrap, &input, &output]).await;
}
