//! Quotas in force: answers that ask for silence, and connections that are not heard (KIP-13, 55, 124, 219, 599, 612).
//!
//! All are the same user here, so a case limits client ids that are its own. The one that limits the user has others wait.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest, ListGroupsRequest,
    MetadataRequest,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use milena_protocol::{ApiKey, ErrorCode};
use tokio::sync::RwLock;

use crate::support::*;

cases! {
    a_producer_that_sends_too_much_is_told_to_be_silent_and_not_heard,
    a_producer_without_answers_is_not_heard_either,
    a_consumer_that_fetches_too_much_gets_nothing,
    a_fetch_is_not_larger_than_what_its_quota_allows_at_once,
    a_fetch_that_is_put_off_leaves_its_session_as_it_was,
    the_most_specific_quota_holds,
    requests_that_take_too_much_time_are_paid_for_whatever_they_ask,
    topics_are_not_created_or_deleted_beyond_the_quota,
    older_clients_may_exceed_the_quota_of_topics_and_are_muted_for_it,
    an_address_that_connects_too_often_is_turned_away,
}

/// Who all are.
const USER: Option<&str> = Some("ANONYMOUS");

/// Held for writing while a quota is in force that concerns everybody.
static EVERYBODY: RwLock<()> = RwLock::const_new(());

/// A new client counts for so long from its first request on: all windows but one.
const WINDOWS_MS: f64 = 10_000.0;

type Entity<'a> = &'a [(&'static str, Option<&'a str>)];

fn entry(entity: Entity<'_>, key: &str, value: Option<f64>) -> EntryData {
    let part = |&(kind, name): &(&'static str, Option<&str>)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    let op = OpData::default().with_key(text(key)).with_remove(value.is_none());
    let op = op.with_value(value.unwrap_or_default());
    EntryData::default().with_entity(entity.iter().map(part).collect()).with_ops(vec![op])
}

/// Sets a quota, or removes it, and returns when it is in force.
///
/// A real Kafka takes a moment, and brings what was set at the same time into force in any order; but what was set after
/// one of them has been seen to be in force comes after all of them.
async fn set(broker: &Broker, entity: Entity<'_>, key: &str, value: Option<f64>) {
    set_with_probe(broker, vec![entry(entity, key, value)]).await;
    set_with_probe(broker, vec![]).await;
}

/// Sets quotas and one for nobody else, whatever holds for all, and returns when that one is in force.
async fn set_with_probe(broker: &Broker, mut entries: Vec<EntryData>) {
    let probe = unique("probe");
    entries.push(entry(&[("user", USER), ("client-id", Some(&probe))], "producer_byte_rate", Some(1.0)));
    let request = AlterClientQuotasRequest::default().with_entries(entries);
    let response = broker.connect().await.call(1, &request).await;
    assert!(response.entries.iter().all(|entry| entry.error_code == 0), "{:?}", response.entries);
    let in_force = async {
        // The one record that it sends is for a topic that is not there; its bytes count all the same.
        while produce(&mut broker.connect().await.with_client_id(&probe), "no-such-topic", 1).await == 0 {}
    };
    tokio::time::timeout(PATIENCE, in_force).await.expect("in force in time");
}

/// A batch of one record of so many bytes.
fn batch(bytes: usize) -> Bytes {
    BatchOf { value: vec![b'v'; bytes].into(), ..BatchOf::records(1) }.bytes()
}

/// Sends so many bytes; for how long to be silent.
async fn produce(connection: &mut Connection, topic: &str, bytes: usize) -> i32 {
    connection.call(9, &produce_request(topic, 0, -1, batch(bytes))).await.throttle_time_ms
}

/// For how long a new client is to be silent after it has sent or fetched so many bytes.
fn silence_ms(bytes: usize, bound: f64) -> i32 {
    (bytes as f64 / bound * 1000.0 - WINDOWS_MS).round() as i32
}

/// Asks for something, and sees that the answer comes not before the time that began at `since`.
async fn assert_not_heard(connection: &mut Connection, since: Instant, throttle_time_ms: i32) {
    let response = connection.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 0);
    let silence = since.elapsed();
    assert!(
        silence >= Duration::from_millis(throttle_time_ms as u64),
        "{silence:?} of {throttle_time_ms} ms"
    );
}

