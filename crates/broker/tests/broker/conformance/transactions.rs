//! The coordinator's side: InitProducerId, AddPartitionsToTxn, EndTxn, and what describes and lists transactions.

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, ListTransactionsRequest, ProducerId,
};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use crate::support::*;
use crate::transactional::*;

cases! {
    every_version_initialises_with_the_next_epoch,
    a_client_goes_on_by_its_epoch_and_others_are_fenced,
    initialising_aborts_the_transaction_of_the_client_before,
    a_client_that_goes_on_in_its_transaction_aborts_it,
    timeouts_are_positive_and_within_the_brokers_limit,
    a_transaction_that_takes_too_long_is_aborted,
    every_version_adds_partitions,
    many_transactions_are_added_to_at_once,
    a_missing_partition_fails_the_whole_addition,
    additions_are_checked_by_id_and_epoch,
    verification_tells_what_is_in_the_transaction,
    every_version_ends_a_transaction,
    ends_without_an_epoch_bump_follow_the_state,
    ends_with_an_epoch_bump_follow_the_state,
    a_description_follows_the_transaction,
    what_cannot_be_described_says_why,
    lists_are_filtered_by_state_producer_and_duration,
    lists_are_filtered_by_pattern,
}

const FENCED: ErrorCode = ErrorCode::ProducerFenced;
const INVALID_STATE: ErrorCode = ErrorCode::InvalidTxnState;

async fn topic_of(broker: &Broker, partitions: i32) -> String {
    let topic = unique("transactions");
    broker.connect().await.create_topic_with(&topic, partitions, &[]).await;
    topic
}

async fn every_version_initialises_with_the_next_epoch(broker: &Broker) {
    let mut client = Transactional::start(broker).await;
    let (id, mut epoch) = client.producer;
    assert_eq!(epoch, 0);
    for version in broker.versions(ApiKey::InitProducerId, 0..=5) {
        epoch += 1;
        assert_eq!(client.try_init(version, (-1, -1), 60_000).await, Ok((id, epoch)), "version {version}");
    }
}

