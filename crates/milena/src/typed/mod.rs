//! Keys and values of your own types, over the producer and over batches of the consumer.
//!
//! The formats are those of [`serdes`](crate::serdes), or your own. Nothing is added to what a producer or a consumer does: a
//! [`TypedProducer`] serializes into buffers that it reuses and sends, a [`TypedReader`] walks the records of a batch.

mod producer;

pub use producer::{TypedProducer, TypedSendError};
