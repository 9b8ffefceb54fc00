//! Brokers that behave as a test tells them: slow down, answer half, answer nonsense, speak old versions.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_client::{Client, Env};
use milena_producer::{Delivery, Producer, ProducerConfig, Record};
use milena_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use milena_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
};
use milena_protocol::{ApiKey, ErrorCode, VersionRange};
use milena_records::{BatchHeader, Batches};

use crate::peer::{Action, Cluster, Network, Received, config};
use crate::support::*;

pub(crate) const BROKER: &str = "broker-1:9092";

/// One broker that answers Produce requests as `produce` says, which is told their numbers from 0.
pub(crate) struct Script {
    pub(crate) network: Network,
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) producer: Producer,
}

impl Script {
    pub(crate) async fn start(
        produce: impl Fn(usize, &Received) -> Action + Send + Sync + 'static,
        configure: impl FnOnce(&mut ProducerConfig),
    ) -> Self {
        Self::start_with_versions(|_, versions| Some(versions), produce, configure).await
    }

    async fn start_with_versions(
        versions: impl Fn(ApiKey, VersionRange) -> Option<VersionRange> + Send + Sync + 'static,
        produce: impl Fn(usize, &Received) -> Action + Send + Sync + 'static,
        configure: impl FnOnce(&mut ProducerConfig),
    ) -> Self {
        let network = Network::default();
        let cluster = Cluster::new(&network, 1);
        cluster.topic(TOPIC, &[(1, 0), (1, 0)]);
        let (produced, next_producer_id) = (AtomicUsize::new(0), AtomicI64::new(7));
        cluster.serve(BROKER, move |request| match request.api() {
            ApiKey::ApiVersions => Some(request.answer_api_versions_with(&versions)),
            ApiKey::InitProducerId => {
                // The last epoch of each id.
                let producer_id = next_producer_id.fetch_add(1, Ordering::Relaxed);
                let response =
                    InitProducerIdResponse { producer_id, producer_epoch: i16::MAX, ..Default::default() };
                Some(request.answer::<InitProducerIdRequest>(&response))
            }
            ApiKey::Produce => Some(produce(produced.fetch_add(1, Ordering::Relaxed), request)),
            _ => None,
        });
        let client = Client::connect(config(BROKER), network.env()).await.expect("the client connects");
        let mut config = ProducerConfig::default();
        configure(&mut config);
        let producer = Producer::new(client.clone(), config).expect("the configuration is valid");
        Self { network, cluster, client, producer }
    }

    pub(crate) async fn send(&self, partition: i32, value: &[u8]) -> Delivery {
        let record = Record::to(TOPIC).partition(partition).value(value);
        self.producer.send(record).await.expect("the record is accepted")
    }
}

/// Everything is written at offset 0, as far as `keep` says for the number of a partition.
pub(crate) fn written(request: &Received, throttle_time_ms: i32, keep: impl Fn(i32) -> bool) -> Bytes {
    let asked: ProduceRequest = request.peek();
    let topics = asked.topic_data.into_iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: (topic.partition_data.iter().filter(|partition| keep(partition.index)))
            .map(|partition| PartitionProduceResponse { index: partition.index, ..Default::default() })
            .collect(),
        ..Default::default()
    });
    let response = ProduceResponse { responses: topics.collect(), throttle_time_ms, ..Default::default() };
    request.encode::<ProduceRequest>(&response)
}

pub(crate) fn all_written(request: &Received) -> Action {
    Action::Answer(written(request, 0, |_| true))
}

