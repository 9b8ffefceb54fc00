//! Configuration by text.

use std::time::Duration;

use milena::config::Properties;
use milena::{
    Acks, BuildError, ClusterConnector, Compression, ConnectError, Env, IsolationLevel, Kafka, OffsetReset,
};

use crate::cluster;

fn properties(text: &str) -> Properties {
    let mut properties = Properties::new();
    properties.add_text("test", text).unwrap();
    properties
}

/// A handle that never connects to anything.
fn kafka(text: &str) -> Result<Kafka, ConnectError> {
    Kafka::from_properties(&properties(&format!("bootstrap.servers=127.0.0.1:1\n{text}")))?
        .connect_in_background()
}

#[tokio::test]
async fn properties_reach_the_cluster_the_producer_and_the_consumer() {
    let (cluster, _) = cluster().await;
    let text = format!(
        "metadata.broker.list={}\nclient.id=shop\nqueue.buffering.max.ms=7\ncompression.type=zstd\n\
         compression.zstd.level=7\nacks=1\nenable.idempotence=false\npartitioner=consistent_random\n\
         auto.offset.reset=earliest\nisolation.level=read_committed\nfetch.wait.max.ms=50\n\
         queued.max.messages.kbytes=2\nrequest.timeout.ms=4000\nretry.backoff.ms=10\n",
        cluster.bootstrap()
    );
    let env = Env::builder().connector(ClusterConnector::new(&cluster)).build();
    let kafka = Kafka::from_properties(&properties(&text)).unwrap().env(env).connect().await.unwrap();
    let shared = kafka.client().config();
    assert_eq!(shared.connection.client_id.as_deref(), Some("shop"));
    assert_eq!(shared.connection.request_timeout, Duration::from_secs(4));
    assert_eq!(shared.retry_backoff.initial, Duration::from_millis(10));

    let producer = kafka.producer().build().await.unwrap();
    let config = producer.config();
    assert_eq!(config.linger, Duration::from_millis(7));
    assert_eq!((config.compression.compression(), config.compression.level()), (Compression::Zstd, Some(7)));
    assert_eq!((config.acks, config.enable_idempotence), (Acks::Leader, false));
    assert_eq!(config.request_timeout, Duration::from_secs(4));
    assert_eq!(config.retry_backoff.initial, Duration::from_millis(10));
    assert!(format!("{:?}", config.partitioning).contains("Crc32"), "{:?}", config.partitioning);

    let consumer = kafka.consumer().build().await.unwrap();
    let config = consumer.config();
    assert_eq!(config.auto_offset_reset, OffsetReset::Earliest);
    assert_eq!(config.isolation_level, IsolationLevel::ReadCommitted);
    assert_eq!((config.fetch_max_wait.as_millis(), config.prefetch_bytes), (50, 2_048));
}

#[tokio::test]
async fn settings_of_the_builders_win_over_properties() {
    let kafka = kafka("linger.ms=7\nbatch.size=100\nfetch.min.bytes=9").unwrap();
    let producer = kafka.producer().linger(Duration::ZERO).build().await.unwrap();
    assert_eq!((producer.config().linger, producer.config().batch_size), (Duration::ZERO, 100));
    let consumer = kafka.consumer().fetch_min_bytes(1).build().await.unwrap();
    assert_eq!(consumer.config().fetch_min_bytes, 1);
}

#[tokio::test]
async fn one_file_may_serve_a_client_that_has_no_use_for_a_contradiction_in_it() {
    let kafka = kafka("acks=1\nenable.idempotence=true").unwrap();
    assert!(kafka.consumer().build().await.is_ok());
    let error = kafka.producer().build().await.unwrap_err();
    assert!(matches!(error, BuildError::Properties(_)), "{error}");
}

#[tokio::test]
async fn what_this_version_does_not_have_is_an_error_and_not_passed_over() {
    for (text, property) in [
        (
            "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=u\nsasl.password=s3cret",
            "security.protocol",
        ),
        ("security.protocol=SSL", "security.protocol"),
        ("client.dns.lookup=resolve_canonical_bootstrap_servers_only", "client.dns.lookup"),
        ("broker.address.family=v6", "broker.address.family"),
    ] {
        let error = kafka(text).unwrap_err();
        assert!(error.to_string().contains(property) && !error.to_string().contains("s3cret"), "{error}");
        assert!(
            matches!(&error, ConnectError::Unsupported(unsupported) if unsupported.property() == property)
        );
    }
    // All of it at once, and not first that GSSAPI is not possible, and then that nobody logs in.
    let error =
        kafka("security.protocol=SASL_SSL\nssl.ca.location=ca.pem\nsasl.mechanisms=PLAIN").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("SASL_SSL (with `sasl.mechanisms`, `ssl.ca.location`)"), "{text}");
    assert!(text.ends_with("TLS and SASL are not supported yet: use a PLAINTEXT listener"), "{text}");
    let transactional = kafka("transactional.id=billing-1").unwrap();
    let error = transactional.producer().build().await.unwrap_err();
    assert!(
        matches!(error, BuildError::Unsupported(_)) && error.to_string().contains("billing-1"),
        "{error}"
    );
    assert!(transactional.consumer().build().await.is_ok());
    let member = kafka("group.id=billing").unwrap();
    let error = member.consumer().build().await.unwrap_err();
    assert!(matches!(error, BuildError::Unsupported(_)) && error.to_string().contains("group.id"), "{error}");
}

#[test]
fn mistakes_in_properties_name_what_was_meant() {
    let error = Kafka::from_properties(&properties("bootstrap.server=a:1")).unwrap_err();
    assert!(error.to_string().contains("`bootstrap.servers`"), "{error}");
    let error = Kafka::from_properties(&properties("linger.ms=1")).unwrap_err();
    assert!(error.to_string().contains("bootstrap.servers"), "{error}");
}

#[tokio::test]
async fn a_chain_of_errors_tells_nothing_twice() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Kafka::builder(&address).connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::Cluster(_)) && error.to_string().contains(&address), "{error}");
    let mut chain: &dyn std::error::Error = &error;
    while let Some(source) = chain.source() {
        assert!(!chain.to_string().contains(&source.to_string()), "{chain} and its source {source}");
        chain = source;
    }
}

#[test]
fn what_has_no_effect_is_told() {
    let builder = Kafka::from_properties(&properties("bootstrap.servers=a:1\nmax.poll.records=5")).unwrap();
    let keys: Vec<_> = builder.warnings().iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["max.poll.records"]);
    let builder = Kafka::from_properties(&properties("bootstrap.servers=a:1\nlinger.ms=5")).unwrap();
    assert!(builder.warnings().is_empty(), "{:?}", builder.warnings());
}
