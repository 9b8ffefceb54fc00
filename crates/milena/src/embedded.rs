//! Clients of the embedded broker in the same process, without sockets. Feature `broker`.

use std::future::Future;
use std::io;
use std::pin::Pin;

use milena_broker::{Cluster, Dialer};
use milena_client::env::{Connector, Stream};
use milena_client::{Address, Env};

use crate::Kafka;
use crate::builder::KafkaBuilder;
use crate::error::ConnectError;

/// Opens streams to the nodes of an embedded cluster in memory; for an [`Env`] of your own. Clones and the clients that use
/// them do not keep the cluster running.
#[derive(Clone, Debug)]
pub struct ClusterConnector {
    dialer: Dialer,
}

impl ClusterConnector {
    /// A connector to the nodes of `cluster`.
    pub fn new(cluster: &Cluster) -> Self {
        Self { dialer: cluster.dialer() }
    }
}

impl Connector for ClusterConnector {
    fn connect<'a>(
        &'a self,
        address: &'a Address,
    ) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>> {
        Box::pin(async move {
            let stream = self.dialer.connect(&address.to_string())?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

impl Kafka {
    /// A handle for an embedded cluster, connected in memory: for tests and demonstrations. Feature `broker`.
    pub fn builder_for(cluster: &Cluster) -> KafkaBuilder {
        let env = Env::builder().connector(ClusterConnector::new(cluster)).build();
        Self::builder(cluster.bootstrap()).env(env)
    }

    /// Connects to an embedded cluster in memory, with all defaults. Feature `broker`.
    ///
    /// ```
    /// use milena::broker::{Cluster, TopicSpec};
    /// use milena::{Kafka, Record};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().in_memory().topic(TopicSpec::new("orders").partitions(3)).start().await?;
    /// let kafka = Kafka::connect_to(&cluster).await?;
    /// let producer = kafka.producer().build().await?;
    /// let ack = producer.send(Record::to("orders").key("u42").value("{}")).await?.await?;
    /// assert_eq!((ack.topic(), ack.offset), ("orders", Some(0)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No node of the cluster answered.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect_to(cluster: &Cluster) -> Result<Self, ConnectError> {
        Self::builder_for(cluster).connect().await
    }
}
