//! What is asked, when, and of whom.

use super::*;

#[test]
fn the_bootstrap_servers_are_asked_at_once_and_the_brokers_they_name_from_then_on() {
    let mut world = world();
    let ask = world.ask();
    assert_eq!(hosts(&ask), ["seed-1", "seed-2"]);
    assert_eq!(ask.topics, Some(vec![]), "brokers only: nobody is interested in a topic");
    assert_eq!(world.due_in(), None);
    assert!(world.core.poll_action(world.now).is_none(), "one request at a time");
    world.answer(&ask, answer([]));

    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
    let ask = world.next_ask();
    assert_eq!(hosts(&ask), ["broker-1", "broker-2", "broker-3"]);
    assert_eq!(world.now - world.start, MAX_AGE);
}

#[test]
fn topics_are_asked_for_as_long_as_somebody_is_interested() {
    let mut world = world();
    world.want("orders");
    world.want("orders");
    world.want("users");
    let ask = world.ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["orders", "users"]);
    world.answer(&ask, answer([topic("orders", &[(1, 0)]), topic("users", &[(2, 0)])]));

    world.core.remove_interest(&Arc::from("orders"), false);
    world.core.remove_interest(&Arc::from("users"), false);
    world.core.remove_interest(&Arc::from("nobody's"), false);
    let ask = world.next_ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["orders"]);
    world.answer(&ask, answer([topic("orders", &[(1, 0)])]));
    assert!(world.metadata().topic("users").is_none(), "forgotten with the next answer");
}

#[test]
fn a_new_topic_is_asked_for_at_once_even_during_a_request_or_a_back_off() {
    let mut world = world();
    world.want("a");
    let ask = world.ask();
    world.want("b");
    world.answer(&ask, answer([topic("a", &[(1, 0)])]));
    assert_eq!(world.due_in(), Some(0), "b was not part of the question");
    let ask = world.ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["a", "b"]);
    world.answer(&ask, answer([topic("a", &[(1, 0)]), refused("b", ErrorCode::UnknownTopicOrPartition)]));
    assert_eq!(world.due_in(), Some(100));
    world.want("c");
    assert_eq!(world.due_in(), Some(0));
    world.ask();
    world.fail();
    world.want("d");
    assert_eq!(world.due_in(), Some(0));
}

#[test]
fn interest_in_a_known_topic_asks_for_nothing() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    world.want("orders");
    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
}

#[test]
fn only_missing_topics_are_asked_for_with_the_permission_to_create_them() {
    let mut world = world();
    world.want("read-only");
    world.want_created("known");
    world.want_created("missing");
    let ask = world.ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["read-only"]);
    assert_eq!(names(&ask.create), ["known", "missing"]);
    let missing = |name| refused(name, ErrorCode::UnknownTopicOrPartition);
    world.answer(&ask, answer([topic("known", &[(1, 0)]), missing("missing"), missing("read-only")]));
    let ask = world.next_ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["known", "read-only"]);
    assert_eq!(names(&ask.create), ["missing"]);
    world.core.remove_interest(&Arc::from("missing"), true);
    world.fail();
    assert!(world.next_ask().create.is_empty());
}

#[test]
fn who_wants_all_topics_gets_all_and_missing_ones_are_still_created() {
    let mut world = world();
    world.want_created("new");
    world.core.add_interest_in_all(world.now);
    let ask = world.ask();
    assert_eq!(ask.topics, None);
    assert_eq!(names(&ask.create), ["new"]);
    world.answer(&ask, answer([topic("new", &[(1, 0)]), topic("other", &[(2, 0)])]));
    assert!(world.metadata().topic("other").is_some());
    world.core.remove_interest_in_all();
    let ask = world.next_ask();
    assert_eq!(names(ask.topics.as_ref().unwrap()), ["new"]);
    world.answer(&ask, answer([topic("new", &[(1, 0)]), topic("other", &[(2, 0)])]));
    assert!(world.metadata().topic("other").is_none());
}

#[test]
fn a_leaderless_topic_that_nobody_named_keeps_nobody_asking() {
    let mut world = world();
    world.core.add_interest_in_all(world.now);
    let ask = world.ask();
    world.answer(&ask, answer([topic("somebody's", &[(-1, 3)])]));
    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
}

