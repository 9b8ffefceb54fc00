//! Networks that fail on request, as a client sees them: over TCP and in memory alike.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
use milena_broker::{ApiKey, Cluster, TopicSpec};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::*;

/// How a client gets to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Memory,
}

const WAYS: [Way; 2] = [Way::Tcp, Way::Memory];

/// How long to look at what must not happen, where time is real.
const A_WHILE: Duration = Duration::from_millis(30);

/// A cluster of one node with a topic.
async fn one_node() -> Cluster {
    Cluster::builder().topic(TopicSpec::new("t")).start().await.expect("starts")
}

impl Way {
    async fn connect(self, cluster: &Cluster, node: i32) -> Connection {
        let address = cluster.address(node).expect("a node");
        match self {
            Self::Tcp => Connection::open(&address).await,
            Self::Memory => Connection::over(cluster.connect(&address).expect("connects")),
        }
    }
}

fn produce() -> ProduceRequest {
    produce_request("t", 0, -1, BatchOf::records(1).bytes())
}

fn end_offset(cluster: &Cluster) -> i64 {
    cluster.log_end_offset("t", 0).expect("a log")
}

async fn metadata(client: &mut Connection) {
    client.call(12, &metadata_of("t")).await;
}

/// What is not done after a while.
async fn goes_on<F: Future>(future: F) -> bool {
    tokio::time::timeout(A_WHILE, future).await.is_err()
}

fn was_reset(end: &std::io::Result<()>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_request_that_is_cut_off_arrives_when_the_network_is_whole_again() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let cut = cluster.faults().connections().node(1).up().silence();
        let sent = client.send(9, &produce()).await;
        cut.fired_times(1).await;
        assert!(goes_on(client.receive_frame()).await, "{way:?}");
        assert_eq!((cluster.requests(ApiKey::Produce), end_offset(&cluster)), (0, 0), "{way:?}");
        cut.remove();
        client.receive::<ProduceRequest>(9, sent).await;
        assert_eq!((cut.fired(), end_offset(&cluster)), (1, 1), "{way:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_arrives_later_and_the_work_goes_on() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let cut = cluster.faults().connections().down().silence();
        let first = client.send(9, &produce()).await;
        let second = client.send(9, &produce()).await;
        cut.fired_times(2).await;
        assert_eq!(end_offset(&cluster), 2, "{way:?}: the node hears, and works");
        assert!(goes_on(client.receive_frame()).await, "{way:?}");
        cluster.faults().clear();
        client.receive::<ProduceRequest>(9, first).await;
        client.receive::<ProduceRequest>(9, second).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_waited_for_when_the_network_was_cut_does_not_arrive() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let partition = kafka_protocol::messages::fetch_request::FetchPartition::default()
            .with_current_leader_epoch(-1)
            .with_last_fetched_epoch(-1)
            .with_partition_max_bytes(1 << 20);
        let fetch = fetch_request("t", vec![partition]).with_max_wait_ms(i32::MAX);
        let waiting = client.send(12, &fetch).await;
        eventually(&cluster, |cluster| cluster.requests(ApiKey::Fetch) == 1).await;
        let cut = cluster.faults().connections().down().silence().guard();
        cluster.faults().lose_leader("t", 0);
        cut.fired_times(1).await;
        assert!(goes_on(client.receive_frame()).await, "{way:?}");
        drop(cut);
        client.receive::<FetchRequest>(12, waiting).await;
    }
}

#[tokio::test]
async fn what_is_held_back_once_holds_up_what_is_behind_it() {
    for way in WAYS {
        let cluster = one_node().await;
        let (mut held, mut free) = (way.connect(&cluster, 1).await, way.connect(&cluster, 1).await);
        let cut = cluster.faults().connections().up().api(ApiKey::Produce).times(1).silence();
        let first = held.send(9, &produce()).await;
        cut.fired_times(1).await;
        let behind = held.send(12, &metadata_of("t")).await;
        free.call(9, &produce()).await;
        assert!(goes_on(held.receive_frame()).await, "{way:?}");
        assert_eq!((cluster.requests(ApiKey::Metadata), end_offset(&cluster)), (0, 1), "{way:?}");
        cluster.faults().clear();
        held.receive::<ProduceRequest>(9, first).await;
        held.receive::<MetadataRequest>(12, behind).await;
    }
}