async fn a_producer_that_sends_too_much_is_told_to_be_silent_and_not_heard(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-produce");
    broker.connect().await.create_topic(&topic, &[]).await;
    for version in broker.versions(ApiKey::Produce, 3..=12) {
        let client = &*unique("producer");
        set(broker, &[("client-id", Some(client))], "producer_byte_rate", Some(1000.0)).await;
        let mut connection = broker.connect().await.with_client_id(client);
        let request = produce_request(&topic, 0, -1, batch(10_200));
        let expected = silence_ms(connection.request_bytes(version, &request), 1000.0);
        let asked = Instant::now();
        let response = connection.call(version, &request).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "it is written");
        assert_eq!(response.throttle_time_ms, expected, "version {version}");
        assert_not_heard(&mut connection, asked, expected).await;
    }
}

async fn a_producer_without_answers_is_not_heard_either(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-unanswered");
    broker.connect().await.create_topic(&topic, &[]).await;
    let client = &*unique("unanswered");
    set(broker, &[("client-id", Some(client))], "producer_byte_rate", Some(1000.0)).await;
    let mut connection = broker.connect().await.with_client_id(client);
    let request = produce_request(&topic, 0, 0, batch(10_200));
    let expected = silence_ms(connection.request_bytes(9, &request), 1000.0);
    let asked = Instant::now();
    connection.send(9, &request).await;
    assert_not_heard(&mut connection, asked, expected).await;
}

/// Fetches partition 0 from the start; the answer, and the bytes that the quota counts of it.
async fn fetch(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    change: impl FnOnce(FetchRequest) -> FetchRequest,
) -> (FetchResponse, usize) {
    let partition = FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let request = change(fetch_request(topic, vec![partition]));
    connection.send(version, &request).await;
    let mut frame = connection.receive_frame().await.expect("an answer");
    let header_version = FetchResponse::header_version(version);
    kafka_protocol::messages::ResponseHeader::decode(&mut frame, header_version).expect("a header");
    // The length before it counts, too.
    let bytes = 4 + frame.len();
    (FetchResponse::decode(&mut frame, version).expect("decoded"), bytes)
}

async fn a_consumer_that_fetches_too_much_gets_nothing(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-fetch");
    let mut free = broker.connect().await;
    free.create_topic(&topic, &[]).await;
    produce(&mut free, &topic, 10_200).await;
    for version in broker.versions(ApiKey::Fetch, 4..=12) {
        let (unlimited, bytes) = fetch(&mut free, version, &topic, |request| request).await;
        assert_eq!((unlimited.throttle_time_ms, unlimited.responses.len()), (0, 1));
        let client = &*unique("consumer");
        set(broker, &[("client-id", Some(client))], "consumer_byte_rate", Some(1000.0)).await;
        let mut connection = broker.connect().await.with_client_id(client);
        let asked = Instant::now();
        let (limited, _) = fetch(&mut connection, version, &topic, |request| request).await;
        assert_eq!(limited.throttle_time_ms, silence_ms(bytes, 1000.0), "version {version}");
        assert_eq!((limited.error_code, limited.session_id, limited.responses.len()), (0, 0, 0));
        assert_not_heard(&mut connection, asked, limited.throttle_time_ms).await;
        // What was not given was not counted either.
        let (given, _) = fetch(&mut connection, version, &topic, |request| request).await;
        assert_eq!((given.throttle_time_ms, given.responses.len()), (0, 1), "version {version}");
    }
}

async fn a_fetch_is_not_larger_than_what_its_quota_allows_at_once(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-cap");
    let mut free = broker.connect().await;
    free.create_topic(&topic, &[]).await;
    for _ in 0..10 {
        produce(&mut free, &topic, 2000).await;
    }
    let client = &*unique("capped");
    set(broker, &[("client-id", Some(client))], "consumer_byte_rate", Some(1000.0)).await;
    let mut connection = broker.connect().await.with_client_id(client);
    let fetched = async {
        loop {
            let (response, _) = fetch(&mut connection, 12, &topic, |request| request).await;
            // A real Kafka cuts the last batch; what is around the records may then be too much, once.
            if let Some(topic) = response.responses.first() {
                break topic.partitions[0].records.as_ref().map_or(0, Bytes::len);
            }
        }
    };
    let bytes = tokio::time::timeout(PATIENCE, fetched).await.expect("fetched in time");
    assert!((8000..=10_000).contains(&bytes), "{bytes}");
}

