//! The handle that everything is made from.

use std::sync::Arc;

use milena_client::metrics::Snapshot;
use milena_client::{Client, Env, MetadataHandle};

use crate::builder::KafkaBuilder;
use crate::config::{ClientProperties, Properties};
use crate::consumer_builder::ConsumerBuilder;
use crate::error::ConnectError;
use crate::producer_builder::ProducerBuilder;

/// A connection to one Kafka cluster, from which producers, consumers and administration are made.
///
/// Cheap to clone. Metadata of the cluster and metrics are shared by all that is made from one handle; each producer and each
/// consumer has connections of its own. What was made lives on when the handle is dropped.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use milena::{Compression, Kafka, Record};
///
/// let kafka = Kafka::builder("localhost:9092").client_id("orders").connect().await?;
/// let producer = kafka.producer().compression(Compression::Lz4).build().await?;
/// let delivery = producer.send(Record::to("orders").key("u42").value("{}")).await?;
/// println!("written at {:?}", delivery.await?.offset);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Kafka {
    client: Client,
    /// What a producer or consumer begins with; resolved when one is made, so that one file may serve several kinds of client.
    properties: Option<Arc<ClientProperties>>,
}

impl Kafka {
    /// A handle for the cluster that `bootstrap` belongs to: some of its brokers, `host:port` separated by commas.
    ///
    /// The rest of the cluster is learnt from whichever of them answers. Kafka: `bootstrap.servers`.
    pub fn builder(bootstrap: impl AsRef<str>) -> KafkaBuilder {
        KafkaBuilder::new(bootstrap.as_ref())
    }

    /// A handle configured by text, under the names that users of Kafka and librdkafka know.
    ///
    /// Producers and consumers made from it begin with these properties, too; settings of the builders override them.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use milena::Kafka;
    /// use milena::config::Properties;
    ///
    /// let mut properties = Properties::new();
    /// properties.add_file("client.properties")?;
    /// properties.set("client.id", "billing");
    /// let kafka = Kafka::from_properties(&properties)?.connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with the properties; an unknown name comes with the nearest valid one.
    pub fn from_properties(properties: &Properties) -> Result<KafkaBuilder, ConnectError> {
        KafkaBuilder::from_properties(properties)
    }

    pub(crate) fn new(client: Client, properties: Option<Arc<ClientProperties>>) -> Self {
        Self { client, properties }
    }

    /// Begins to make a producer: idempotent, `acks=all`, Kafka's defaults.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.client.clone(), self.properties.as_deref())
    }

    /// Begins to make a consumer of partitions that the program chooses, without a group.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.client.clone(), self.properties.as_deref())
    }

    /// Administration: topics, configurations, the cluster.
    pub fn admin(&self) -> milena_admin::Admin {
        milena_admin::Admin::new(self.client.clone())
    }

    /// The numbers of this handle and of everything made from it, under Kafka's names.
    pub fn metrics(&self) -> Snapshot {
        self.client.metrics()
    }

    /// What is known of the cluster: brokers, topics, leaders.
    pub fn metadata(&self) -> &MetadataHandle {
        self.client.metadata()
    }

    /// The clock, random numbers, sockets and tasks that the client uses.
    pub fn env(&self) -> &Env {
        self.client.env()
    }

    /// The client below, for requests that have no method here.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