#[tokio::test]
async fn a_writer_stalls_when_nothing_gets_through() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        // A stranger could not send so much.
        metadata(&mut client).await;
        let _cut = cluster.faults().connections().up().silence().guard();
        let request = produce_request(
            "t",
            0,
            -1,
            BatchOf { value: vec![0; 512 * 1024].into(), ..BatchOf::records(1) }.bytes(),
        );
        let endless = async { while client.send(9, &request).await < i32::MAX {} };
        let stalled = tokio::time::timeout(Duration::from_millis(300), endless).await;
        assert!(stalled.is_err(), "{way:?}: the write neither ends nor fails");
        assert_eq!(end_offset(&cluster), 0, "{way:?}");
    }
}

#[tokio::test]
async fn new_connections_are_refused_as_often_as_asked() {
    let cluster = one_node().await;
    let address = cluster.address(1).expect("a node");
    let refusal = cluster.faults().connections().node(1).times(2).refuse();
    let refused = cluster.connect(&address).expect_err("in memory it is refused at once");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let (bytes, end) = Connection::open(&address).await.receive_rest().await;
    assert!(bytes.is_empty() && was_reset(&end), "over TCP it is reset: {end:?}");
    assert_eq!((refusal.fired(), cluster.connections_accepted()), (2, 0));
    for way in WAYS {
        metadata(&mut way.connect(&cluster, 1).await).await;
    }
}

#[tokio::test]
async fn a_refusal_by_name_waits_for_the_name_and_leaves_others_and_older_ones_alone() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut old = way.connect(&cluster, 1).await;
        metadata(&mut old).await;
        let refusal = cluster.faults().connections().client_id("oracle").refuse();
        let mut new = way.connect(&cluster, 1).await;
        new.send(12, &metadata_of("t")).await;
        assert!(was_reset(&new.receive_rest().await.1), "{way:?}");
        metadata(&mut old).await;
        assert_eq!((refusal.fired(), cluster.requests(ApiKey::Metadata)), (1, 2), "{way:?}");
        refusal.remove();
        cluster.faults().connections().client_id("somebody else").refuse();
        metadata(&mut way.connect(&cluster, 1).await).await;
    }
}

#[tokio::test]
async fn a_request_that_meets_a_reset_is_not_worked_on() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let reset = cluster.faults().connections().up().api(ApiKey::Produce).times(1).reset();
        metadata(&mut client).await;
        client.send(9, &produce()).await;
        let (bytes, end) = client.receive_rest().await;
        assert!(bytes.is_empty() && was_reset(&end), "{way:?}: {end:?}");
        eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
        assert_eq!((reset.fired(), end_offset(&cluster)), (1, 0), "{way:?}");
        way.connect(&cluster, 1).await.call(9, &produce()).await;
    }
}

#[tokio::test]
async fn an_answer_that_meets_a_reset_is_lost_and_the_work_is_done() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let reset = cluster.faults().connections().down().api(ApiKey::Produce).skip(1).reset();
        client.call(9, &produce()).await;
        client.send(9, &produce()).await;
        let (bytes, end) = client.receive_rest().await;
        assert!(bytes.is_empty() && was_reset(&end), "{way:?}: {end:?}");
        assert_eq!((reset.fired(), end_offset(&cluster)), (1, 2), "{way:?}");
    }
}

