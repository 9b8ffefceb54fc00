//! `milena topic`.

use crate::support::Broker;

#[test]
fn topics_are_created_listed_described_and_deleted() {
    let broker = Broker::start(&[]);
    let created =
        broker.milena(&["topic", "create", "orders", "users", "-p", "3", "-c", "retention.ms=1000"]);
    assert_eq!(created.success(), "orders: created\nusers: created\n");
    assert_eq!(broker.milena(&["topic", "list"]).success(), "orders  3 partitions\nusers   3 partitions\n");

    let described = broker.milena(&["topic", "describe", "orders"]).success();
    assert!(described.starts_with("orders  3 partitions"), "{described}");
    assert!(described.contains("  retention.ms=1000\n"), "{described}");
    assert!(described.contains("     2  leader 1  replicas 1  in sync 1\n"), "{described}");

    assert_eq!(broker.milena(&["topic", "delete", "orders"]).success(), "orders: deleted\n");
    assert_eq!(broker.milena(&["topic", "list"]).success(), "users  3 partitions\n");
}

#[test]
fn json_is_one_object_a_line() {
    let broker = Broker::with_topics(&["orders:2,retention.ms=1000", "users"]);
    let listed = broker.milena(&["topic", "list", "--json"]).success();
    let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!((first["topic"].as_str(), first["partitions"].as_u64()), (Some("orders"), Some(2)));

    let described = broker.milena(&["topic", "describe", "orders", "--json"]).success();
    let topic: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(topic["configs"], serde_json::json!({"retention.ms": "1000"}));
    assert_eq!(topic["partitions"][1]["leader"], 1);
    assert_eq!(topic["topic_id"], first["topic_id"]);
}

#[test]
fn what_exists_already_or_does_not_exist_is_1_unless_that_is_fine() {
    let broker = Broker::with_topics(&["orders"]);
    let stderr = broker.milena(&["topic", "create", "orders"]).failure(1);
    assert!(stderr.contains("TOPIC_ALREADY_EXISTS"), "{stderr}");
    let again = broker.milena(&["topic", "create", "orders", "--if-not-exists"]);
    assert_eq!(again.success(), "orders: exists already\n");

    let stderr = broker.milena(&["topic", "describe", "nothing"]).failure(1);
    assert!(stderr.contains("nothing") && stderr.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{stderr}");
    let stderr = broker.milena(&["topic", "delete", "nothing", "orders"]).failure(1);
    assert!(stderr.contains("nothing"), "{stderr}");
    let gone = broker.milena(&["topic", "delete", "nothing", "--if-exists"]);
    assert_eq!(gone.success(), "nothing: does not exist\n");
    assert_eq!(broker.milena(&["topic", "list"]).success(), "", "the other one was deleted");
}

#[test]
fn validation_creates_nothing() {
    let broker = Broker::start(&[]);
    let validated = broker.milena(&["topic", "create", "orders", "--validate"]);
    assert_eq!(validated.success(), "orders: could be created\n");
    assert_eq!(broker.milena(&["topic", "list"]).success(), "");
    let stderr =
        broker.milena(&["topic", "create", "orders", "--validate", "-c", "retention.ms=soon"]).failure(1);
    assert!(stderr.contains("retention.ms"), "{stderr}");
}