async fn a_client_goes_on_by_its_epoch_and_others_are_fenced(broker: &Broker) {
    let mut client = Transactional::start(broker).await;
    let (id, _) = client.producer;
    assert_eq!(client.try_init(3, (id, 0), 60_000).await, Ok((id, 1)));
    assert_eq!(client.try_init(3, (id, 0), 60_000).await, Ok((id, 1)), "its answer may have been lost");
    assert_eq!(client.try_init(3, (id, 1), 60_000).await, Ok((id, 2)));
    assert_eq!(client.try_init(4, (id, 0), 60_000).await, Err(FENCED));
    assert_eq!(client.try_init(3, (id, 0), 60_000).await, Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(client.try_init(4, (id + 1_000_000, 2), 60_000).await, Err(FENCED));
    assert_eq!(client.try_init(4, (id, -1), 60_000).await, Err(ErrorCode::InvalidRequest));
    let mut rival = client.rival(broker).await;
    assert_eq!(rival.try_init(4, (-1, -1), 60_000).await, Ok((id, 3)));
    assert_eq!(client.try_init(4, (id, 2), 60_000).await, Err(FENCED));
}

async fn initialising_aborts_the_transaction_of_the_client_before(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    client.begin(&topic).await;
    let mut rival = client.rival(broker).await;
    let concurrent = ErrorCode::ConcurrentTransactions;
    assert_eq!(rival.try_init(4, (-1, -1), 60_000).await, Err(concurrent), "the abort is under way");
    rival.settle().await;
    assert_eq!(&*rival.describe().await.transaction_state, "CompleteAbort");
    rival.init().await;
    assert_eq!(rival.producer, (client.producer.0, 2), "the fence took an epoch, too");
    assert_eq!(client.add(3, &topic, &[0]).await, [FENCED]);
    assert_eq!(client.add(1, &topic, &[0]).await, [ErrorCode::InvalidProducerEpoch]);
    assert_eq!(client.try_end(4, client.producer, true).await, Err(FENCED));
    assert_eq!(client.try_end(1, client.producer, true).await, Err(ErrorCode::InvalidProducerEpoch));
}

async fn a_client_that_goes_on_in_its_transaction_aborts_it(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    let (id, epoch) = client.producer;
    client.begin(&topic).await;
    let concurrent = Err(ErrorCode::ConcurrentTransactions);
    assert_eq!(client.try_init(4, (id, epoch), 60_000).await, concurrent, "the abort is under way");
    client.settle().await;
    let again = client.try_init(4, (id, epoch), 60_000).await;
    // With an epoch bump the abort remembers whose epoch it bumped; before, it looked like another client's.
    let expected = if broker.is_at_least(KafkaVersion::V4_1_2) { Ok((id, epoch + 1)) } else { Err(FENCED) };
    assert_eq!(again, expected);
}

async fn timeouts_are_positive_and_within_the_brokers_limit(broker: &Broker) {
    let mut client = Transactional::start(broker).await;
    for (timeout_ms, is_valid) in [(1, true), (900_000, true), (900_001, false), (0, false), (-1, false)] {
        let initialised = client.try_init(4, (-1, -1), timeout_ms).await;
        let error = initialised.err().unwrap_or(ErrorCode::None);
        let expected = if is_valid { ErrorCode::None } else { ErrorCode::InvalidTransactionTimeout };
        assert_eq!(error, expected, "{timeout_ms}");
    }
    let mut nameless = Transactional::of(broker, unique("transaction")).await;
    nameless.id = String::new();
    assert_eq!(nameless.try_init(4, (-1, -1), 60_000).await, Err(ErrorCode::InvalidRequest));
}

async fn a_transaction_that_takes_too_long_is_aborted(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    let producer = client.try_init(4, (-1, -1), 1).await.expect("the shortest timeout there is");
    client.producer = producer;
    client.begin(&topic).await;
    let aborted = async {
        while &*client.describe().await.transaction_state != "CompleteAbort" {
            broker.expire_transactions();
        }
    };
    tokio::time::timeout(PATIENCE, aborted).await.expect("a check comes every ten seconds");
    let described = client.describe().await;
    assert_eq!((described.producer_id.0, described.producer_epoch), (producer.0, producer.1 + 1));
    assert_eq!(client.try_end(4, producer, true).await, Err(FENCED));
    assert_eq!(client.add(3, &topic, &[0]).await, [FENCED]);
    let state =
        producer_state(&mut client.connection, &topic, producer.0).await.expect("a marker was written");
    assert_eq!(state.producer_epoch, i32::from(producer.1) + 1);
}

async fn every_version_adds_partitions(broker: &Broker) {
    let topic = topic_of(broker, 3).await;
    for version in broker.versions(ApiKey::AddPartitionsToTxn, 0..=5) {
        let mut client = Transactional::start(broker).await;
        let added = client.add(version, &topic, &[0, 2]).await;
        assert_eq!(added, [ErrorCode::None; 2], "version {version}");
        assert_eq!(client.add(version, &topic, &[0]).await, [ErrorCode::None], "again");
        let mut partitions = client.describe().await.topics.remove(0).partitions;
        partitions.sort_unstable();
        assert_eq!(partitions, [0, 2], "version {version}");
    }
}

async fn many_transactions_are_added_to_at_once(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let good = Transactional::start(broker).await;
    let mut fenced = Transactional::start(broker).await;
    fenced.producer.1 += 1;
    let transaction = |client: &Transactional| {
        let topics =
            vec![AddPartitionsToTxnTopic::default().with_name(name(&topic)).with_partitions(vec![0])];
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(transactional_id(&client.id))
            .with_producer_id(client.producer.0.into())
            .with_producer_epoch(client.producer.1)
            .with_topics(topics)
    };
    let request =
        AddPartitionsToTxnRequest::default().with_transactions([&good, &fenced].map(transaction).to_vec());
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::AddPartitionsToTxn, 4..=5) {
        let response = connection.call(version, &request).await;
        let error_of = |id: &str| {
            let mut results = response.results_by_transaction.iter();
            let result = results.find(|result| *result.transactional_id.0 == *id).expect("each is answered");
            ErrorCode::from(result.topic_results[0].results_by_partition[0].partition_error_code)
        };
        assert_eq!(
            (error_of(&good.id), error_of(&fenced.id)),
            (ErrorCode::None, FENCED),
            "version {version}"
        );
    }
}

async fn a_missing_partition_fails_the_whole_addition(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    for version in broker.versions(ApiKey::AddPartitionsToTxn, 0..=5) {
        let added = client.add(version, &topic, &[0, 1]).await;
        let expected = [ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition];
        assert_eq!(added, expected, "version {version}");
    }
    assert_eq!(&*client.describe().await.transaction_state, "Empty");
}

