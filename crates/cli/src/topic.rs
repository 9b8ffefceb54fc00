//! `milena topic`: list, create, describe, delete.

use clap::{Args, Subcommand};
use milena::ErrorCode;
use milena::admin::{Admin, AdminError, ConfigResource, ConfigSource, TopicDescription, TopicSpec};

use crate::args;
use crate::cluster::{ClusterArgs, Own};
use crate::failure::Failure;
use crate::output::print_line;

#[derive(Subcommand, Debug)]
pub(crate) enum TopicCommand {
    /// Lists topics.
    List(ListArgs),
    /// Creates topics.
    Create(CreateArgs),
    /// Shows partitions, leaders, replicas and configuration of topics.
    Describe(DescribeArgs),
    /// Deletes topics and all their records.
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(LIST_EXAMPLES))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Shows Kafka's own topics, too.
    #[arg(long)]
    internal: bool,

    /// Prints a JSON object a line.
    #[arg(long)]
    json: bool,
}

const LIST_EXAMPLES: &[(&str, &str)] = &[
    ("Names and numbers of partitions", "milena topic list -b localhost:9092"),
    (
        "Kafka's own topics, too, for a program to read",
        "milena topic list -b localhost:9092 --internal --json",
    ),
];

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(CREATE_EXAMPLES))]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topics' names.
    #[arg(required = true)]
    names: Vec<String>,

    /// How many partitions; the broker's default (num.partitions) without it.
    #[arg(short, long, value_name = "NUMBER")]
    partitions: Option<i32>,

    /// How many copies of each partition; the broker's default (default.replication.factor) without it.
    #[arg(short, long, value_name = "NUMBER")]
    replication_factor: Option<i16>,

    /// Sets a topic's configuration, such as cleanup.policy=compact. May be repeated.
    #[arg(short, long = "conf", value_name = "KEY=VALUE")]
    configs: Vec<String>,

    /// Only asks whether it could be done.
    #[arg(long, conflicts_with = "if_not_exists")]
    validate: bool,

    /// Is content with topics that exist already.
    #[arg(long)]
    if_not_exists: bool,
}

const CREATE_EXAMPLES: &[(&str, &str)] = &[
    ("Six partitions, each on three brokers", "milena topic create -b localhost:9092 orders -p 6 -r 3"),
    (
        "A compacted topic",
        "milena topic create -b localhost:9092 users -c cleanup.policy=compact -c min.insync.replicas=2",
    ),
];

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(DESCRIBE_EXAMPLES))]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topics' names; all without any.
    names: Vec<String>,

    /// Shows all of the configuration, not only what differs from the defaults.
    #[arg(long)]
    all_configs: bool,

    /// Prints a JSON object a line.
    #[arg(long)]
    json: bool,
}

const DESCRIBE_EXAMPLES: &[(&str, &str)] = &[
    ("Leaders, replicas, and what was configured", "milena topic describe -b localhost:9092 orders"),
    ("With all defaults", "milena topic describe -b localhost:9092 orders --all-configs"),
    ("All topics, for a program to read", "milena topic describe -b localhost:9092 --json"),
];

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(DELETE_EXAMPLES))]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topics' names.
    #[arg(required = true)]
    names: Vec<String>,

    /// Is content with topics that do not exist.
    #[arg(long)]
    if_exists: bool,
}

const DELETE_EXAMPLES: &[(&str, &str)] = &[
    ("Two topics", "milena topic delete -b localhost:9092 orders users"),
    ("In a script that may run twice", "milena topic delete -b localhost:9092 orders --if-exists"),
];

const OWN: Own<'_> = Own { defaults: &[("client.id", "milena-topic")], flags: &[] };

pub(crate) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::List(args) => list(args).await,
        TopicCommand::Create(args) => create(args).await,
        TopicCommand::Describe(args) => describe(args).await,
        TopicCommand::Delete(args) => delete(args).await,
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let admin = args.cluster.connect(OWN).await?.admin();
    let topics = admin.list_topics().await.map_err(Failure::operation)?;
    let shown: Vec<_> = topics.iter().filter(|topic| args.internal || !topic.is_internal).collect();
    let width = shown.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    for topic in shown {
        print_line(&if args.json {
            serde_json::json!({
                "topic": topic.name,
                "partitions": topic.partitions,
                "internal": topic.is_internal,
                "topic_id": topic.topic_id.map(|id| id.to_string()),
            })
            .to_string()
        } else {
            format!("{:width$}  {}", topic.name, count(topic.partitions, "partition"))
        })?;
    }
    Ok(())
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let mut specs = Vec::new();
    for name in &args.names {
        let mut spec = TopicSpec::new(name);
        if let Some(partitions) = args.partitions {
            spec = spec.partitions(partitions);
        }
        if let Some(replication_factor) = args.replication_factor {
            spec = spec.replication_factor(replication_factor);
        }
        for config in &args.configs {
            let (key, value) = key_value(config)?;
            spec = spec.config(key, value);
        }
        specs.push(spec);
    }
    let admin = args.cluster.connect(OWN).await?.admin();
    let (results, done) = match args.validate {
        true => (admin.validate_topics(specs).await, "could be created"),
        false => (admin.create_topics(specs).await, "created"),
    };
    let mut errors = Vec::new();
    for (name, result) in results {
        match result {
            Ok(_) => print_line(&format!("{name}: {done}"))?,
            Err(error) if args.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                print_line(&format!("{name}: exists already"))?;
            }
            Err(error) => errors.push(error),
        }
    }
    all_or_failure(errors)
}