async fn a_fetch_that_is_put_off_leaves_its_session_as_it_was(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-session");
    let client = &*unique("session");
    let entity: Entity<'_> = &[("client-id", Some(client))];
    let mut free = broker.connect().await;
    free.create_topic(&topic, &[]).await;
    let connect = async || broker.connect().await.with_client_id(client);
    let (begun, _) = fetch(&mut connect().await, 12, &topic, |request| request.with_session_epoch(0)).await;
    assert_ne!(begun.session_id, 0);
    produce(&mut free, &topic, 10_200).await;
    set(broker, entity, "consumer_byte_rate", Some(1000.0)).await;
    let next = |session_epoch| {
        let session = fetch_request(&topic, vec![]).with_topics(vec![]).with_session_id(begun.session_id);
        session.with_session_epoch(session_epoch)
    };
    let put_off = connect().await.call(12, &next(1)).await;
    assert!(put_off.throttle_time_ms > 0);
    assert_eq!((put_off.error_code, put_off.session_id, put_off.responses.len()), (0, begun.session_id, 0));
    set(broker, entity, "consumer_byte_rate", None).await;
    let again = connect().await.call(12, &next(1)).await;
    assert_eq!(
        ErrorCode::from(again.error_code),
        ErrorCode::InvalidFetchSessionEpoch,
        "its epoch has gone by"
    );
    let given = connect().await.call(12, &next(2)).await;
    assert_eq!((given.throttle_time_ms, given.error_code, given.session_id), (0, 0, begun.session_id));
    assert_eq!(base_offsets(&given.responses[0].partitions[0].records), [0]);
}

async fn the_most_specific_quota_holds(broker: &Broker) {
    let _everybody = EVERYBODY.write().await;
    // Enough for all that is done at the same time.
    const PLENTY: f64 = 1e12;
    let client = &*unique("precedence");
    let client_id = ("client-id", Some(client));
    // From the weakest to the strongest; those for all clients would hold for whoever is at it now.
    let levels: [(Entity<'_>, f64); 6] = [
        (&[client_id], 1000.0),
        (&[("user", None)], PLENTY),
        (&[("user", None), client_id], 900.0),
        (&[("user", USER)], PLENTY),
        (&[("user", USER), ("client-id", None)], PLENTY),
        (&[("user", USER), client_id], 800.0),
    ];
    let mut is_throttled = Vec::new();
    for (entity, bound) in levels {
        set(broker, entity, "producer_byte_rate", Some(bound)).await;
        let mut connection = broker.connect().await.with_client_id(client);
        is_throttled.push(produce(&mut connection, "no-such-topic", 10_200).await > 0);
    }
    // Before anything can fail: they would hold for other cases, too.
    for (entity, _) in levels {
        set(broker, entity, "producer_byte_rate", None).await;
    }
    assert_eq!(is_throttled, levels.map(|(_, bound)| bound < PLENTY));
    let mut connection = broker.connect().await.with_client_id(client);
    assert_eq!(produce(&mut connection, "no-such-topic", 10_200).await, 0);
}

async fn requests_that_take_too_much_time_are_paid_for_whatever_they_ask(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let topic = unique("throttle-time");
    broker.connect().await.create_topic(&topic, &[]).await;
    let client = &*unique("slow");
    set(broker, &[("client-id", Some(client))], "request_percentage", Some(1e-9)).await;
    let connect = async || broker.connect().await.with_client_id(client);
    // It is never longer than a window.
    let throttle_times = [
        ("ApiVersions", connect().await.call(1, &ApiVersionsRequest::default()).await.throttle_time_ms),
        ("Metadata", connect().await.call(12, &MetadataRequest::default()).await.throttle_time_ms),
        ("ListGroups", connect().await.call(2, &ListGroupsRequest::default()).await.throttle_time_ms),
        ("FindCoordinator", {
            let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("any")]);
            connect().await.call(4, &request).await.throttle_time_ms
        }),
        ("CreateTopics", {
            let create = CreatableTopic::default().with_name(name("not valid"));
            let request = CreateTopicsRequest::default().with_topics(vec![create]).with_timeout_ms(10_000);
            connect().await.call(7, &request).await.throttle_time_ms
        }),
        ("Produce", produce(&mut connect().await, &topic, 100).await),
    ];
    for (api, throttle_time_ms) in throttle_times {
        assert_eq!(throttle_time_ms, 1000, "{api}");
    }
    // A question for a coordinator that is refused is not told so, unless it is about one of several keys.
    let find = async |version: i16, key_type: i8| {
        let request = FindCoordinatorRequest::default().with_key_type(key_type);
        let request = match version {
            4.. => request.with_coordinator_keys(vec![text("any")]),
            _ => request.with_key(text("any")),
        };
        let mut connection = connect().await;
        let asked = Instant::now();
        let response = connection.call(version, &request).await;
        let error = response.coordinators.first().map_or(response.error_code, |key| key.error_code);
        assert_eq!(ErrorCode::from(error), ErrorCode::InvalidRequest, "version {version}");
        assert_not_heard(&mut connection, asked, 1000).await;
        response.throttle_time_ms
    };
    for version in broker.versions(ApiKey::FindCoordinator, 1..=6) {
        assert_eq!(find(version, 9).await, 0, "version {version}");
    }
    for version in [3, 4] {
        let expected = if version < 4 { 0 } else { 1000 };
        assert_eq!(find(version, 2).await, expected, "version {version}");
    }
    let (fetched, _) = fetch(&mut connect().await, 12, &topic, |request| request).await;
    assert_eq!((fetched.throttle_time_ms, fetched.responses.len()), (1000, 0));

    let mut connection = connect().await;
    let asked = Instant::now();
    connection.send(9, &produce_request(&topic, 0, 0, batch(100))).await;
    connection.call(0, &ApiVersionsRequest::default()).await;
    assert!(asked.elapsed() < Duration::from_millis(1000), "what is not answered is free");
    assert_not_heard(&mut connection, asked, 1000).await;
}

