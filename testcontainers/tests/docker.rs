//! A real broker in a container, where there is an image of one.
#![cfg(feature = "docker")]

mod real_kafka_control {
    use milena_testcontainers::{Error, KafkaCluster, Source};

    #[tokio::test]
    async fn container_is_killed_paused_and_started_again() -> Result<(), Error> {
        let kafka = KafkaCluster::builder().source(Source::Docker).nodes(3).start().await?;
        kafka.kill(2).await?;
        kafka.start_node(2).await?;
        kafka.pause(3).await?;
        kafka.resume(3).await?;
        kafka.stop_node(1).await?;
        kafka.start_node(1).await?;
        Ok(())
    }
}
