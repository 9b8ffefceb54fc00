//! From input to acknowledgements.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use milena::producer::DeliveryError;
use milena::{Acknowledgement, Delivery, Env, HeaderRef, Producer, Record, TopicProducer};
use tokio::sync::mpsc::Receiver;

use super::Fixed;
use super::chunks::Delimiter;
use super::input::Chunk;
use super::line::LineFormat;
use super::outcome::Outcome;
use crate::failure::{Failure, error_line};
use crate::interrupt::{Interrupt, Signal};
use crate::output::Output;
use crate::progress::Progress;
use crate::senders::DRAIN_MAX;

/// Why no more records are sent.
pub(super) enum Ending {
    EndOfInput,
    Signal(Signal),
    /// A line, or reading itself, failed.
    Stopped(String),
}

/// What is being sent, and what has become of it so far.
pub(super) struct Sending {
    pub(super) producer: Producer,
    pub(super) topic: TopicProducer,
    pub(super) format: LineFormat,
    pub(super) delimiter: Delimiter,
    pub(super) fixed: Fixed,
    pub(super) keep_going: bool,
    pub(super) input_name: String,
    pub(super) lines_read: u64,
    /// Deliveries by the line they are of, in order. As many as the producer's buffer holds, and a chunk's.
    pub(super) pending: VecDeque<(u64, Delivery)>,
    pub(super) outcome: Outcome,
    pub(super) offsets: Option<Output>,
    pub(super) progress: Progress,
    pub(super) env: Env,
}

impl Sending {
    /// Sends until the input ends or something stops it, and takes note of what is acknowledged meanwhile.
    pub(super) async fn send_all(
        &mut self,
        mut chunks: Receiver<Chunk>,
        interrupt: &mut Interrupt,
    ) -> Result<Ending, Failure> {
        loop {
            tokio::select! {
                biased;
                signal = interrupt.wait() => return Ok(Ending::Signal(signal)),
                (line, result) = first(&mut self.pending) => self.note(line, &result)?,
                chunk = chunks.recv() => match chunk {
                    None => return Ok(Ending::EndOfInput),
                    Some(Err(error)) => return Ok(Ending::Stopped(format!("{}: {error}", self.input_name))),
                    Some(Ok(chunk)) => {
                        let stopped = tokio::select! {
                            biased;
                            signal = interrupt.wait() => Some(Ending::Signal(signal)),
                            sent = self.send_chunk(&chunk) => sent.err().map(Ending::Stopped),
                        };
                        self.progress.advance(chunk.len() as u64);
                        if let Some(ending) = stopped {
                            return Ok(ending);
                        }
                    }
                },
            }
        }
    }

    async fn send_chunk(&mut self, chunk: &[u8]) -> Result<(), String> {
        for line in self.delimiter.split(chunk) {
            self.lines_read += 1;
            let Err(problem) = self.send_line(line).await else { continue };
            self.outcome.refused += 1;
            let problem = format!("{}:{}: {problem}", self.input_name, self.lines_read);
            if !self.keep_going {
                return Err(problem);
            }
            self.progress.note(&error_line(problem));
        }
        Ok(())
    }

    async fn send_line(&mut self, line: &[u8]) -> Result<(), String> {
        let new = self.format.parse(line)?;
        let fixed_headers = self.fixed.headers.iter().map(|(name, value)| (name, Some(value)));
        let own_headers = new.headers.iter().map(|(name, value)| (name, value.as_ref()));
        let headers: Vec<_> = fixed_headers
            .chain(own_headers)
            .map(|(name, value)| HeaderRef { key: name, value: value.map(Vec::as_slice) })
            .collect();
        let key = new.key.as_deref().or(self.fixed.key.as_deref());
        let mut record = Record::new().maybe_key(key).maybe_value(new.value.as_deref()).headers(&headers);
        if let Some(partition) = new.partition.or(self.fixed.partition) {
            record = record.partition(partition);
        }
        if let Some(timestamp_ms) = new.timestamp_ms.or(self.fixed.timestamp_ms) {
            record = record.timestamp_ms(timestamp_ms);
        }
        let delivery = self.topic.send(record).await.map_err(|error| error.to_string())?;
        self.outcome.sent += 1;
        self.pending.push_back((self.lines_read, delivery));
        Ok(())
    }

    /// Waits for what was sent: as long as the producer allows, or briefly after a signal.
    pub(super) async fn drain(&mut self, ending: &Ending, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let deadline = match ending {
            Ending::Signal(_) => self.env.deadline_after(DRAIN_MAX),
            // The delivery timeout is the bound.
            Ending::EndOfInput | Ending::Stopped(_) => self.env.deadline_after(Duration::MAX),
        };
        // Sends without waiting for the linger. What fails is told by the deliveries.
        let producer = self.producer.clone();
        let flush = async move { drop(producer.flush().await) };
        tokio::pin!(flush);
        let mut flushed = false;
        while !self.pending.is_empty() {
            tokio::select! {
                biased;
                _ = interrupt.wait() => break,
                () = self.env.sleep_until(deadline) => break,
                (line, result) = first(&mut self.pending) => self.note(line, &result)?,
                () = &mut flush, if !flushed => flushed = true,
            }
        }
        self.offsets.as_mut().map_or(Ok(()), Output::flush)
    }

    fn note(&mut self, line: u64, result: &Result<Acknowledgement, DeliveryError>) -> Result<(), Failure> {
        if let Some(message) = self.outcome.delivered(line, result) {
            self.progress.note(&error_line(format_args!("{}:{message}", self.input_name)));
        }
        let Some(offsets) = &mut self.offsets else { return Ok(()) };
        if let Ok(ack) = result {
            let offset = ack.offset.map_or(Cow::Borrowed("?"), |offset| offset.to_string().into());
            offsets.write(format!("{}@{offset}\n", ack.topic_partition).as_bytes())?;
        }
        if self.pending.is_empty() { offsets.flush() } else { Ok(()) }
    }
}

/// The result of the oldest delivery, which is taken out; waits for ever when there is none.
async fn first(pending: &mut VecDeque<(u64, Delivery)>) -> (u64, Result<Acknowledgement, DeliveryError>) {
    let Some((line, delivery)) = pending.front_mut() else { return std::future::pending().await };
    let result = delivery.await;
    let line = *line;
    pending.pop_front();
    (line, result)
}
