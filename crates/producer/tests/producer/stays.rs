//! Partitions that leave a broker and come back to it, or to another log.

use std::sync::{Arc, Mutex};

use milena_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ErrorCode, Uuid};
use milena_records::Batches;

use crate::peer::{Action, Received};
use crate::scripted::{Script, all_written, written};
use crate::support::*;

/// What the metadata tell of the topic is known to the producer when this returns.
async fn show_topic(script: &Script, partitions: &[(i32, i32)], topic_id: u8) {
    script.cluster.topic(TOPIC, partitions);
    script.cluster.change(|metadata| {
        for topic in &mut metadata.topics {
            topic.topic_id = Uuid([topic_id; 16]);
        }
    });
    let metadata = script.client.metadata();
    let asked = metadata.version();
    metadata.request_update();
    metadata.changed_since(asked).await;
    script.producer.env().sleep(ms(1)).await;
}

/// The batch that backs off is on its sender's list when the leader goes; when it comes back, the partition is listed once more, and
/// the broker's silence keeps both entries on the list until its end.
#[tokio::test(start_paused = true)]
async fn a_leader_that_comes_back_during_a_back_off_gets_one_batch_per_request() {
    patiently(async {
        let most = Arc::new(Mutex::new(0));
        let noted = most.clone();
        let answer = move |number, request: &Received| {
            let asked: ProduceRequest = request.peek();
            let batches: usize = asked.topic_data.iter().map(|topic| topic.partition_data.len()).sum();
            let mut most = noted.lock().expect("no panic");
            *most = batches.max(*most);
            match number {
                1 => refused_and_silenced(request, 5_000),
                _ => all_written(request),
            }
        };
        let script = Script::start(answer, |config| {
            config.linger = ms(0);
            // Every record is a batch.
            config.batch_size = 0;
        })
        .await;
        show_topic(&script, &[(1, 0)], 1).await;
        acks(vec![script.send(0, b"1").await]).await;
        let refused = script.send(0, b"2").await;
        script.producer.env().sleep(ms(10)).await;
        let waiting = vec![refused, script.send(0, b"3").await, script.send(0, b"4").await];
        show_topic(&script, &[(-1, 1)], 1).await;
        show_topic(&script, &[(1, 2)], 1).await;
        acks(waiting).await;
        assert_eq!(*most.lock().expect("no panic"), 1);
    })
    .await;
}

/// Partition 0 is refused for want of replicas, and the broker wishes for silence.
fn refused_and_silenced(request: &Received, throttle_time_ms: i32) -> Action {
    let asked: ProduceRequest = request.peek();
    let error_code = ErrorCode::NotEnoughReplicas;
    let partition = PartitionProduceResponse { error_code, base_offset: -1, ..Default::default() };
    let topic = TopicProduceResponse {
        topic_id: asked.topic_data[0].topic_id,
        partition_responses: vec![partition],
        ..Default::default()
    };
    let response = ProduceResponse { responses: vec![topic], throttle_time_ms, ..Default::default() };
    request.answer::<ProduceRequest>(&response)
}

/// The partition that the new topic lacks at first comes back in a log of its own, which knows no producer.
#[tokio::test(start_paused = true)]
async fn a_partition_that_a_new_topic_gets_later_begins_under_new_numbers() {
    patiently(async {
        let stamps = Arc::new(Mutex::new(Vec::new()));
        let noted = stamps.clone();
        let answer = move |_, request: &Received| {
            let asked: ProduceRequest = request.peek();
            let records =
                asked.topic_data[0].partition_data[0].records.clone().expect("records").into_bytes();
            let batch = Batches::new(records).next().expect("a batch").expect("whole");
            noted.lock().expect("no panic").push((batch.header().producer_id, batch.header().base_sequence));
            Action::Answer(written(request, 0, |_| true))
        };
        let script = Script::start(answer, |_| {}).await;
        show_topic(&script, &[(1, 0), (1, 0)], 1).await;
        acks(vec![script.send(1, b"1").await]).await;
        acks(vec![script.send(1, b"2").await]).await;
        show_topic(&script, &[(1, 0)], 2).await;
        show_topic(&script, &[(1, 0), (1, 0)], 2).await;
        acks(vec![script.send(1, b"3").await]).await;
        // The producer's first id has no epoch left.
        assert_eq!(*stamps.lock().expect("no panic"), [(7, 0), (7, 1), (8, 0)]);
    })
    .await;
}
