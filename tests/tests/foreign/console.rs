//! kafka-console-producer and kafka-console-consumer.

use crate::context::{Context, text};

pub(crate) async fn what_is_typed_is_read(context: &Context) {
    for (protocol, codec) in [("classic", "none"), ("consumer", "lz4"), ("classic", "zstd")] {
        let topic = context.topic("console", 3);
        let typed: Vec<String> = (0..50).map(|number| format!("key-{}:value {number}", number % 7)).collect();
        let producer = context.tool("org.apache.kafka.tools.ConsoleProducer").args(["--topic", &topic]);
        let producer = producer.args(["--compression-codec", codec, "--reader-property", "parse.key=true"]);
        let producer = producer.args(["--reader-property", "key.separator=:"]);
        producer.stdin(typed.join("\n") + "\n").run().await.expect("produces");

        let group = format!("{topic}-readers");
        let consumer = context.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
        let consumer = consumer.args(["--topic", &topic, "--from-beginning", "--max-messages", "50"]);
        let consumer = consumer.args(["--timeout-ms", "60000", "--group", &group]);
        let consumer = consumer.args([
            "--formatter-property",
            "print.key=true",
            "--formatter-property",
            "key.separator=:",
        ]);
        let consumer = consumer.args(["--command-property", &format!("group.protocol={protocol}")]);
        let read = text(&consumer.run().await.expect("consumes"));
        let mut read: Vec<&str> = read.lines().collect();
        let mut expected: Vec<&str> = typed.iter().map(String::as_str).collect();
        for key in 0..7 {
            let of_key = |lines: &[&str]| -> Vec<String> {
                let prefix = format!("key-{key}:");
                lines.iter().filter(|line| line.starts_with(&prefix)).map(|line| (*line).to_owned()).collect()
            };
            assert_eq!(of_key(&read), of_key(&expected), "{protocol} {codec}: the order of a key");
        }
        read.sort_unstable();
        expected.sort_unstable();
        assert_eq!(read, expected, "{protocol} {codec}");
    }
}
