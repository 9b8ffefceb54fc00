//! How records are handed over.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::Consumer;
use crate::batch::RecordBatch;
use crate::core::Delivery;
use crate::error::RecvError;
use crate::polled::PolledRecords;
use crate::record::Record;

impl Consumer {
    /// The next records, all of one partition; waits for them. `None` once the consumer is closed.
    ///
    /// Partitions take turns. This is the fastest way to read: records are slices of the batch, and nothing is allocated, locked or
    /// woken per record.
    ///
    /// # Errors
    /// Something is wrong with one partition, which then stands still until the application says what to do ([`RecvError`]); call
    /// again for the others.
    ///
    /// # Cancel safety
    /// A dropped future took nothing: the next call brings what it would have brought.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, RecvError> {
        poll_fn(|cx| self.poll_batch(cx, usize::MAX)).await
    }

    /// The next record, with a copy of its data; waits for it. `None` once the consumer is closed.
    ///
    /// # Errors
    /// As [`Self::next`].
    ///
    /// # Cancel safety
    /// A dropped future took nothing: the next call brings what it would have brought.
    pub async fn recv(&mut self) -> Result<Option<Record>, RecvError> {
        poll_fn(|cx| self.poll_record(cx)).await
    }

    /// Records as a stream, as [`Self::recv`] hands them over. It ends when the consumer is closed, and when
    /// nothing is assigned, which it says first; not after another error.
    pub fn stream(&mut self) -> RecordStream<'_> {
        RecordStream { consumer: self, ended: false }
    }

    /// Waits for records, at most for `timeout`, and takes what is there then, at most `records_max` records (but at least one);
    /// they are grouped by partition. Nothing once the consumer is closed.
    ///
    /// # Errors
    /// As [`Self::next`]. An error never costs records: those before it are returned first, and the error at the next call.
    ///
    /// # Cancel safety
    /// A dropped future took nothing: the next call brings what it would have brought.
    pub async fn poll(&mut self, timeout: Duration, records_max: usize) -> Result<PolledRecords, RecvError> {
        let env = self.shared.client.env().clone();
        let records_max = records_max.max(1);
        let first = poll_fn(|cx| self.poll_batch(cx, records_max));
        let first = env.timeout_at(env.deadline_after(timeout), first).await;
        let mut polled = PolledRecords::default();
        let mut next = first.transpose()?.flatten();
        // From here on nothing is waited for, so that nothing that was taken can be dropped.
        while let Some(batch) = next {
            polled.push(batch);
            let room = records_max - polled.len();
            if room == 0 {
                break;
            }
            let delivery = self.shared.with(|subscription| subscription.poll_delivery(room));
            next = match delivery.map(|delivery| self.take(delivery)) {
                Some(Ok(batch)) => Some(batch),
                Some(Err(error)) => {
                    self.found_error = Some(error);
                    None
                }
                None => None,
            };
        }
        Ok(polled)
    }

    fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        records_max: usize,
    ) -> Poll<Result<Option<RecordBatch>, RecvError>> {
        if self.shared.is_closing() {
            return Poll::Ready(Ok(None));
        }
        if let Some(error) = self.found_error.take() {
            return Poll::Ready(Err(error));
        }
        if let Some(mut rest) = self.current.take().filter(|rest| !rest.is_empty()) {
            self.current = rest.split_off(records_max);
            return Poll::Ready(Ok(Some(rest)));
        }
        if !self.polling {
            self.polling = true;
            self.shared.metrics.record_poll_started(self.shared.metrics_time());
        }
        let delivery = match self.shared.poll_delivery(cx, records_max) {
            Poll::Ready(delivery) => self.take(delivery).map(Some),
            // Whoever closes does so first and wakes then: it is seen here, or it finds the waker.
            Poll::Pending if self.shared.is_closing() => Ok(None),
            Poll::Pending if self.interests.is_empty() => Err(RecvError::NothingAssigned),
            Poll::Pending => return Poll::Pending,
        };
        self.polling = false;
        self.shared.metrics.record_poll_ended(self.shared.metrics_time());
        Poll::Ready(delivery)
    }

    fn take(&self, delivery: Delivery) -> Result<RecordBatch, RecvError> {
        match delivery {
            Delivery::Error(error) => Err(error),
            Delivery::Batch { batch, lag, lead } => {
                let (now, metrics) = (self.shared.metrics_time(), &self.shared.metrics);
                if let Some(lag) = lag {
                    metrics.record_lag(now, batch.topic(), batch.partition(), lag);
                }
                if let Some(lead) = lead {
                    metrics.record_lead(now, batch.topic(), batch.partition(), lead);
                }
                Ok(batch)
            }
        }
    }

    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Record>, RecvError>> {
        loop {
            if self.shared.is_closing() {
                return Poll::Ready(Ok(None));
            }
            if let Some(record) = self.current.as_mut().and_then(RecordBatch::pop_front) {
                return Poll::Ready(Ok(Some(record)));
            }
            self.current = None;
            match self.poll_batch(cx, usize::MAX) {
                Poll::Ready(Ok(Some(batch))) => self.current = Some(batch),
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// See [`Consumer::stream`].
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
    /// Nothing is assigned, and nothing can be while the consumer is borrowed.
    ended: bool,
}

impl Stream for RecordStream<'_> {
    type Item = Result<Record, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.consumer.poll_record(cx);
        self.ended = matches!(polled, Poll::Ready(Err(RecvError::NothingAssigned)));
        polled.map(Result::transpose)
    }
}
