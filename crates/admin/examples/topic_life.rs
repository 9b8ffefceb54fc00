//! The life of a topic on a real cluster: `cargo run -p milena-admin --example topic_life -- localhost:9092`.

use std::error::Error;

use milena_admin::{
    Admin, ConfigChange, ConfigResource, ConfigSource, DeleteBefore, NewPartitions, OffsetSpec, TopicSpec,
};
use milena_client::{Address, Client, ClientConfig, Env, TopicPartition};

const TOPIC: &str = "milena-topic-life";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let bootstrap = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    let client = Client::connect(ClientConfig::new(Address::parse_list(&bootstrap)?), Env::system()).await?;
    let admin = Admin::new(client);
    println!("{:#?}", admin.describe_cluster().await?);

    let spec =
        || TopicSpec::new(TOPIC).partitions(3).replication_factor(1).config("retention.ms", "86400000");
    admin.validate_topics([spec()]).await.all()?;
    println!("created: {:?}", admin.create_topic(spec()).await?);
    println!("ready with {} partitions", admin.wait_until_ready(TOPIC).await?.partitions.len());
    println!("once more: {}", admin.create_topic(spec()).await.expect_err("it exists"));
    match admin.create_topic(TopicSpec::new("milena-defaults")).await {
        Ok(created) => println!("with the broker's defaults: {created:?}"),
        Err(error) => println!("with the broker's defaults: {error}"),
    }
    // An old broker may have no defaults; then there is nothing to delete.
    if let Err(error) = admin.delete_topic("milena-defaults").await {
        println!("deleting that: {error}");
    }

    let topic = ConfigResource::Topic(TOPIC.to_owned());
    let changes = vec![
        ConfigChange::set("max.message.bytes", "2000000"),
        ConfigChange::delete("retention.ms"),
        ConfigChange::append("cleanup.policy", "compact"),
    ];
    admin.alter_configs([(topic.clone(), changes)]).await.all()?;
    let wrong = vec![ConfigChange::set("retention.ms", "soon")];
    println!("wrong: {}", admin.alter_configs([(topic.clone(), wrong)]).await.all().expect_err("no number"));

    admin.create_partitions([NewPartitions::new(TOPIC, 5)]).await.all()?;
    println!("ready with {} partitions", admin.wait_until_ready(TOPIC).await?.partitions.len());
    // Brokers with KRaft show a change a moment after it was made.
    for entry in admin.describe_configs([topic.clone()]).await.all()?.remove(&topic).unwrap_or_default() {
        if entry.source == ConfigSource::Topic {
            println!("{} = {}", entry.name, entry.value.unwrap_or_default());
        }
    }
    admin.alter_configs([(topic, vec![ConfigChange::subtract("cleanup.policy", "compact")])]).await.all()?;
    let all = |spec| (0..5).map(move |partition| (TopicPartition::new(TOPIC, partition), spec));
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::LatestStable] {
        println!("{spec:?}: {:?}", admin.list_offsets(all(spec)).await.all()?.into_values().next());
    }
    for (partition, outcome) in admin.list_offsets(all(OffsetSpec::MaxTimestamp)).await.into_iter().take(1) {
        match outcome {
            Ok(listed) => println!("{partition}: {listed:?}"),
            Err(error) => println!("{error}"),
        }
    }
    let before = (0..5).map(|partition| (TopicPartition::new(TOPIC, partition), DeleteBefore::HighWatermark));
    println!("left after deleting records: {:?}", admin.delete_records(before).await.all()?);

    admin.delete_topic(TOPIC).await?;
    println!("deleted; once more: {}", admin.delete_topic("no-such-topic").await.expect_err("it is gone"));
    let names: Vec<_> = admin.list_topics().await?.into_iter().map(|topic| topic.name).collect();
    println!("left: {names:?}");
    Ok(())
}
