//! The service: it takes orders, and tells what each customer has ordered. It knows nothing of tests.

use std::collections::BTreeMap;
use std::error::Error;

use milena::{BuildError, DeliveryError, Kafka, OffsetReset, Producer, Record};

/// Where orders are written, by customer.
pub(crate) const TOPIC: &str = "orders";

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Takes orders.
pub(crate) struct OrderService {
    producer: Producer,
}

/// An order that is written, and stays so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) partition: i32,
    pub(crate) offset: Option<i64>,
}

/// Why a customer gets no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The customer may order again.
    #[error("the order is not written: {0}")]
    Refused(BoxError),
    /// Ordering again might double it.
    #[error("the order may be written, or not: {0}")]
    Unknown(DeliveryError),
}

impl OrderService {
    pub(crate) async fn start(kafka: &Kafka) -> Result<Self, BuildError> {
        Ok(Self { producer: kafka.producer().build().await? })
    }

    /// Returns when the order is written, or is known not to be, or nobody can tell any more.
    pub(crate) async fn place(&self, customer: &str, order: &str) -> Result<Receipt, PlaceError> {
        let record = Record::to(TOPIC).key(customer).value(order);
        let delivery = self.producer.send(record).await.map_err(|error| PlaceError::Refused(error.into()))?;
        match delivery.await {
            Ok(ack) => Ok(Receipt { partition: ack.partition(), offset: ack.offset }),
            Err(error) if error.possibly_written() => Err(PlaceError::Unknown(error)),
            Err(error) => Err(PlaceError::Refused(error.into())),
        }
    }
}

/// What each customer has ordered so far, in order.
pub(crate) async fn orders_by_customer(kafka: &Kafka) -> Result<BTreeMap<String, Vec<String>>, BoxError> {
    let mut consumer = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await?;
    consumer.assign_topic(TOPIC).await?;
    let mut ends = consumer.end_offsets(&consumer.assignment()).await?;
    ends.retain(|_, end| *end > 0);

    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut orders = BTreeMap::<_, Vec<_>>::new();
    while !ends.is_empty() {
        let Some(batch) = consumer.next().await? else { break };
        for record in &batch {
            orders.entry(text(record.key)).or_default().push(text(record.value));
        }
        ends.retain(|partition, end| partition != batch.topic_partition() || *end > batch.next_offset());
    }
    Ok(orders)
}