async fn describe(args: DescribeArgs) -> Result<(), Failure> {
    let admin = args.cluster.connect(OWN).await?.admin();
    let names = match args.names.is_empty() {
        false => args.names,
        true => {
            let topics = admin.list_topics().await.map_err(Failure::operation)?;
            topics.into_iter().filter(|topic| !topic.is_internal).map(|topic| topic.name).collect()
        }
    };
    let mut errors = Vec::new();
    for (name, result) in admin.describe_topics(names).await {
        match result {
            Ok(topic) => {
                let configs = configs(&admin, &name, args.all_configs).await?;
                if args.json {
                    print_line(&as_json(&topic, &configs))?;
                } else {
                    print_topic(&topic, &configs)?;
                }
            }
            Err(error) => errors.push(error),
        }
    }
    all_or_failure(errors)
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let admin = args.cluster.connect(OWN).await?.admin();
    let mut errors = Vec::new();
    for (name, result) in admin.delete_topics(args.names).await {
        match result {
            Ok(()) => print_line(&format!("{name}: deleted"))?,
            Err(error) if args.if_exists && error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                print_line(&format!("{name}: does not exist"))?;
            }
            Err(error) => errors.push(error),
        }
    }
    all_or_failure(errors)
}

/// A topic's configuration: name, value, and whether it differs from the default.
async fn configs(admin: &Admin, topic: &str, all: bool) -> Result<Vec<(String, Option<String>)>, Failure> {
    let resource = ConfigResource::Topic(topic.to_owned());
    let described = admin.describe_configs([resource]).await.all().map_err(Failure::operation)?;
    let entries = described.into_values().flatten();
    let shown = entries.filter(|entry| all || entry.source == ConfigSource::Topic);
    Ok(shown.map(|entry| (entry.name, entry.value)).collect())
}

fn print_topic(topic: &TopicDescription, configs: &[(String, Option<String>)]) -> Result<(), Failure> {
    let id = topic.topic_id.map_or_else(String::new, |id| format!("  id {id}"));
    let partitions = count(topic.partitions.len(), "partition");
    print_line(&format!("{}  {partitions}{id}", console::style(&topic.name).bold()))?;
    for (name, value) in configs {
        print_line(&format!("  {name}={}", value.as_deref().unwrap_or("(hidden)")))?;
    }
    for partition in &topic.partitions {
        let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        let offline = match partition.offline_replicas.is_empty() {
            true => String::new(),
            false => format!("  offline {}", nodes(&partition.offline_replicas)),
        };
        print_line(&format!(
            "  {:>4}  leader {leader}  replicas {}  in sync {}{offline}",
            partition.partition,
            nodes(&partition.replicas),
            nodes(&partition.in_sync_replicas),
        ))?;
    }
    Ok(())
}

fn as_json(topic: &TopicDescription, configs: &[(String, Option<String>)]) -> String {
    let configs: serde_json::Map<_, _> =
        configs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| {
            serde_json::json!({
                "partition": partition.partition,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "in_sync_replicas": partition.in_sync_replicas,
                "offline_replicas": partition.offline_replicas,
            })
        })
        .collect();
    serde_json::json!({
        "topic": topic.name,
        "topic_id": topic.topic_id.map(|id| id.to_string()),
        "internal": topic.is_internal,
        "configs": configs,
        "partitions": partitions,
    })
    .to_string()
}

/// Splits `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(&str, &str), Failure> {
    let split = text.split_once('=').filter(|(key, _)| !key.is_empty());
    split.ok_or_else(|| Failure::Usage(format!("{text:?} is not KEY=VALUE")))
}

fn nodes(nodes: &[i32]) -> String {
    nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn all_or_failure(errors: Vec<AdminError>) -> Result<(), Failure> {
    if errors.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = errors.iter().map(AdminError::to_string).collect();
    Err(Failure::Operation(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_key_and_a_value() {
        assert_eq!(key_value("a.b=c=d").unwrap(), ("a.b", "c=d"));
        assert_eq!(key_value("a=").unwrap(), ("a", ""));
        for text in ["a", "=b", ""] {
            assert!(matches!(key_value(text), Err(Failure::Usage(_))), "{text}");
        }
    }
}
