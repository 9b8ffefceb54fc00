//! Promise P8: one broker is frozen, and the partitions of the others are sent to and read from as ever.

use std::sync::Arc;
use std::time::Duration;

use milena_client::TopicPartition;
use milena_consumer::{Consumer, ConsumerConfig, OffsetReset};
use milena_history::{Event, Isolation, Name, Note};

use super::id_in;
use super::producer::{Ids, Sender, What};
use crate::clock::{self, ms, within};
use crate::plan::{ProducerPlan, Watching};
use crate::rng::Rng;
use crate::world::World;

/// How long a record may take to a healthy broker, and again from there.
const WITHIN: Duration = Duration::from_millis(700);
/// How long the broker is frozen.
const FROZEN: Duration = Duration::from_secs(4);

pub(crate) async fn run(world: &Arc<World>, ids: &Ids) {
    let mut rng = Rng::new(world.plan.seed ^ 0x1501);
    let plan = ProducerPlan::for_bystanders(&mut rng);
    let mut sender = Sender::start(world, &plan, "bystander".into(), ids.clone(), rng.fork());
    let partitions = world.partitions();
    let mut config = ConsumerConfig::default();
    config.auto_offset_reset = OffsetReset::Latest;
    let client = world.client("watcher", plan.request_timeout);
    let mut consumer = Consumer::new(client, config).expect("the configuration is valid");
    consumer
        .assign(partitions.iter().map(|(topic, partition)| TopicPartition::new(topic.clone(), *partition)));
    for (topic, partition) in &partitions {
        let (client, group, topic) = (Name::from("watcher"), Name::default(), topic.clone());
        world.recorder.event(Event::Assign { client, group, topic, partition: *partition });
    }
    let reading = async {
        loop {
            // The watcher is told of the frozen broker, too.
            let Ok(Some(batch)) = consumer.next().await else { continue };
            for record in &batch {
                world.recorder.event(Event::Poll {
                    client: "watcher".into(),
                    topic: batch.topic_partition().topic.clone(),
                    partition: batch.partition(),
                    offset: record.offset,
                    id: id_in(record.value),
                    isolation: Isolation::ReadUncommitted,
                });
            }
        }
    };
    let sending = async {
        // Everybody knows everybody before it begins.
        send_round(&mut sender, &partitions).await;
        sender.flush().await;
        clock::sleep(ms(500)).await;
        let frozen = rng.between(1, 3) as i32;
        let is_bystander = |(topic, partition): &&(Name, i32)| {
            world.cluster.leader(topic, *partition).is_some_and(|leader| leader != frozen)
        };
        let bystanders = partitions.iter().filter(is_bystander).cloned().collect();
        world.recorder.note(Note::IsolationStart { bystanders, within_us: WITHIN.as_micros() as u64 });
        world.cluster.faults().freeze(frozen);
        let until = clock::now() + FROZEN;
        while clock::now() < until {
            send_round(&mut sender, &partitions).await;
            clock::sleep(ms(150)).await;
        }
        world.recorder.note(Note::IsolationEnd);
        world.cluster.faults().unfreeze(frozen);
        sender.finish().await;
    };
    // Ends with the sending.
    let mut sending = std::pin::pin!(sending);
    let mut reading = std::pin::pin!(reading);
    let both = std::future::poll_fn(|cx| {
        let _: std::task::Poll<()> = reading.as_mut().poll(cx);
        sending.as_mut().poll(cx)
    });
    if within(Duration::from_secs(120), both).await.is_none() {
        world.recorder.note(Note::Stuck { what: "the bystanders' producer does not end".to_owned() });
    }
}

/// One record to every partition.
async fn send_round(sender: &mut Sender, partitions: &[(Name, i32)]) {
    for (topic, partition) in partitions {
        let what = What { topic: topic.clone(), partition: Some(*partition), key: None, bytes: 50 };
        sender.send(what, Watching::Callback, None).await;
    }
}
