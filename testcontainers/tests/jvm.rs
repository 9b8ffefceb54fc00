//! Real brokers, started and broken in each way this crate offers.

mod real_kafka_java {
    use std::time::Duration;

    use milena_testcontainers::{BOOTSTRAP_VARIABLE, Error, Java, KafkaCluster, KafkaVersion, Source};

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

    /// The name of the variable that makes [`user_of_an_address`] act.
    const USER: &str = "MILENA_TEST_USER_OF_AN_ADDRESS";

    /// Not a test of its own: run again by the test below, with an address in its environment.
    #[tokio::test]
    async fn user_of_an_address() -> Result<(), Error> {
        if std::env::var_os(USER).is_none() {
            return Ok(());
        }
        let kafka = KafkaCluster::shared().await?;
        assert_eq!((kafka.version(), kafka.nodes().len()), (None, 1));
        assert!(matches!(kafka.kill(1).await, Err(Error::NotOurs { .. })));
        produce(kafka, "given", "here\n").await?;
        assert_eq!(consume(kafka, "given", 1).await?, "here\n");
        Ok(())
    }

    #[tokio::test]
    async fn kafka_at_an_address_is_used_and_left_alone() -> Result<(), Error> {
        let kafka = KafkaCluster::shared_of(KafkaVersion::V4_3_1).await?;
        let user = tokio::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "real_kafka_java::user_of_an_address"])
            .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
            .env(USER, "1")
            .output()
            .await
            .expect("this program runs");
        assert!(user.status.success(), "{}", String::from_utf8_lossy(&user.stdout));
        assert_eq!(consume(kafka, "given", 1).await?, "here\n", "it still runs");
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
    async fn killed_broker_on_zookeeper_comes_back_when_its_session_is_over() -> Result<(), Error> {
        let kafka = jvm().version(KafkaVersion::V2_8_2).start().await?;
        kafka.kill(1).await?;
        kafka.start_node(1).await?;
        produce(&kafka, "back", "again\n").await
    }

    #[tokio::test]
    async fn java_program_is_compiled_once_and_runs_with_kafkas_clients() -> Result<(), Error> {
        let source = r#"
            import org.apache.kafka.clients.producer.ProducerConfig;
            public class Defaults {
                public static void main(String[] names) {
                    for (var name : names) System.out.println(ProducerConfig.configDef().defaultValues().get(name));
                }
            }"#;
        let program = Java::of(KafkaVersion::V4_3_1).compile("Defaults", source).await?;
        assert_eq!(program.command().arg("linger.ms").run().await?.text(), "5\n");
        assert_eq!(program.command().args(["acks", "batch.size"]).run().await?.text(), "all\n16384\n");

        let error =
            Java::of(KafkaVersion::V4_3_1).compile("Wrong", "public class Wrong { int i = \"\"; }").await;
        assert!(error.expect_err("a String is no int").to_string().contains("incompatible types"));
        Ok(())
    }

    #[tokio::test]
    async fn java_process_is_talked_to_line_by_line() -> Result<(), Error> {
        let source = r#"
            public class Echo {
                public static void main(String[] args) {
                    new java.util.Scanner(System.in).useDelimiter("\\n").forEachRemaining(l -> System.out.println(l + "!"));
                    System.exit(3);
                }
            }"#;
        let mut echo =
            Java::of(KafkaVersion::V4_3_1).compile("Echo", source).await?.command().spawn().await?;
        for line in ["one", "two"] {
            echo.write_line(line).await?;
            assert_eq!(echo.next_line().await?, Some(format!("{line}!")));
        }
        echo.close_stdin();
        assert_eq!(echo.next_line().await?, None);
        assert!(matches!(echo.wait().await, Err(Error::Java { .. })), "it ends with status 3");
        Ok(())
    }

    #[tokio::test]
    async fn java_program_that_hangs_is_killed() {
        let source = "public class Hang { public static void main(String[] a) throws Exception { Thread.sleep(99999); } }";
        let program = Java::of(KafkaVersion::V4_3_1).compile("Hang", source).await.expect("compiles");
        let error = program.command().timeout(Duration::from_secs(2)).run().await;
        assert!(matches!(error, Err(Error::JavaTimeout { .. })));
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