#[test]
fn failures_are_retried_after_a_growing_back_off() {
    let mut world = world();
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.next_ask();
        world.fail();
        waits.push(world.due_in().unwrap());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    let ask = world.next_ask();
    world.answer(&ask, answer([]));
    world.request_update();
    assert_eq!(world.due_in(), Some(100), "an answer ends the series");
}

#[test]
fn a_storm_of_update_requests_makes_one_request() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    let mut asked = 0;
    for ms in 0..1_000 {
        world.request_update();
        if let Some(ask) = world.core.poll_action(world.now) {
            asked += 1;
            // Another leader each time: the answers bring something new, so the back-off does not grow.
            world.answer(&ask, answer([topic("orders", &[(1 + ms % 3, ms)])]));
        }
        world.advance(1);
    }
    assert_eq!(asked, 9, "one per 100 ms");
}

#[test]
fn an_update_request_during_a_request_is_not_lost() {
    let mut world = world();
    let ask = world.ask();
    world.request_update();
    world.request_update();
    world.advance(50);
    world.answer(&ask, answer([]));
    assert_eq!(world.due_in(), Some(100), "counted from the answer");
}

#[test]
fn an_update_long_after_the_last_answer_is_asked_for_at_once() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    world.advance(5_000);
    world.request_update();
    assert_eq!(world.due_in(), Some(0));
}

#[test]
fn answers_that_bring_nothing_new_are_asked_for_ever_less_often() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.request_update();
        waits.push(world.due_in().unwrap());
        let ask = world.next_ask();
        world.answer(&ask, answer([topic("orders", &[(1, 0)])]));
    }
    assert_eq!(waits, [100, 100, 200, 400, 800, 1_000]);
    world.request_update();
    let ask = world.next_ask();
    world.answer(&ask, answer([topic("orders", &[(2, 1)])]));
    world.request_update();
    assert_eq!(world.due_in(), Some(100), "a new leader ends the series");
}

#[test]
fn a_periodic_answer_without_news_slows_nothing_down() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    for _ in 0..3 {
        let ask = world.next_ask();
        world.answer(&ask, answer([topic("orders", &[(1, 0)])]));
    }
    world.request_update();
    assert_eq!(world.due_in(), Some(100));
}

#[test]
fn a_topic_with_an_error_is_asked_for_again_at_the_pace_of_the_back_off_only() {
    let mut world = world();
    world.want("missing");
    let ask = world.ask();
    world.answer(&ask, answer([refused("missing", ErrorCode::UnknownTopicOrPartition)]));
    // Callers that try, fail and drop their interest in a loop must not turn into a loop of requests.
    for _ in 0..10 {
        world.core.remove_interest(&Arc::from("missing"), false);
        world.want("missing");
        assert_eq!(world.due_in(), Some(100));
    }
}

#[test]
fn a_refused_topic_is_not_asked_for_on_and_on() {
    let world = world_that_knows(answer([refused("secret", ErrorCode::TopicAuthorizationFailed)]));
    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
}

#[test]
fn a_topic_that_the_answer_leaves_out_is_asked_for_again() {
    let mut world = world();
    world.want("orders");
    let ask = world.ask();
    world.answer(&ask, answer([]));
    assert_eq!(world.due_in(), Some(100));
}

#[test]
fn when_all_known_brokers_fail_the_bootstrap_servers_are_asked_at_once() {
    let mut world = world_that_knows(answer([]));
    assert_eq!(hosts(&world.next_ask()), ["broker-1", "broker-2", "broker-3"]);
    world.fail();
    assert_eq!(world.due_in(), Some(0));
    let ask = world.ask();
    assert_eq!((hosts(&ask), ask.afresh), (vec!["seed-1", "seed-2"], false));
    world.fail();
    assert_eq!(world.due_in(), Some(200), "both failed now");
    assert_eq!(hosts(&world.next_ask())[0], "broker-1", "they take turns");
}

#[test]
fn without_recovery_the_known_brokers_are_tried_for_ever() {
    let mut world = world_with(MetadataRecovery::None);
    let ask = world.ask();
    world.answer(&ask, answer([]));
    for _ in 0..200 {
        assert_eq!(hosts(&world.next_ask())[0], "broker-1");
        world.fail();
        assert!(world.due_in().unwrap() >= 100);
    }
}

