//! Real brokers, started and broken in each way this crate offers.

mod real_kafka {
    use std::time::Duration;

    use milena_testcontainers::{Error, KafkaCluster, KafkaVersion, Source};

    const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
    const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

    fn jvm() -> milena_testcontainers::KafkaClusterBuilder {
        KafkaCluster::builder().source(Source::Jvm)
    }

    async fn produce(kafka: &KafkaCluster, topic: &str, lines: &str) -> Result<(), Error> {
        let arguments = ["--bootstrap-server", kafka.bootstrap(), "--topic", topic];
        kafka.tool(PRODUCER).args(arguments).stdin(lines).run().await.map(drop)
    }

    async fn consume(kafka: &KafkaCluster, topic: &str, count: usize) -> Result<String, Error> {
        let count = count.to_string();
        let arguments = ["--bootstrap-server", kafka.bootstrap(), "--topic", topic, "--from-beginning"];
        let limits = ["--max-messages", &count, "--timeout-ms", "30000"];
        let output = kafka.tool(CONSUMER).args(arguments).args(limits).run().await?;
        Ok(output.text().into_owned())
    }

    #[tokio::test]
    async fn console_tools_read_what_they_wrote() -> Result<(), Error> {
        let kafka = KafkaCluster::shared_of(KafkaVersion::V4_3_1).await?;
        produce(kafka, "console", "one\ntwo\nthree\n").await?;
        assert_eq!(consume(kafka, "console", 3).await?, "one\ntwo\nthree\n");
        Ok(())
    }

    #[tokio::test]
    async fn shared_cluster_is_started_once() -> Result<(), Error> {
        let (first, second) = tokio::try_join!(
            KafkaCluster::shared_of(KafkaVersion::V4_3_1),
            KafkaCluster::shared_of(KafkaVersion::V4_3_1)
        )?;
        assert!(std::ptr::eq(first, second));
        Ok(())
    }

    #[tokio::test]
    async fn acknowledged_records_survive_a_killed_node_that_comes_back() -> Result<(), Error> {
        let kafka = jvm().nodes(3).start().await?;
        assert_eq!(kafka.nodes().iter().map(|node| node.node_id).collect::<Vec<_>>(), [1, 2, 3]);
        produce(&kafka, "survivor", "before\n").await?;
        kafka.kill(2).await?;
        assert!(matches!(kafka.kill(2).await, Err(Error::NodeState { node_id: 2, .. })));
        produce(&kafka, "survivor", "without\n").await?;
        kafka.start_node(2).await?;
        produce(&kafka, "survivor", "after\n").await?;
        assert_eq!(consume(&kafka, "survivor", 3).await?, "before\nwithout\nafter\n");
        kafka.stop().await;
        Ok(())
    }

    #[tokio::test]
    async fn paused_node_holds_its_connections_and_answers_later() -> Result<(), Error> {
        let kafka = jvm().start().await?;
        kafka.pause(1).await?;
        assert!(matches!(kafka.pause(1).await, Err(Error::NodeState { .. })));
        tokio::net::TcpStream::connect(kafka.bootstrap())
            .await
            .expect("the kernel still accepts connections");
        let produce_during_pause = produce(&kafka, "paused", "late\n");
        tokio::pin!(produce_during_pause);
        tokio::time::timeout(Duration::from_secs(3), &mut produce_during_pause)
            .await
            .expect_err("nobody answers");
        kafka.resume(1).await?;
        produce_during_pause.await?;
        Ok(())
    }

    async fn starts_and_stops(version: KafkaVersion) -> Result<(), Error> {
        let kafka = jvm().version(version).config("num.partitions", "2").start().await?;
        assert_eq!(kafka.version(), Some(version));
        produce(&kafka, "old", "kept\n").await?;
        kafka.stop_node(1).await?;
        kafka.start_node(1).await?;
        assert_eq!(consume(&kafka, "old", 1).await?, "kept\n");
        Ok(())
    }

    #[tokio::test]
    async fn kafka_4_1_2_restarts_with_its_data() -> Result<(), Error> {
        starts_and_stops(KafkaVersion::V4_1_2).await
    }

    #[tokio::test]
    async fn kafka_3_9_1_restarts_with_its_data() -> Result<(), Error> {
        starts_and_stops(KafkaVersion::V3_9_1).await
    }

    #[tokio::test]
    async fn kafka_2_8_2_restarts_with_its_data() -> Result<(), Error> {
        starts_and_stops(KafkaVersion::V2_8_2).await
    }

    #[tokio::test]
    async fn kafka_2_1_1_restarts_with_its_data() -> Result<(), Error> {
        starts_and_stops(KafkaVersion::V2_1_1).await
    }

    #[tokio::test]
    async fn broker_that_refuses_its_configuration_is_quoted() {
        let error = jvm().config("num.partitions", "many").start().await.map(drop).expect_err("not a number");
        let text = error.to_string();
        assert!(text.contains("num.partitions") && text.contains("many"), "{text}");
    }
}