/// How a topic is created, deleted or extended: its error, and for how long to be silent.
struct Topics<'a> {
    broker: &'a Broker,
    client: &'a str,
}

impl Topics<'_> {
    async fn connect(&self) -> Connection {
        self.broker.connect().await.with_client_id(self.client)
    }

    async fn create(&self, version: i16, topic: &str, partitions: i32, validate_only: bool) -> (&str, i32) {
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![new])
            .with_timeout_ms(10_000)
            .with_validate_only(validate_only);
        let response = self.connect().await.call(version, &request).await;
        (ErrorCode::from(response.topics[0].error_code).name(), response.throttle_time_ms)
    }

    async fn delete(&self, version: i16, topic: &str) -> (&str, i32) {
        let request = match version {
            ..6 => DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]),
            _ => {
                let topic = DeleteTopicState::default().with_name(Some(name(topic)));
                DeleteTopicsRequest::default().with_topics(vec![topic])
            }
        };
        let response = self.connect().await.call(version, &request.with_timeout_ms(10_000)).await;
        (ErrorCode::from(response.responses[0].error_code).name(), response.throttle_time_ms)
    }

    async fn extend(&self, version: i16, topic: &str, count: i32) -> (&str, i32) {
        let topic = CreatePartitionsTopic::default().with_name(name(topic)).with_count(count);
        let topic = topic.with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let response = self.connect().await.call(version, &request).await;
        (ErrorCode::from(response.results[0].error_code).name(), response.throttle_time_ms)
    }
}

const EXCEEDED: &str = "THROTTLING_QUOTA_EXCEEDED";

