//! The queue against a model of the network and the broker, and its rules one by one.

mod log;
mod rules;
mod world;

use proptest::prelude::*;

use milena_protocol::ErrorCode;
use world::{Beginning, Event, Fate, NODES, World};

fn fate() -> impl Strategy<Value = Fate> {
    let before = prop::sample::select(vec![
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::KafkaStorageError,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::InvalidRecord,
        ErrorCode::UnknownServerError,
    ]);
    let after = prop::sample::select(vec![
        ErrorCode::RequestTimedOut,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownServerError,
    ]);
    prop_oneof![
        6 => Just(Fate::Acknowledge),
        2 => before.prop_map(Fate::Refuse),
        2 => after.prop_map(Fate::AppendAndAnswer),
        1 => any::<bool>().prop_map(|replicated| Fate::AppendAndBreak { replicated }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let node = || prop_oneof![3 => Just(0), 1 => 1..NODES];
    prop_oneof![
        4 => (1u32..4).prop_map(Event::Push),
        10 => Just(Event::Send),
        6 => (1usize..6).prop_map(Event::Flow),
        6 => (node(), 1usize..6).prop_map(|(node, requests)| Event::Serve(node, requests)),
        14 => (node(), fate()).prop_map(|(node, fate)| Event::Work(node, fate)),
        14 => node().prop_map(Event::Answer),
        2 => (node(), 0usize..3).prop_map(|(node, unwritten)| Event::Disconnect(node, unwritten)),
        2 => (node(), fate()).prop_map(|(node, fate)| Event::WorkOnRest(node, fate)),
        1 => Just(Event::FailOver),
        3 => prop::option::weighted(0.9, node()).prop_map(Event::Believe),
        6 => (1u64..60).prop_map(Event::Wait),
        4 => Just(Event::Identity),
        1 => (1u32..5).prop_map(Event::Limit),
        4 => Just(Event::Split),
    ]
}

fn beginning() -> impl Strategy<Value = Beginning> {
    (
        prop::sample::select(vec![150u64, 400, 3_600_000]),
        prop::sample::select(vec![3, u32::MAX, u32::MAX]),
        prop::sample::select(vec![0, i16::MAX - 1, i16::MAX]),
        prop::option::of((0..6).prop_map(|before| i32::MAX - before)),
    )
        .prop_map(|(delivery_timeout_ms, retries_max, first_epoch, next_sequence)| Beginning {
            delivery_timeout_ms,
            retries_max,
            first_epoch,
            next_sequence,
        })
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 50_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// Promises P1 and P2, whatever the network and the cluster do, and the end of every batch (franz-go#226: also around the
    /// wrap of the sequence numbers).
    #[test]
    fn acknowledged_records_are_in_the_log_once_and_in_order(
        beginning in beginning(),
        events in prop::collection::vec(event(), 1..160),
    ) {
        let mut world = World::new(beginning);
        for event in events {
            world.happen(event);
        }
        world.heal();
        world.check();
    }

    /// Brokers that forget the producer cannot recognise repetitions; still nothing that was acknowledged is missing, and
    /// everything ends.
    #[test]
    fn a_broker_that_forgets_the_producer_loses_nothing(
        beginning in beginning(),
        refuses_forgotten in any::<bool>(),
        events in prop::collection::vec((event(), prop::bool::weighted(0.05)), 1..120),
    ) {
        let mut world = World::new(beginning);
        world.is_strict = false;
        world.log.refuses_forgotten = refuses_forgotten;
        for (event, forget) in events {
            world.happen(event);
            if forget {
                world.log.forget_producers();
            }
        }
        world.heal();
        world.check();
    }
}