#[test]
fn rebootstrap_required_goes_back_to_the_bootstrap_names_and_opens_them_afresh() {
    let mut world = world_that_knows(answer([]));
    let ask = world.next_ask();
    let go_away = MetadataResponse { error_code: ErrorCode::RebootstrapRequired, ..answer([]) };
    let result = world.core.handle_response(&ask, NEWEST, go_away, world.now, MIDDLE);
    assert_eq!(result, Err(Useless::RebootstrapRequired));
    assert_eq!(world.due_in(), Some(0));
    let ask = world.ask();
    assert_eq!((hosts(&ask), ask.afresh), (vec!["seed-1", "seed-2"], true));
}

#[test]
fn a_bootstrap_server_that_itself_sends_clients_away_is_not_asked_in_a_loop() {
    let mut world = world();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let ask = world.next_ask();
        let go_away = MetadataResponse { error_code: ErrorCode::RebootstrapRequired, ..answer([]) };
        world.core.handle_response(&ask, NEWEST, go_away, world.now, MIDDLE).unwrap_err();
        waits.push(world.due_in().unwrap());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_000]);
}

#[test]
fn without_recovery_the_request_to_rebootstrap_is_an_answer_like_any_other() {
    let mut world = world_with(MetadataRecovery::None);
    let ask = world.ask();
    world.answer(&ask, MetadataResponse { error_code: ErrorCode::RebootstrapRequired, ..answer([]) });
    assert_eq!(hosts(&world.next_ask())[0], "broker-1");
}

#[test]
fn no_answer_for_the_trigger_time_opens_the_bootstrap_names_afresh() {
    let mut world = world_that_knows(answer([]));
    world.next_ask();
    world.advance(u64::try_from(TRIGGER.as_millis()).unwrap());
    world.fail();
    assert!(!world.ask().afresh, "not before it is over");
    world.advance(1);
    world.fail();
    let ask = world.next_ask();
    assert_eq!((hosts(&ask), ask.afresh), (vec!["seed-1", "seed-2"], true));
    // From then on it counts anew.
    world.fail();
    assert!(!world.next_ask().afresh);
}

#[test]
fn an_answer_without_brokers_counts_as_a_failure_and_loses_nothing() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0)])]));
    let ask = world.next_ask();
    let starting_up = MetadataResponse::default();
    let result = world.core.handle_response(&ask, NEWEST, starting_up, world.now, MIDDLE);
    assert_eq!(result, Err(Useless::NoBrokers));
    assert_eq!(world.topic("orders").partitions.len(), 1);
    assert_eq!(hosts(&world.ask()), ["seed-1", "seed-2"]);
}

/// The state is Idle, Due or Asking; for each, what each event leads to.
#[test]
fn transitions() {
    type Event = (&'static str, fn(&mut World));
    const GOOD: fn(&mut World) = |world| {
        let ask = Ask { candidates: vec![], afresh: false, topics: Some(vec![]), create: vec![] };
        let _ = world.core.handle_response(&ask, NEWEST, answer([]), world.now, MIDDLE);
    };
    let states: [Event; 3] = [
        ("idle", |world| {
            world.ask();
            GOOD(world);
        }),
        ("due", |_| {}),
        ("asking", |world| drop(world.ask())),
    ];
    let events: [Event; 5] = [
        ("request_update", World::request_update),
        ("new topic", |world| world.want("new")),
        ("poll_action", |world| drop(world.core.poll_action(world.now))),
        ("answer", GOOD),
        ("failure", World::fail),
    ];
    let mut table = String::new();
    for (state, enter) in &states {
        for (event, happen) in &events {
            if (*event == "answer" || *event == "failure") && *state != "asking" {
                continue; // They end a request.
            }
            let mut world = world();
            enter(&mut world);
            happen(&mut world);
            let next = match world.due_in() {
                None => "asking".to_owned(),
                Some(wait) if wait == MAX_AGE.as_millis() => "idle".to_owned(),
                Some(wait) => format!("due in {wait} ms"),
            };
            table += &format!("{state} + {event} -> {next}\n");
        }
    }
    assert_eq!(
        table,
        "idle + request_update -> due in 100 ms\n\
         idle + new topic -> due in 0 ms\n\
         idle + poll_action -> idle\n\
         due + request_update -> due in 0 ms\n\
         due + new topic -> due in 0 ms\n\
         due + poll_action -> asking\n\
         asking + request_update -> asking\n\
         asking + new topic -> asking\n\
         asking + poll_action -> asking\n\
         asking + answer -> idle\n\
         asking + failure -> due in 100 ms\n"
    );
}