/// Partition 0, which is all that was sent, is refused.
pub(crate) fn refused(request: &Received, error_code: ErrorCode) -> Action {
    let asked: ProduceRequest = request.peek();
    let partition = PartitionProduceResponse { error_code, base_offset: -1, ..Default::default() };
    let topic = TopicProduceResponse {
        topic_id: asked.topic_data[0].topic_id,
        partition_responses: vec![partition],
        ..Default::default()
    };
    request.answer::<ProduceRequest>(&ProduceResponse { responses: vec![topic], ..Default::default() })
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_throttles_gets_nothing_for_that_long() {
    patiently(async {
        let arrived = Arc::new(Mutex::new(Vec::<Instant>::new()));
        let noted = arrived.clone();
        let clock = Env::system();
        let answer = move |_, request: &Received| {
            noted.lock().expect("no panic").push(clock.now());
            Action::Answer(written(request, 700, |_| true))
        };
        let script = Script::start(answer, |config| config.linger = ms(0)).await;
        acks(vec![script.send(0, b"1").await]).await;
        acks(vec![script.send(0, b"2").await, script.send(1, b"3").await]).await;
        let arrived = arrived.lock().expect("no panic").clone();
        assert_eq!(arrived.len(), 2, "what waited went together");
        assert!((ms(700)..ms(710)).contains(&(arrived[1] - arrived[0])), "{:?}", arrived[1] - arrived[0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_left_out_of_an_answer_is_sent_again() {
    patiently(async {
        let answer =
            |number, request: &Received| Action::Answer(written(request, 0, |at| at != 1 || number > 0));
        let script = Script::start(answer, |_| {}).await;
        let both = vec![script.send(0, b"1").await, script.send(1, b"2").await];
        acks(both).await;
        assert_eq!(script.network.count(ApiKey::Produce), 2);
    })
    .await;
}

/// Everything is written, and the broker tells an offset behind which there is no room.
#[tokio::test(start_paused = true)]
async fn an_offset_that_no_record_can_have_is_not_passed_on() {
    patiently(async {
        for (base_offset, believed) in
            [(i64::MAX - 2, [i64::MAX - 2, i64::MAX - 1].map(Some)), (i64::MAX - 1, [None; 2])]
        {
            let answer = move |_, request: &Received| {
                let asked: ProduceRequest = request.peek();
                let topic = TopicProduceResponse {
                    topic_id: asked.topic_data[0].topic_id,
                    partition_responses: vec![PartitionProduceResponse { base_offset, ..Default::default() }],
                    ..Default::default()
                };
                let response = ProduceResponse { responses: vec![topic], ..Default::default() };
                request.answer::<ProduceRequest>(&response)
            };
            let script = Script::start(answer, |_| {}).await;
            let both = vec![script.send(0, b"1").await, script.send(0, b"2").await];
            assert_eq!(offsets(&acks(both).await), believed);
        }
    })
    .await;
}

/// What may have been written whole is not split; that several records were refused together is said.
#[tokio::test(start_paused = true)]
async fn a_batch_of_several_records_that_is_too_large_is_not_called_a_record() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            0 => refused(request, ErrorCode::NotLeaderOrFollower),
            _ => refused(request, ErrorCode::MessageTooLarge),
        };
        let script = Script::start(answer, |_| {}).await;
        let (first, _second) = (script.send(0, b"1").await, script.send(0, b"2").await);
        let error = first.await.expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("with 2 records") && text.contains("lower batch_size"), "{text}");
        assert!(error.is_retriable() && error.possibly_written());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_decode_ends_the_connection_and_not_the_delivery() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            0 => {
                let whole = written(request, 0, |_| true);
                let length = whole.len() as i32 - 4 - 9;
                Action::Answer([&length.to_be_bytes()[..], &whole[4..whole.len() - 9]].concat().into())
            }
            _ => all_written(request),
        };
        let script = Script::start(answer, |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        assert_eq!(script.network.count(ApiKey::Produce), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn brokers_of_kafka_2_1_are_spoken_to_in_their_versions() {
    patiently(async {
        let versions = |api, range: VersionRange| {
            let max = match api {
                ApiKey::Produce => 7,
                ApiKey::Metadata => 7,
                ApiKey::InitProducerId => 1,
                _ => range.max,
            };
            Some(VersionRange { max: range.max.min(max), ..range })
        };
        let script = Script::start_with_versions(versions, |_, request| all_written(request), |_| {}).await;
        acks(vec![script.send(0, b"1").await, script.send(1, b"2").await]).await;
        let spoken: Vec<_> = script
            .network
            .requests()
            .iter()
            .filter(|seen| seen.api == ApiKey::Produce)
            .map(|seen| seen.version)
            .collect();
        assert_eq!(spoken, [7]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_the_producer_gets_the_next_epoch() {
    patiently(async {
        // Brokers before 2.5 forget a producer with its last record (KIP-360).
        let answer = |number, request: &Received| match number {
            1 => refused(request, ErrorCode::UnknownProducerId),
            _ => all_written(request),
        };
        let script = Script::start(answer, |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        acks(vec![script.send(0, b"2").await]).await;
        assert_eq!(script.network.count(ApiKey::Produce), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn used_up_epochs_bring_another_producer_id() {
    patiently(async {
        let stamps = Arc::new(Mutex::new(Vec::new()));
        let noted = stamps.clone();
        let answer = move |number, request: &Received| {
            let asked: ProduceRequest = request.peek();
            let records =
                asked.topic_data[0].partition_data[0].records.clone().expect("records").into_bytes();
            let batch = Batches::new(records).next().expect("a batch").expect("whole");
            let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = *batch.header();
            noted.lock().expect("no panic").push((producer_id, producer_epoch, base_sequence));
            match number {
                1 => refused(request, ErrorCode::InvalidRecord),
                _ => all_written(request),
            }
        };
        let script = Script::start(answer, |_| {}).await;
        for value in [b"1", b"2", b"3"] {
            let _ = script.send(0, value).await.await;
        }
        let stamps = stamps.lock().expect("no panic").clone();
        assert_eq!(stamps, [(7, i16::MAX, 0), (7, i16::MAX, 1), (8, i16::MAX, 0)]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_waits_does_not_poll() {
    patiently(async {
        let silent = |number, request: &Received| match number {
            0 => all_written(request),
            _ => Action::Silence,
        };
        let script = Script::start(silent, |config| config.buffer_memory = 50_000).await;
        acks(vec![script.send(0, b"1").await]).await;
        let value = [b'x'; 16_000];
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(script.send(0, &value).await);
        }
        let env = script.producer.env().clone();
        env.sleep(secs(1)).await;
        let reads = script.network.reads();
        // In flight, in the queue, and waiting for memory.
        let blocked = script.producer.send(Record::to(TOPIC).partition(0).value(&value));
        assert!(env.timeout_at(env.now() + secs(25), blocked).await.is_none());
        assert!(script.network.reads() - reads <= 5, "{} polls in 25 s", script.network.reads() - reads);
        drop(sent);
    })
    .await;
}

/// 1 GB through 4 MiB: what is neither acknowledged nor refused never exceeds the buffer, and all of it arrives.
#[tokio::test(start_paused = true)]
async fn a_gigabyte_through_a_small_buffer_stays_within_it() {
    patiently(async {
        const BUFFER_BYTES: usize = 4 << 20;
        const VALUE_BYTES: usize = 60_000;
        const RECORDS: usize = (1 << 30) / VALUE_BYTES;
        let received = Arc::new(AtomicU64::new(0));
        let count = received.clone();
        let answer = move |_, request: &Received| {
            let asked: ProduceRequest = request.peek();
            for partition in asked.topic_data.iter().flat_map(|topic| &topic.partition_data) {
                count.fetch_add(
                    partition.records.as_ref().map_or(0, |records| records.len() as u64),
                    Ordering::Relaxed,
                );
            }
            Action::AnswerLater(Duration::from_millis(1), written(request, 0, |_| true))
        };
        let configure = |config: &mut ProducerConfig| {
            config.buffer_memory = BUFFER_BYTES;
            config.batch_size = 200_000;
        };
        let script = Script::start(answer, configure).await;
        let value = vec![b'x'; VALUE_BYTES];
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut held_max = 0;
        for sent in 0..RECORDS {
            let acknowledged_too = acknowledged.clone();
            let delivery = script.send((sent % 2) as i32, &value).await;
            delivery.on_completion(move |result| {
                result.expect("acknowledged");
                acknowledged_too.fetch_add(1, Ordering::Relaxed);
            });
            held_max = held_max.max((sent + 1 - acknowledged.load(Ordering::Relaxed)) * VALUE_BYTES);
        }
        script.producer.flush().await.expect("all went well");
        assert_eq!(acknowledged.load(Ordering::Relaxed), RECORDS);
        assert!(received.load(Ordering::Relaxed) >= (RECORDS * VALUE_BYTES) as u64);
        assert!(held_max <= BUFFER_BYTES, "{held_max} bytes were on their way");
        assert!(held_max > BUFFER_BYTES / 2, "the buffer is made use of: {held_max}");
        assert_eq!(script.producer.buffer_available_bytes(), BUFFER_BYTES);
    })
    .await;
}
