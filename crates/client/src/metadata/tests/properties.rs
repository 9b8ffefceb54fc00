//! Whatever brokers answer, the core neither panics nor stops asking.

use super::super::{Broker, LeaderHint};
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Answer { version: i16, response: MetadataResponse },
    Fail,
    RequestUpdate,
    Interest { topic: String, create: bool },
    Disinterest { topic: String, create: bool },
    Hints(Vec<LeaderHint>),
    Wait { ms: u64 },
}

/// Few values that collide often, and the extremes.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![-2..6i32, Just(i32::MIN), Just(i32::MAX)]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
}

fn error() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        4 => Just(ErrorCode::None),
        1 => (-2..140i16).prop_map(ErrorCode::from),
    ]
}

fn partition() -> impl Strategy<Value = MetadataResponsePartition> {
    (error(), number(), number(), number(), prop::collection::vec(number(), 0..3)).prop_map(
        |(error_code, partition_index, leader_id, leader_epoch, replica_nodes)| MetadataResponsePartition {
            error_code,
            partition_index,
            leader_id,
            leader_epoch,
            replica_nodes,
            ..Default::default()
        },
    )
}

fn response_topic() -> impl Strategy<Value = MetadataResponseTopic> {
    (error(), prop::option::of(name()), 0..3u8, prop::collection::vec(partition(), 0..4)).prop_map(
        |(error_code, name, id, partitions)| MetadataResponseTopic {
            error_code,
            name: name.map(Into::into),
            topic_id: Uuid([id; 16]),
            partitions,
            ..Default::default()
        },
    )
}

fn response() -> impl Strategy<Value = MetadataResponse> {
    let broker = (number(), number()).prop_map(|(node_id, port)| MetadataResponseBroker {
        node_id,
        host: "host".into(),
        port,
        ..Default::default()
    });
    (
        error(),
        prop::collection::vec(broker, 0..3),
        prop::option::of(name()),
        number(),
        prop::collection::vec(response_topic(), 0..4),
    )
        .prop_map(|(error_code, brokers, cluster_id, controller_id, topics)| MetadataResponse {
            error_code,
            brokers,
            cluster_id: cluster_id.map(Into::into),
            controller_id,
            topics,
            ..Default::default()
        })
}

fn event() -> impl Strategy<Value = Event> {
    let hint =
        (name(), number(), number(), number()).prop_map(|(topic, partition, leader_id, leader_epoch)| {
            LeaderHint { topic: topic.into(), partition, leader_id, leader_epoch }
        });
    prop_oneof![
        4 => (0..=NEWEST, response()).prop_map(|(version, response)| Event::Answer { version, response }),
        1 => Just(Event::Fail),
        1 => Just(Event::RequestUpdate),
        1 => (name(), any::<bool>()).prop_map(|(topic, create)| Event::Interest { topic, create }),
        1 => (name(), any::<bool>()).prop_map(|(topic, create)| Event::Disinterest { topic, create }),
        1 => prop::collection::vec(hint, 0..3).prop_map(Event::Hints),
        2 => (0..100_000u64).prop_map(|ms| Event::Wait { ms }),
    ]
}

/// Carries out an event; `asked` is the request under way.
fn happen(world: &mut World, interests: &mut Vec<(String, bool)>, asked: &mut Option<Ask>, event: Event) {
    match event {
        Event::Answer { version, response } => {
            if let Some(ask) = asked.take() {
                let _ = world.core.handle_response(&ask, version, response, world.now, MIDDLE);
            }
        }
        Event::Fail => {
            if asked.take().is_some() {
                world.fail();
            }
        }
        Event::RequestUpdate => world.request_update(),
        Event::Interest { topic, create } => {
            world.core.add_interest(&Arc::from(&*topic), create, world.now, MIDDLE);
            interests.push((topic, create));
        }
        Event::Disinterest { topic, create } => {
            if let Some(at) = interests.iter().position(|held| *held == (topic.clone(), create)) {
                interests.remove(at);
                world.core.remove_interest(&Arc::from(&*topic), create);
            }
        }
        Event::Hints(hints) => {
            let endpoint = Broker { node_id: 5, address: Address::new("hinted", 1), rack: None };
            world.core.handle_leader_hints(&hints, &[endpoint]);
        }
        Event::Wait { ms } => world.advance(ms),
    }
}

proptest! {
    #[test]
    fn any_answers_leave_a_core_that_still_asks(events in prop::collection::vec(event(), 0..40)) {
        let mut world = world();
        let (mut interests, mut asked) = (Vec::new(), None);
        let mut last_version = 0;
        for event in events {
            happen(&mut world, &mut interests, &mut asked, event);
            prop_assert!(world.metadata().version >= last_version, "versions ascend");
            last_version = world.metadata().version;
            if let Some(ask) = world.core.poll_action(world.now) {
                prop_assert!(asked.is_none(), "one request at a time");
                prop_assert!(!ask.candidates.is_empty(), "there is always somebody to ask");
                asked = Some(ask);
            }
            prop_assert_eq!(asked.is_some(), world.core.poll_timeout().is_none());
        }
        // Heal: from here on a good answer to each question is enough to know all that is of interest.
        let mut rounds = 0;
        let all_known = |world: &World| interests.iter().all(|(name, _)| {
            world.metadata().topic(name).is_some_and(|topic| topic.error.is_ok()
                && topic.topic_id == Uuid([9; 16])
                && topic.partitions.iter().all(|partition| partition.leader == Some(1)))
        });
        while !all_known(&world) || rounds == 0 {
            rounds += 1;
            prop_assert!(rounds < 20, "still not known: {:?}", world.metadata());
            let ask = match asked.take() {
                Some(ask) => ask,
                None => {
                    world.request_update();
                    world.next_ask()
                }
            };
            let asked_for = ask.topics.iter().flatten().chain(&ask.create);
            let topics: Vec<_> = asked_for.map(|name| topic_with_id(9, name, &[(1, 0), (1, 0)])).collect();
            world.answer(&ask, answer(topics));
        }
    }
}
