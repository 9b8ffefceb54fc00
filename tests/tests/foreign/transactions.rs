//! TransactionalMessageCopier, which consumes, produces and commits in one transaction, and aborts at random.

use std::collections::BTreeSet;

use crate::context::{Context, text};

pub(crate) async fn messages_are_copied_exactly_once(context: &Context) {
    const COUNT: usize = 1_000;
    let (input, output) = (context.topic("copied-from", 1), context.topic("copied-to", 2));
    let count = COUNT.to_string();
    context.copy(&input, &output, &format!("{input}-copier"), &count, &["--enable-random-aborts"]).await;

    let reader = context.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    let reader = reader.args(["--topic", &output, "--from-beginning", "--max-messages", &count]);
    let reader = reader.args(["--isolation-level", "read_committed", "--timeout-ms", "60000"]);
    let read = text(&reader.run().await.expect("reads"));
    let values: BTreeSet<&str> = read.lines().collect();
    assert_eq!((read.lines().count(), values.len()), (COUNT, COUNT));
}