async fn topics_are_not_created_or_deleted_beyond_the_quota(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let client = &*unique("creator");
    let topics = Topics { broker, client };
    let free = Topics { broker, client: "free" };
    let (first, other) = (&*unique("quota-first"), &*unique("quota-other"));
    assert_eq!(free.create(7, other, 1, false).await, ("NONE", 0));
    // One partition and a little more at once, and one more every ten seconds.
    set(broker, &[("client-id", Some(client))], "controller_mutation_rate", Some(0.1)).await;
    assert_eq!(topics.create(7, first, 3, false).await, ("NONE", 0), "the last one may be for any number");

    let refused = async |answer: (&str, i32)| {
        assert_eq!(answer.0, EXCEEDED);
        assert!((9_000..=19_000).contains(&answer.1), "{answer:?}");
    };
    refused(topics.create(7, &unique("quota"), 1, false).await).await;
    refused(topics.create(6, &unique("quota"), 1, true).await).await;
    refused(topics.extend(3, other, 2).await).await;
    refused(topics.delete(5, other).await).await;
    refused(topics.delete(6, other).await).await;
    // Whatever else is wrong is told first, and asks for no silence.
    assert_eq!(topics.create(7, first, 1, false).await, ("TOPIC_ALREADY_EXISTS", 0));
    assert_eq!(topics.delete(6, &unique("unknown")).await, ("UNKNOWN_TOPIC_OR_PARTITION", 0));

    // Nor are topics created automatically. What another client has it do afterwards tells that it had the time.
    let (never, later) = (&*unique("quota-never"), &*unique("quota-later"));
    let automatically = |topic: &str| metadata_of(topic).with_allow_auto_topic_creation(true);
    let asked = topics.connect().await.call(12, &automatically(never)).await;
    let code = ErrorCode::from(asked.topics[0].error_code);
    assert_eq!((code, asked.throttle_time_ms), (ErrorCode::UnknownTopicOrPartition, 0));
    let mut connection = broker.connect().await;
    let created =
        async { while connection.call(12, &automatically(later)).await.topics[0].error_code != 0 {} };
    tokio::time::timeout(PATIENCE, created).await.expect("created in time");
    let asked = connection.call(12, &metadata_of(never)).await;
    assert_eq!(ErrorCode::from(asked.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
}

async fn older_clients_may_exceed_the_quota_of_topics_and_are_muted_for_it(broker: &Broker) {
    let _nobody_else = EVERYBODY.read().await;
    let client = &*unique("older");
    let topics = Topics { broker, client };
    let free = Topics { broker, client: "free" };
    let (first, other) = (&*unique("older-first"), &*unique("older-other"));
    assert_eq!(free.create(7, other, 1, false).await, ("NONE", 0));
    broker.connect().await.await_leaders(other, 1).await;
    set(broker, &[("client-id", Some(client))], "controller_mutation_rate", Some(1.0)).await;
    // Eleven at once are free.
    let done = |answer: (&str, i32), at_most_ms: i32| {
        assert_eq!(answer.0, "NONE");
        assert!((at_most_ms - 900..=at_most_ms).contains(&answer.1), "{answer:?} is not {at_most_ms}");
    };
    done(topics.create(5, first, 12, false).await, 1000);
    done(topics.extend(2, other, 3).await, 3000);
    done(topics.delete(4, other).await, 6000);

    let mut connection = topics.connect().await;
    let new = CreatableTopic::default().with_name(name(&unique("older"))).with_num_partitions(1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![new.with_replication_factor(1)])
        .with_validate_only(true)
        .with_timeout_ms(10_000);
    let asked = Instant::now();
    let response = connection.call(5, &request).await;
    done((ErrorCode::from(response.topics[0].error_code).name(), response.throttle_time_ms), 7000);
    assert_not_heard(&mut connection, asked, response.throttle_time_ms).await;
}

async fn an_address_that_connects_too_often_is_turned_away(broker: &Broker) {
    if !cfg!(target_os = "linux") {
        // Elsewhere this machine has no other address of its own.
        return;
    }
    let _nobody_else = EVERYBODY.read().await;
    // One that nobody has connected from lately, in an earlier run.
    let [.., high, low] = now_ms().to_be_bytes();
    let address = IpAddr::from([127, 77, high, low]);
    let entity = address.to_string();
    let entity: Entity<'_> = &[("ip", Some(&entity))];
    set(broker, entity, "connection_creation_rate", Some(1.0)).await;
    let mut served = 0;
    let turned_away = loop {
        let mut connection = broker.connect_from(address).await;
        let since = Instant::now();
        connection.send(0, &ApiVersionsRequest::default()).await;
        match connection.receive_frame().await {
            Some(_) => served += 1,
            None => break since.elapsed(),
        }
    };
    assert!((9..=11).contains(&served), "{served} were served");
    assert!(turned_away >= Duration::from_millis(500), "it is held for a while: {turned_away:?}");
    broker.connect().await.call(0, &ApiVersionsRequest::default()).await;
    set(broker, entity, "connection_creation_rate", None).await;
    broker.connect_from(address).await.call(0, &ApiVersionsRequest::default()).await;
}
