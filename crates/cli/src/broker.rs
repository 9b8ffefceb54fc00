//! `milena broker`: a Kafka-compatible cluster in this process, for as long as the command runs.

use std::sync::Arc;

use clap::Args;
use milena::broker::{Cluster, StartError, TopicSpec};
use milena_control::ControlPort;

use crate::args;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::print_line;
use crate::topic::key_value;

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct BrokerArgs {
    /// Where the first node listens, always on 127.0.0.1; the other nodes take the ports after it. Port 0 takes free ports.
    #[arg(short, long, value_name = "[127.0.0.1:]PORT", default_value = "127.0.0.1:9092")]
    listen: String,

    /// How many nodes there are.
    #[arg(short, long, default_value_t = 1)]
    nodes: usize,

    /// A topic to begin with: `NAME[:PARTITIONS[:REPLICATION]][,KEY=VALUE...]`. May be repeated. Others are created when they are
    /// first used, unless auto.create.topics.enable=false.
    #[arg(short, long = "topic", value_name = "SPEC")]
    topics: Vec<String>,

    /// Sets a broker's configuration by Kafka's name, such as num.partitions=3. May be repeated.
    #[arg(short, long = "conf", value_name = "KEY=VALUE")]
    configs: Vec<String>,

    /// Opens a control port on 127.0.0.1, by which tests in any language kill nodes, move leaders and have requests fail over HTTP; GET
    /// /openapi.json describes it. Port 0 takes a free port. The second line tells where: control=http://HOST:PORT
    #[arg(long, value_name = "[127.0.0.1:]PORT")]
    control: Option<String>,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("At Kafka's usual port, with a topic", "milena broker -t orders:6"),
    ("Three nodes at free ports; the first line tells where", "milena broker -l 0 -n 3 -t orders:6:3"),
    ("Three nodes that can be broken on purpose", "milena broker -n 3 --control 9644"),
    (
        "A compacted topic, and three partitions for topics that come later",
        "milena broker -t users:1:1,cleanup.policy=compact -c num.partitions=3",
    ),
];

/// Runs until a signal comes, which is the ordinary end.
pub(crate) async fn run(args: BrokerArgs, interrupt: &mut Interrupt) -> Result<(), Failure> {
    let mut builder = Cluster::builder().nodes(args.nodes);
    match port("--listen", &args.listen)? {
        0 => {}
        port => builder = builder.port(port),
    }
    for config in &args.configs {
        let (key, value) = key_value(config)?;
        builder = builder.config(key, value);
    }
    for topic in &args.topics {
        builder = builder.topic(topic_spec(topic)?);
    }
    let cluster = builder.start().await.map_err(|error| match error {
        StartError::Listen(error) => {
            Failure::Operation(format!("cannot listen at {}: {error}; another port: --listen", args.listen))
        }
        error => Failure::usage(error),
    })?;
    let cluster = Arc::new(cluster);
    let control = match &args.control {
        Some(listen) => Some(open_control(&cluster, listen).await?),
        None => None,
    };
    print_line(&format!("bootstrap={}", cluster.bootstrap()))?;
    if let Some(control) = &control {
        print_line(&format!("control=http://{}", control.address()))?;
    }
    eprintln!("records are kept in memory only; Ctrl-C ends");
    interrupt.wait().await;
    drop(control);
    cluster.shutdown().await;
    Ok(())
}

async fn open_control(cluster: &Arc<Cluster>, listen: &str) -> Result<ControlPort, Failure> {
    let port = port("--control", listen)?;
    ControlPort::open(cluster.clone(), port).await.map_err(|error| {
        Failure::Operation(format!("cannot listen at {listen}: {error}; another port: --control"))
    })
}

/// The port of `PORT`, `:PORT`, `127.0.0.1:PORT` or `localhost:PORT`.
fn port(option: &str, listen: &str) -> Result<u16, Failure> {
    let (host, port) = listen.rsplit_once(':').unwrap_or(("", listen));
    if !["", "127.0.0.1", "localhost"].contains(&host) {
        return Err(Failure::Usage(format!(
            "{option} {listen}: the broker is for this machine only; use 127.0.0.1"
        )));
    }
    port.parse().map_err(|_| Failure::Usage(format!("{option} {listen}: {port:?} is no port")))
}

/// Reads `NAME[:PARTITIONS[:REPLICATION]][,KEY=VALUE...]`.
fn topic_spec(text: &str) -> Result<TopicSpec, Failure> {
    let invalid = |what: String| {
        Failure::Usage(format!(
            "--topic {text}: {what}; write NAME[:PARTITIONS[:REPLICATION]][,KEY=VALUE...]"
        ))
    };
    let mut parts = text.split(',');
    let mut head = parts.next().unwrap_or_default().split(':');
    let name = head.next().unwrap_or_default();
    if name.is_empty() {
        return Err(invalid("the name is missing".to_owned()));
    }
    let mut spec = TopicSpec::new(name);
    if let Some(partitions) = head.next() {
        spec =
            spec.partitions(partitions.parse().map_err(|_| invalid(format!("{partitions:?} is no number")))?);
    }
    if let Some(replication) = head.next() {
        let factor = replication.parse().map_err(|_| invalid(format!("{replication:?} is no number")))?;
        spec = spec.replication_factor(factor);
    }
    if let Some(more) = head.next() {
        return Err(invalid(format!("nothing is known of {more:?}")));
    }
    for config in parts {
        let (key, value) = key_value(config).map_err(|_| invalid(format!("{config:?} is not KEY=VALUE")))?;
        spec = spec.config(key, value);
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::usage;

    #[test]
    fn it_listens_on_this_machine_only() {
        assert_eq!(port("--listen", "127.0.0.1:9092").unwrap(), 9092);
        assert_eq!(port("--listen", "localhost:9093").unwrap(), 9093);
        assert_eq!(port("--listen", ":0").unwrap(), 0);
        assert_eq!(port("--listen", "9094").unwrap(), 9094);
        assert!(usage(port("--listen", "0.0.0.0:9092")).contains("this machine only"));
        assert!(usage(port("--listen", "127.0.0.1:x")).contains("no port"));
    }

    #[test]
    fn topics_are_read_with_numbers_and_configuration() {
        let spec = topic_spec("orders:6:3,cleanup.policy=compact,retention.ms=-1").unwrap();
        let expected = TopicSpec::new("orders")
            .partitions(6)
            .replication_factor(3)
            .config("cleanup.policy", "compact")
            .config("retention.ms", "-1");
        assert_eq!(format!("{spec:?}"), format!("{expected:?}"));
        assert_eq!(format!("{:?}", topic_spec("t").unwrap()), format!("{:?}", TopicSpec::new("t")));
    }

    #[test]
    fn a_malformed_topic_is_told_with_the_form() {
        for text in ["", ":3", "t:x", "t:1:x", "t:1:1:1", "t,compact"] {
            assert!(usage(topic_spec(text)).contains("NAME[:PARTITIONS"), "{text}");
        }
    }
}