#[tokio::test]
async fn an_answer_is_cut_short_where_it_is_asked_to_be() {
    for way in WAYS {
        for (keep_bytes, is_reset) in [(0, false), (10, false), (10, true), (usize::MAX, false)] {
            let cluster = one_node().await;
            let mut client = way.connect(&cluster, 1).await;
            client.send(9, &produce()).await;
            let whole = client.receive_frame().await.expect("an answer").len() + 4;
            cluster.faults().connections().down().truncate(keep_bytes);
            if is_reset {
                cluster.faults().connections().down().reset();
            }
            client.send(9, &produce()).await;
            let (bytes, end) = client.receive_rest().await;
            assert_eq!((bytes.len(), was_reset(&end)), (keep_bytes.min(whole - 1), is_reset), "{way:?}");
            assert_eq!(end_offset(&cluster), 2, "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_cut_short_is_taken_for_what_it_is() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        cluster.faults().connections().up().api(ApiKey::Produce).truncate(20);
        let first = client.send(12, &metadata_of("t")).await;
        client.send(9, &produce()).await;
        client.receive::<MetadataRequest>(12, first).await;
        assert!(client.is_closed().await, "{way:?}");
        assert_eq!((cluster.connections_refused(), end_offset(&cluster)), (1, 0), "{way:?}");
    }
}

#[tokio::test]
async fn connections_that_exist_are_reset_by_whose_they_are() {
    for way in WAYS {
        let cluster = Cluster::builder().nodes(2).topic(TopicSpec::new("t")).start().await.expect("starts");
        let mut clients = Vec::new();
        for node in [1, 1, 2] {
            let mut client = way.connect(&cluster, node).await;
            metadata(&mut client).await;
            clients.push(client);
        }
        let faults = cluster.faults();
        assert_eq!(faults.connections().client_id("somebody else").reset_now().await, 0, "{way:?}");
        assert_eq!(faults.connections().node(1).client_id("oracle").times(1).reset_now().await, 1, "{way:?}");
        assert!(was_reset(&clients[0].receive_rest().await.1), "{way:?}: the oldest");
        metadata(&mut clients[1]).await;
        assert_eq!(faults.connections().reset_now().await, 2, "{way:?}");
        assert!(
            was_reset(&clients[1].receive_rest().await.1) && was_reset(&clients[2].receive_rest().await.1)
        );
        eventually(&cluster, |cluster| cluster.connections(1) + cluster.connections(2) == 0).await;
        metadata(&mut way.connect(&cluster, 1).await).await;
    }
}

#[tokio::test]
async fn a_write_after_a_reset_is_told_of_it() {
    use tokio::io::AsyncWriteExt;
    let cluster = one_node().await;
    let mut client = cluster.connect(&cluster.bootstrap()).expect("connects");
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    assert_eq!(cluster.faults().connections().reset_now().await, 1);
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
    let error = client.write_all(&[0; 8]).await.expect_err("it is broken");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn one_connection_is_meant_by_its_port_and_all_of_an_address_by_none() {
    let cluster = one_node().await;
    let open = async || {
        let stream = TcpStream::connect(cluster.bootstrap()).await.expect("connects");
        (stream.local_addr().expect("it has one"), Connection::over(stream))
    };
    let ((address, mut meant), (_, mut other)) = (open().await, open().await);
    let elsewhere = cluster.faults().connections().peer(SocketAddr::from(([127, 0, 0, 2], 0))).reset();
    let reset = cluster.faults().connections().peer(address).reset();
    metadata(&mut other).await;
    metadata(&mut Way::Memory.connect(&cluster, 1).await).await;
    meant.send(12, &metadata_of("t")).await;
    assert!(was_reset(&meant.receive_rest().await.1));
    cluster.faults().connections().peer(SocketAddr::from(([127, 0, 0, 1], 0))).reset();
    other.send(12, &metadata_of("t")).await;
    assert!(was_reset(&other.receive_rest().await.1));
    assert_eq!((reset.fired(), elsewhere.fired()), (1, 0));
}

/// A cluster without sockets, and a connection to it.
async fn in_memory() -> (Cluster, Connection) {
    let topic = TopicSpec::new("t");
    let cluster = Cluster::builder().in_memory().start_time_ms(1).topic(topic).start().await.expect("starts");
    let client = Way::Memory.connect(&cluster, 1).await;
    (cluster, client)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn a_long_line_delays_each_request_and_answer_and_not_one_more_than_the_other() {
    let (cluster, mut client) = in_memory().await;
    cluster.faults().connections().up().delay(ms(40));
    cluster.faults().connections().down().delay(ms(60));
    let begun = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(client.send(9, &produce()).await);
        tokio::time::sleep(ms(5)).await;
    }
    for (nth, correlation_id) in sent.into_iter().enumerate() {
        client.receive::<ProduceRequest>(9, correlation_id).await;
        assert_eq!(begun.elapsed(), ms(100 + 5 * nth as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn a_narrow_line_takes_its_time_for_every_byte() {
    let (cluster, mut client) = in_memory().await;
    let sent = client.send(12, &metadata_of("t")).await;
    let answer = client.receive_frame().await.expect("an answer").len() as u64 + 4;
    cluster.faults().connections().down().slow(1_000);
    cluster.faults().connections().down().slow(100);
    let begun = Instant::now();
    client.send(12, &metadata_of("t")).await;
    client.receive_frame().await.expect("an answer");
    assert_eq!(begun.elapsed(), ms(10 * answer), "{sent}");

    cluster.faults().clear();
    cluster.faults().connections().up().slow(100);
    let begun = Instant::now();
    let request = 24 + 4;
    for _ in 0..2 {
        client.send(12, &MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    }
    client.receive_frame().await.expect("an answer");
    let first = begun.elapsed();
    client.receive_frame().await.expect("an answer");
    assert_eq!(begun.elapsed(), first * 2, "one behind the other");
    assert!(first > ms(100) && first < ms(10 * request), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_comes_a_little_at_a_time() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (cluster, _) = in_memory().await;
    cluster.faults().connections().down().slow(50);
    let mut client = cluster.connect(&cluster.bootstrap()).expect("connects");
    // ApiVersions, version 0.
    client.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]).await.expect("written");
    let begun = Instant::now();
    let mut buffer = [0; 64];
    for nth in 1..5 {
        assert_eq!(client.read(&mut buffer).await.expect("some bytes"), 5);
        assert_eq!(begun.elapsed(), ms(100 * nth));
    }
}

#[tokio::test]
async fn delays_and_narrow_lines_are_there_over_tcp_too() {
    let cluster = one_node().await;
    let mut client = Way::Tcp.connect(&cluster, 1).await;
    metadata(&mut client).await;
    let delay = cluster.faults().connections().delay(ms(20));
    let begun = Instant::now();
    metadata(&mut client).await;
    assert!(begun.elapsed() >= ms(40));
    assert_eq!(delay.fired(), 2, "the request and the answer");
    delay.remove();
    cluster.faults().connections().down().slow(2_000);
    let begun = Instant::now();
    metadata(&mut client).await;
    assert!(begun.elapsed() >= ms(40));
}

#[tokio::test(start_paused = true)]
async fn requests_go_on_being_worked_on_while_answers_are_late() {
    let (cluster, mut client) = in_memory().await;
    cluster.faults().connections().down().api(ApiKey::Produce).times(1).delay(ms(500));
    let late = client.send(9, &produce()).await;
    let behind = client.send(12, &metadata_of("t")).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Metadata) == 1).await;
    let begun = Instant::now();
    client.receive::<ProduceRequest>(9, late).await;
    client.receive::<MetadataRequest>(12, behind).await;
    assert_eq!(begun.elapsed(), ms(500), "answers do not overtake");
}

#[tokio::test(start_paused = true)]
async fn a_delay_beyond_all_time_is_a_long_one() {
    let (cluster, mut client) = in_memory().await;
    cluster.faults().connections().delay(Duration::MAX);
    client.send(12, &metadata_of("t")).await;
    assert!(goes_on(client.receive_frame()).await);
}

#[tokio::test(start_paused = true)]
async fn one_seed_strikes_the_same_answers() {
    let strike = async |seed| {
        let cluster = Cluster::builder().in_memory().seed(seed).start().await.expect("starts");
        let slow = cluster.faults().connections().down().with_probability(0.5).delay(ms(1));
        let mut client = Way::Memory.connect(&cluster, 1).await;
        let mut fired = Vec::new();
        for _ in 0..32 {
            metadata(&mut client).await;
            fired.push(slow.fired());
        }
        fired
    };
    let struck = strike(7).await;
    assert_eq!(struck, strike(7).await);
    assert_ne!(struck, strike(8).await);
    assert!((4..28).contains(struck.last().expect("32 of them")), "{struck:?}");
}

#[tokio::test]
async fn a_guarded_rule_ends_with_its_guard() {
    let cluster = one_node().await;
    let mut client = Way::Memory.connect(&cluster, 1).await;
    let guard = cluster.faults().connections().silence().guard();
    let sent = client.send(12, &metadata_of("t")).await;
    guard.fired_times(1).await;
    drop(guard);
    client.receive::<MetadataRequest>(12, sent).await;
    assert_eq!(cluster.requests(ApiKey::Metadata), 1);
}

#[tokio::test]
async fn a_node_goes_down_and_up_with_what_a_cut_network_holds() {
    for way in WAYS {
        let cluster = one_node().await;
        let mut client = way.connect(&cluster, 1).await;
        let cut = cluster.faults().connections().silence();
        client.send(9, &produce()).await;
        cut.fired_times(1).await;
        cluster.faults().kill(1).await;
        assert!(client.is_closed().await, "{way:?}");
        cut.remove();
        cluster.faults().restart(1).await.expect("its port is free");
        way.connect(&cluster, 1).await.call(9, &produce()).await;
        assert_eq!(end_offset(&cluster), 1, "{way:?}");
    }
}