async fn additions_are_checked_by_id_and_epoch(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    let (id, epoch) = client.producer;
    for (producer, error, older) in [
        ((id + 1_000_000, epoch), ErrorCode::InvalidProducerIdMapping, ErrorCode::InvalidProducerIdMapping),
        ((id, epoch + 1), FENCED, ErrorCode::InvalidProducerEpoch),
    ] {
        client.producer = producer;
        for version in broker.versions(ApiKey::AddPartitionsToTxn, 0..=5) {
            let expected = if version < 2 { older } else { error };
            assert_eq!(client.add(version, &topic, &[0]).await, [expected], "version {version}");
        }
        let expected = (Err(error), Err(older));
        let ends = (client.try_end(4, producer, true).await, client.try_end(1, producer, true).await);
        assert_eq!(ends, expected);
    }
    let mut stranger = Transactional::of(broker, unique("transaction")).await;
    stranger.producer = (id, epoch);
    assert_eq!(stranger.add(3, &topic, &[0]).await, [ErrorCode::InvalidProducerIdMapping]);
    stranger.id = String::new();
    assert_eq!(stranger.add(3, &topic, &[0]).await, [ErrorCode::InvalidRequest]);
    assert_eq!(stranger.try_end(4, (id, epoch), true).await, Err(ErrorCode::InvalidRequest));
}

async fn verification_tells_what_is_in_the_transaction(broker: &Broker) {
    let topic = topic_of(broker, 2).await;
    let mut client = Transactional::start(broker).await;
    client.begin(&topic).await;
    // Before 3.8 there was no error of its own for this; 3.9 and later have it.
    for version in broker.versions(ApiKey::AddPartitionsToTxn, 4..=5) {
        let verified = client.verify(version, &topic, &[0, 1]).await;
        assert_eq!(verified, [ErrorCode::None, ErrorCode::TransactionAbortable], "version {version}");
    }
    client.producer.1 += 1;
    assert_eq!(client.verify(4, &topic, &[0]).await, [FENCED]);
    client.producer.0 += 1_000_000;
    assert_eq!(client.verify(4, &topic, &[0]).await, [ErrorCode::InvalidProducerIdMapping]);
}

async fn every_version_ends_a_transaction(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    for version in broker.versions(ApiKey::EndTxn, 0..=5) {
        let mut client = Transactional::start(broker).await;
        let (id, mut epoch) = client.producer;
        for committed in [true, false] {
            client.begin(&topic).await;
            client.end(version, committed).await;
            epoch += i16::from(version >= 5);
            assert_eq!(client.producer, (id, epoch), "version {version}");
            let described = client.describe().await;
            let state = if committed { "CompleteCommit" } else { "CompleteAbort" };
            assert_eq!((&*described.transaction_state, described.producer_epoch), (state, epoch));
        }
    }
}

async fn ends_without_an_epoch_bump_follow_the_state(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    let producer = client.producer;
    for committed in [true, false] {
        assert_eq!(client.try_end(4, producer, committed).await, Err(INVALID_STATE), "nothing has begun");
    }
    for committed in [true, false] {
        client.begin(&topic).await;
        client.end(4, committed).await;
        assert_eq!(client.try_end(4, producer, committed).await, Ok((-1, -1)), "again");
        assert_eq!(client.try_end(4, producer, !committed).await, Err(INVALID_STATE));
    }
}

async fn ends_with_an_epoch_bump_follow_the_state(broker: &Broker) {
    if !broker.offers(ApiKey::EndTxn, 5) {
        return;
    }
    let topic = topic_of(broker, 1).await;
    let before = |(id, epoch): Producer| (id, epoch - 1);
    let mut client = Transactional::start(broker).await;
    assert_eq!(client.try_end(5, client.producer, true).await, Err(INVALID_STATE), "nothing has begun");
    assert_eq!(client.try_end(5, before(client.producer), true).await, Err(FENCED));
    client.end(5, false).await;
    assert_eq!(client.producer.1, 1, "an abort of nothing bumps the epoch");
    for committed in [true, false] {
        client.begin_with_bump(&topic).await;
        client.end(5, committed).await;
        let current = client.producer;
        assert_eq!(client.try_end(5, before(current), committed).await, Ok(current), "again");
        assert_eq!(client.try_end(5, before(current), !committed).await, Err(INVALID_STATE));
        assert_eq!(client.try_end(5, before(before(current)), committed).await, Err(FENCED));
        assert_eq!(client.try_end(5, current, true).await, Err(INVALID_STATE));
        client.end(5, false).await;
        assert_eq!(client.producer.1, current.1 + 1, "an abort of nothing bumps the epoch");
    }
}

