//! `milena demo`.

use milena_testcontainers::{KafkaCluster, KafkaVersion};

use crate::support::{Broker, milena};

/// The lines that tell of an acknowledgement: user, event, place.
fn acknowledgements<'a>(stdout: &'a str, topic: &str) -> Vec<[&'a str; 3]> {
    let lines = stdout.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        <[&str; 3]>::try_from(words).ok()
    });
    lines.filter(|[_, _, place]| place.starts_with(&format!("{topic}-")) && place.contains('@')).collect()
}

#[test]
fn it_plays_on_an_embedded_broker_and_all_is_well() {
    let demo = milena(&["demo", "--users", "5"]);
    assert!(demo.stderr.contains("embedded broker"), "{}", demo.stderr);
    let stdout = demo.success();
    let acknowledged = acknowledgements(&stdout, "user-events");
    assert_eq!(acknowledged.len(), 5 * 7, "{stdout}");
    let steps: Vec<_> = acknowledged.iter().filter(|ack| ack[0] == "user-03").map(|ack| ack[1]).collect();
    let journey = [
        "view_product",
        "add_to_cart",
        "checkout",
        "payment_success",
        "order_created",
        "order_shipped",
        "order_delivered",
    ];
    assert_eq!(steps, journey);
    assert!(stdout.contains("read back 35 of 35 events") && stdout.contains("\nok every event"), "{stdout}");
    assert!(!stdout.contains('\x1b'), "colours in a pipe");
}

#[test]
fn it_plays_on_a_given_broker_beside_what_is_there() {
    let broker = Broker::with_topics(&["shop:3"]);
    broker.milena_with_input(&["produce", "-t", "shop"], b"not an event\n").success();
    for _ in 0..2 {
        let stdout = broker.milena(&["demo", "--users", "3", "-t", "shop", "-q"]).success();
        assert_eq!(acknowledgements(&stdout, "shop").len(), 3 * 7, "{stdout}");
    }
    let headers = broker.milena(&["consume", "-t", "shop", "--from", "-1", "-e", "-f", r"%k %h\n"]).success();
    let last = headers.lines().rfind(|line| line.starts_with("user-")).unwrap();
    for header in ["trace_id=", "schema_ver=1", "event_type=", "timestamp=1", "source="] {
        assert!(last.contains(header), "{header} is missing in {last}");
    }
}

mod real_kafka_control {
    use super::*;

    mod kafka_4_3_1 {
        #[tokio::test]
        async fn the_demo_plays() {
            super::it_plays_on(super::KafkaVersion::V4_3_1).await;
        }
    }

    mod kafka_4_1_2 {
        #[tokio::test]
        async fn the_demo_plays() {
            super::it_plays_on(super::KafkaVersion::V4_1_2).await;
        }
    }

    mod kafka_3_9_1 {
        #[tokio::test]
        async fn the_demo_plays() {
            super::it_plays_on(super::KafkaVersion::V3_9_1).await;
        }
    }

    mod kafka_2_8_2 {
        #[tokio::test]
        async fn the_demo_plays() {
            super::it_plays_on(super::KafkaVersion::V2_8_2).await;
        }
    }

    mod kafka_2_1_1 {
        #[tokio::test]
        async fn the_demo_plays() {
            super::it_plays_on(super::KafkaVersion::V2_1_1).await;
        }
    }

    async fn it_plays_on(version: KafkaVersion) {
        let cluster = KafkaCluster::builder().version(version).start().await.unwrap();
        let demo = milena(&["demo", "--users", "3", "-b", cluster.bootstrap()]);
        let stdout = demo.success();
        assert_eq!(acknowledgements(&stdout, "user-events").len(), 3 * 7, "{stdout}");
        assert!(
            stdout.contains("read back 21 of 21 events") && stdout.contains("\nok every event"),
            "{stdout}"
        );
        cluster.stop().await;
    }
}
