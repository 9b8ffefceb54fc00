//! What cannot wait for a long poll.

use super::*;

/// Partitions 0 and 1 on one broker, at their ends, and a long poll for both in flight.
fn long_polling() -> World {
    let mut world =
        world_with(SubscriptionConfig { policy: OffsetReset::None, ..config() }, [log(1, 3), log(1, 3)]);
    for partition in 0..2 {
        seek(&mut world, partition, 30);
    }
    world.ask();
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.max_wait, Duration::from_millis(500));
    world
}

const DETOUR: LoopId = LoopId { node_id: 1, lane: Lane::Detour };

#[test]
fn a_seek_during_a_long_poll_takes_a_detour_that_the_broker_answers_at_once() {
    let mut world = long_polling();
    assert!(!world.send(1), "both partitions are in flight");
    seek(&mut world, 0, 10);
    world.ask();
    assert!(world.send_on(DETOUR));
    let plan = &world.flights[1].plan;
    assert_eq!((plan.targets.len(), plan.targets[0].1.fetch_offset), (1, 10));
    assert_eq!(plan.max_wait, Duration::ZERO);
}

#[test]
fn an_empty_detour_is_repeated_with_pauses_and_the_main_lane_takes_over_without_one() {
    let mut world = long_polling();
    seek(&mut world, 0, 30);
    world.ask();
    assert!(world.send_on(DETOUR));
    let long_poll = world.flights.remove(0);
    let mut sent = 0;
    let began = world.now;
    while world.now < began + Duration::from_millis(500) {
        if world.flights.is_empty() {
            sent += usize::from(world.send_on(DETOUR));
        } else {
            world.answer(1, |_| None);
        }
        world.now += Duration::from_millis(1);
    }
    assert!((3..=6).contains(&sent), "{sent} detours in half a second");
    world.lose(1);
    world.flights.push(long_poll);
    world.answer(1, |_| None);
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.targets.len(), 2, "the main lane has both again");
    assert!(!world.send_on(DETOUR));
}

#[test]
fn while_a_detour_is_under_way_the_main_lane_does_not_wait_long_to_take_over() {
    let mut world = long_polling();
    seek(&mut world, 0, 10);
    world.ask();
    assert!(world.send_on(DETOUR));
    world.answer(1, |_| None);
    assert!(world.send(1));
    let plan = &world.flights[1].plan;
    assert_eq!((plan.lane, plan.targets.len()), (Lane::Main, 1));
    assert!(plan.max_wait <= Duration::from_millis(50));
    // The detour brings records, and there is no other one: the main lane comes soon.
    world.answer(1, |_| None);
    assert!(!world.send_on(DETOUR));
    world.answer(1, |_| None);
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.targets.len(), 2);
}

#[test]
fn who_does_not_let_brokers_wait_needs_no_detour() {
    let config = SubscriptionConfig { fetch_max_wait: Duration::from_millis(5), ..config() };
    let mut world = world_with(config, [log(1, 3)]);
    seek(&mut world, 0, 30);
    world.ask();
    assert!(world.send(1));
    seek(&mut world, 0, 10);
    world.ask();
    assert!(!world.send_on(DETOUR));
}