async fn a_description_follows_the_transaction(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    let empty = client.describe().await;
    assert_eq!((empty.error_code, &*empty.transaction_state), (0, "Empty"));
    assert_eq!((empty.transaction_timeout_ms, empty.transaction_start_time_ms), (60_000, -1));
    assert_eq!((empty.producer_id.0, empty.producer_epoch), client.producer);
    assert!(empty.topics.is_empty());
    let before = now_ms();
    client.begin(&topic).await;
    let ongoing = client.describe().await;
    assert_eq!(&*ongoing.transaction_state, "Ongoing");
    let started = ongoing.transaction_start_time_ms;
    assert!((before - 1..=now_ms() + 1).contains(&started), "{started} is not after {before}");
    assert_eq!((&*ongoing.topics[0].topic.0, &*ongoing.topics[0].partitions), (&*topic, &[0][..]));
    client.end(4, true).await;
    let complete = client.describe().await;
    assert_eq!(&*complete.transaction_state, "CompleteCommit");
    assert_eq!((complete.transaction_start_time_ms, complete.topics.len()), (started, 0));
}

async fn what_cannot_be_described_says_why(broker: &Broker) {
    let mut client = Transactional::start(broker).await;
    let unknown = unique("unknown");
    let request = DescribeTransactionsRequest::default()
        .with_transactional_ids([&client.id, &unknown, ""].map(transactional_id).to_vec());
    let response = client.connection.call(0, &request).await;
    let errors: Vec<_> =
        response.transaction_states.iter().map(|state| ErrorCode::from(state.error_code)).collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::TransactionalIdNotFound, ErrorCode::InvalidRequest]);
}

async fn lists_are_filtered_by_state_producer_and_duration(broker: &Broker) {
    let topic = topic_of(broker, 1).await;
    let mut client = Transactional::start(broker).await;
    client.begin(&topic).await;
    let (producer_id, id) = (ProducerId(client.producer.0), client.id.clone());
    let mut is_listed = async |version: i16, request: ListTransactionsRequest| {
        let response = client.connection.call(version, &request).await;
        assert_eq!(response.error_code, 0, "version {version}");
        let listed = response.transaction_states.iter().find(|state| *state.transactional_id.0 == *id);
        if let Some(listed) = listed {
            assert_eq!((listed.producer_id, &*listed.transaction_state), (producer_id, "Ongoing"));
        }
        let unknown: Vec<_> = response.unknown_state_filters.iter().map(|name| name.to_string()).collect();
        (listed.is_some(), unknown)
    };
    let all = || ListTransactionsRequest::default().with_duration_filter(-1);
    for version in broker.versions(ApiKey::ListTransactions, 0..=2) {
        assert!(is_listed(version, all()).await.0);
        let states = |names: &[&str]| all().with_state_filters(names.iter().copied().map(text).collect());
        assert_eq!(is_listed(version, states(&["Ongoing", "Empty"])).await, (true, vec![]));
        assert_eq!(is_listed(version, states(&["CompleteCommit", "Dead"])).await, (false, vec![]));
        let (listed, unknown) = is_listed(version, states(&["Unheard", "ongoing"])).await;
        assert_eq!((listed, unknown.len()), (false, 2), "names are exact");
        assert!(is_listed(version, all().with_producer_id_filters(vec![producer_id])).await.0);
        let another = ProducerId(producer_id.0 + 1_000_000);
        assert!(!is_listed(version, all().with_producer_id_filters(vec![another])).await.0);
    }
    for version in broker.versions(ApiKey::ListTransactions, 1..=2) {
        assert!(!is_listed(version, all().with_duration_filter(600_000)).await.0);
    }
}

async fn lists_are_filtered_by_pattern(broker: &Broker) {
    if !broker.offers(ApiKey::ListTransactions, 2) {
        return;
    }
    let mut client = Transactional::start(broker).await;
    let id = client.id.clone();
    let mut ask = async |pattern: &str| {
        let request = ListTransactionsRequest::default()
            .with_duration_filter(-1)
            .with_transactional_id_pattern(Some(text(pattern)));
        let response = client.connection.call(2, &request).await;
        let is_listed = response.transaction_states.iter().any(|state| *state.transactional_id.0 == *id);
        (ErrorCode::from(response.error_code), is_listed)
    };
    let whole = id.replace('-', "[-]");
    for (pattern, is_listed) in [
        ("", true),
        (&*whole, true),
        ("transaction-.*", true),
        ("transaction", false),
        (".*|", true),
        ("x.*", false),
    ] {
        assert_eq!(ask(pattern).await, (ErrorCode::None, is_listed), "{pattern}");
    }
    assert_eq!(ask("(").await, (ErrorCode::InvalidRegularExpression, false));
}
