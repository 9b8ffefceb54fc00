//! ApiVersions: exactly what Kafka offers, as far as it is offered, and what is not, with the reason.

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::ErrorCode;
use milena_testcontainers::KafkaVersion;

use crate::support::*;

cases! {
    every_version_offers_what_kafka_4_3_1_offers,
    a_lowest_level_of_zero_is_told_from_version_4_on,
    an_unknown_version_of_api_versions_is_answered_in_version_0,
    a_nameless_client_is_refused,
}

/// What a broker of 4.3.1 offers: key, and lowest and highest version.
#[rustfmt::skip] // A table, by tens.
const KAFKA_4_3_1: [(i16, i16, i16); 75] = [
    (0, 0, 13), (1, 4, 18), (2, 1, 11), (3, 0, 13), (8, 2, 10), (9, 1, 10),
    (10, 0, 6), (11, 0, 9), (12, 0, 4), (13, 0, 5), (14, 0, 5), (15, 0, 6), (16, 0, 5), (17, 0, 1), (18, 0, 4), (19, 2, 7),
    (20, 1, 6), (21, 0, 2), (22, 0, 5), (23, 2, 4), (24, 0, 5), (25, 0, 4), (26, 0, 5), (27, 1, 2), (28, 0, 5), (29, 1, 3),
    (30, 1, 3), (31, 1, 3), (32, 1, 4), (33, 0, 2), (34, 1, 2), (35, 1, 5), (36, 0, 2), (37, 0, 3), (38, 1, 3), (39, 1, 2),
    (40, 1, 2), (41, 1, 3), (42, 0, 2), (43, 0, 2), (44, 0, 1), (45, 0, 1), (46, 0, 0), (47, 0, 0), (48, 0, 1), (49, 0, 1),
    (50, 0, 0), (51, 0, 0), (55, 0, 2), (57, 0, 2),
    (60, 0, 2), (61, 0, 0), (64, 0, 0), (65, 0, 0), (66, 0, 2), (68, 0, 1), (69, 0, 1),
    (74, 0, 1), (75, 0, 0), (76, 1, 1), (77, 1, 1), (78, 1, 2), (79, 1, 2),
    (80, 0, 1), (81, 0, 0), (83, 0, 0), (84, 0, 0), (85, 0, 1), (86, 0, 0), (87, 0, 1), (88, 0, 0), (89, 0, 0),
    (90, 0, 1), (91, 0, 0), (92, 0, 0),
];

/// Its features: name, lowest and highest level, and the level in force.
const FEATURES: [(&str, i16, i16, i16); 7] = [
    ("eligible.leader.replicas.version", 0, 1, 1),
    ("group.version", 0, 1, 1),
    ("kraft.version", 0, 1, 0),
    ("metadata.version", 7, 30, 30),
    ("share.version", 0, 1, 1),
    ("streams.version", 0, 1, 1),
    ("transaction.version", 0, 2, 2),
];

/// What the embedded broker does not offer, by reason.
const NOT_OFFERED: [(&str, &[i16]); 2] = [
    ("share groups are a later issue", &[76, 77, 78, 79, 83, 84, 85, 86, 87, 90, 91, 92]),
    ("groups of Kafka Streams are a later issue", &[88, 89]),
];

/// Features that the embedded broker does not have, with the reason.
const WITHOUT: [(&str, &str); 2] = [
    ("share.version", "share groups are a later issue"),
    ("streams.version", "groups of Kafka Streams are a later issue"),
];

async fn ask(connection: &mut Connection, version: i16) -> ApiVersionsResponse {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("oracle"))
        .with_client_software_version(text("1.0"));
    let response = connection.call(version, &request).await;
    assert_eq!((response.error_code, response.throttle_time_ms), (0, 0), "version {version}");
    response
}

async fn every_version_offers_what_kafka_4_3_1_offers(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_3_1) {
        // What older ones offer is their own; the cases ask them before they use it.
        return;
    }
    let is_missing = |key: i16| NOT_OFFERED.iter().any(|(_, keys)| keys.contains(&key));
    let expected: Vec<_> =
        KAFKA_4_3_1.into_iter().filter(|(key, ..)| broker.is_real() || !is_missing(*key)).collect();
    let mut connection = broker.connect().await;
    for version in 0..=4 {
        let response = ask(&mut connection, version).await;
        let offered = response.api_keys.iter();
        let offered: Vec<_> = offered.map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(offered, expected, "version {version}");
    }
}

async fn a_lowest_level_of_zero_is_told_from_version_4_on(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_3_1) {
        // Features and levels grow with the release.
        return;
    }
    let is_missing = |name: &str| !broker.is_real() && WITHOUT.iter().any(|(other, _)| *other == name);
    let expected: Vec<_> = FEATURES.into_iter().filter(|(name, ..)| !is_missing(name)).collect();
    let mut connection = broker.connect().await;
    for version in 3..=4 {
        let response = ask(&mut connection, version).await;
        let mut supported: Vec<_> = response
            .supported_features
            .iter()
            .map(|feature| (&*feature.name, feature.min_version, feature.max_version))
            .collect();
        supported.sort_unstable();
        let known: Vec<_> = expected
            .iter()
            .map(|(name, min, max, _)| (*name, *min, *max))
            .filter(|(_, min, _)| version >= 4 || *min > 0)
            .collect();
        assert_eq!(supported, known, "version {version}");
        let mut finalized: Vec<_> = response
            .finalized_features
            .iter()
            .map(|feature| (&*feature.name, feature.min_version_level, feature.max_version_level))
            .collect();
        finalized.sort_unstable();
        let in_force: Vec<_> = expected
            .iter()
            .map(|(name, .., level)| (*name, *level, *level))
            .filter(|(_, level, _)| *level > 0)
            .collect();
        assert_eq!(finalized, in_force, "version {version}");
        assert!(response.finalized_features_epoch >= 0);
    }
}

async fn an_unknown_version_of_api_versions_is_answered_in_version_0(broker: &Broker) {
    let mut connection = broker.connect().await;
    connection.send_raw(b"\x00\x00\x00\x0e\x00\x12\x00\x63\x00\x00\x00\x09\x00\x03abc\x00").await;
    let answer = connection.receive_frame().await.expect("an answer");
    assert_eq!(answer, &b"\x00\x00\x00\x09\x00\x23\x00\x00\x00\x01\x00\x12\x00\x00\x00\x04"[..]);
}

async fn a_nameless_client_is_refused(broker: &Broker) {
    let mut connection = broker.connect().await;
    let request = ApiVersionsRequest::default().with_client_software_version(text("1"));
    let response = connection.call(3, &request).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::InvalidRequest);
    assert!(response.api_keys.is_empty());
}
