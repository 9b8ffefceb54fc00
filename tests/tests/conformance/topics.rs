//! Topics: made, described, grown, emptied, deleted, made anew.

use std::time::Duration;

use milena::admin::{DeleteBefore, NewPartitions, TopicSpec};
use milena::producer::Record;
use milena::{ErrorCode, Kafka};
use milena_testcontainers::KafkaVersion;
use milena_tests::unique;

use crate::context::{Context, fill, in_time, partition_of, read, read_values};

/// Creates a topic and waits until every partition has a leader.
pub(crate) async fn create(kafka: &Kafka, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut topic = TopicSpec::new(name).partitions(partitions).replication_factor(1);
    for (key, value) in configs {
        topic = topic.config(*key, *value);
    }
    let admin = kafka.admin();
    in_time(admin.create_topic(topic)).await.expect("created");
    in_time(admin.wait_until_ready(name)).await.expect("ready");
}

pub(crate) async fn add_partitions(kafka: &Kafka, name: &str, total: i32) {
    let results = in_time(kafka.admin().create_partitions([NewPartitions::new(name, total)])).await;
    results.all().expect("added");
}

pub(crate) async fn delete_records(kafka: &Kafka, topic: &str, partition: i32, before: i64) {
    let wanted = [(partition_of(topic, partition), DeleteBefore::Offset(before))];
    in_time(kafka.admin().delete_records(wanted)).await.all().expect("deleted");
}

pub(crate) async fn topics_are_made_described_and_deleted(context: &Context) {
    let name = context.topic("admin", 3, &[("max.message.bytes", "12345")]).await;
    let admin = context.kafka.admin();
    let description = in_time(admin.describe_topic(&*name)).await.unwrap();
    assert_eq!(description.partitions.len(), 3);
    assert!(description.partitions.iter().all(|partition| partition.leader.is_some()));
    assert_eq!(description.topic_id.is_some(), context.target.is_at_least(KafkaVersion::V2_8_2));

    let again = in_time(admin.create_topic(TopicSpec::new(&*name).partitions(1).replication_factor(1))).await;
    assert_eq!(again.unwrap_err().code(), Some(ErrorCode::TopicAlreadyExists));

    let listed = in_time(admin.list_topics()).await.unwrap();
    assert!(listed.iter().any(|topic| topic.name == name && topic.partitions == 3));

    in_time(admin.delete_topic(&*name)).await.unwrap();
    let gone = async {
        while admin.list_topics().await.unwrap().iter().any(|topic| topic.name == name) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(gone).await;
    let error = in_time(admin.delete_topic(&*name)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

pub(crate) async fn a_topic_is_created_on_first_use(context: &Context) {
    let topic = unique("automatic");
    let producer = context.producer().await;
    let ack = in_time(in_time(producer.send(Record::to(&topic).value("x"))).await.unwrap()).await.unwrap();
    assert_eq!(ack.offset, Some(0));
    let mut consumer = context.consumer(&topic).await;
    assert_eq!(read(&mut consumer, 1).await.len(), 1);
}

/// Whether the topic is there, and nothing in its first partition.
async fn is_empty(context: &Context, topic: &str) -> bool {
    let consumer = context.kafka.consumer().build().await.unwrap();
    let partition = [partition_of(topic, 0)];
    let ends = tokio::time::timeout(Duration::from_secs(1), consumer.end_offsets(&partition)).await;
    ends.is_ok_and(|ends| ends.is_ok_and(|ends| ends[&partition[0]] == 0))
}

pub(crate) async fn a_topic_made_anew_is_used_under_its_new_id(context: &Context) {
    let topic = context.topic("anew", 1, &[]).await;
    let kafka = Kafka::builder(context.target.bootstrap()).metadata_max_age(Duration::from_millis(100));
    let kafka = kafka.connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    fill(&producer, &topic, 0, 5).await;
    let admin = context.kafka.admin();
    in_time(admin.delete_topic(&*topic)).await.unwrap();
    let created = async {
        // Brokers keep the name for a moment. Then the producer, which asks for its topic all the time, may be faster: to ask for a topic
        // creates it.
        while admin.create_topic(TopicSpec::new(&*topic).partitions(1).replication_factor(1)).await.is_err()
            && !is_empty(context, &topic).await
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(created).await;
    in_time(admin.wait_until_ready(&*topic)).await.unwrap();
    let sent = async {
        loop {
            // While the topic was away, sends may have been refused.
            if let Ok(delivery) = producer.send(Record::to(&topic).value("after")).await
                && delivery.await.is_ok()
            {
                break;
            }
        }
    };
    in_time(sent).await;
    let mut consumer = context.consumer(&topic).await;
    assert_eq!(read_values(&mut consumer, 1).await, ["after"]);
}
