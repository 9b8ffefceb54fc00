//! From the consumer to standard output, until there is nothing left to read.

use std::collections::BTreeSet;
use std::time::Duration;

use milena::consumer::RecvError;
use milena::{Consumer, RecordBatch, TopicPartition};

use super::format::{Format, ShownRecord};
use super::limits::Limits;
use crate::failure::{Failure, error_line, warning_line};
use crate::output::Output;

/// With `--exit`, how often to look whether a position has passed over the last records, which may be none that are shown.
const POSITIONS_LOOKED_AT_EVERY: Duration = Duration::from_millis(100);

/// How records are shown.
pub(super) struct Shown {
    pub(super) format: Format,
    pub(super) null: Vec<u8>,
}

/// What the consumer gives.
type Next = Result<Option<RecordBatch>, RecvError>;

/// Reading, in the middle of it.
pub(super) struct Reading<'a> {
    pub(super) consumer: Consumer,
    pub(super) limits: Limits,
    pub(super) shown: &'a Shown,
    pub(super) output: Output,
    pub(super) buffer: Vec<u8>,
    pub(super) keep_going: bool,
    pub(super) errors: u64,
    /// Partitions that stand still after an error, so that nothing more will come of them.
    pub(super) stopped: BTreeSet<TopicPartition>,
}

impl Reading<'_> {
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        while !self.limits.are_reached() && !self.all_have_stopped() {
            let next = match self.next_at_once().await {
                Some(next) => Some(next),
                None => {
                    // Before a wait, what was written is brought to the reader, who may have had enough.
                    self.output.flush()?;
                    self.next().await
                }
            };
            match next {
                Some(Ok(Some(batch))) => self.show(&batch)?,
                Some(Ok(None)) => break,
                Some(Err(error)) => self.pass(&error)?,
                None => self.look_at_positions(),
            }
        }
        match self.errors {
            0 => Ok(()),
            1 => Err(Failure::operation("went on after an error")),
            errors => Err(Failure::Operation(format!("went on after {errors} errors"))),
        }
    }

    /// Whether every partition stands still: waiting would be for ever.
    fn all_have_stopped(&self) -> bool {
        !self.stopped.is_empty() && self.stopped.len() == self.consumer.assignment().len()
    }

    /// The next batch if it is there.
    async fn next_at_once(&mut self) -> Option<Next> {
        tokio::select! {
            biased;
            next = self.consumer.next() => Some(next),
            () = std::future::ready(()) => None,
        }
    }

    /// The next batch; `None` when it is time to look at the positions.
    async fn next(&mut self) -> Option<Next> {
        let has_ends = self.limits.ends.is_some();
        let env = self.consumer.client().env().clone();
        tokio::select! {
            biased;
            next = self.consumer.next() => Some(next),
            () = env.sleep(POSITIONS_LOOKED_AT_EVERY), if has_ends => None,
        }
    }

    fn show(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.buffer.clear();
        let partition = batch.topic_partition();
        for record in batch {
            if !self.limits.take(partition, record.offset) {
                break;
            }
            let record = ShownRecord::new(batch.topic(), batch.partition(), &record);
            self.shown.format.write(&record, &self.shown.null, &mut self.buffer);
        }
        self.output.write(&self.buffer)?;
        self.advance(partition, batch.next_offset());
        Ok(())
    }

    /// The last offsets of a partition may be none of records: markers of transactions, what was aborted or compacted.
    fn look_at_positions(&mut self) {
        for partition in self.limits.unfinished() {
            if let Ok(Some(position)) = self.consumer.position(&partition) {
                self.advance(&partition, position.offset);
            }
        }
    }

    fn advance(&mut self, partition: &TopicPartition, position: i64) {
        if self.limits.advance(partition, position) {
            // It is assigned: positions of others are not looked at.
            let _paused = self.consumer.pause(std::slice::from_ref(partition));
        }
    }

    /// Ends reading, or says what is passed over.
    fn pass(&mut self, error: &RecvError) -> Result<(), Failure> {
        match error {
            // Attempts go on by themselves.
            RecvError::Broker { .. } => {
                eprintln!("{}", warning_line(error));
                return Ok(());
            }
            _ if !self.keep_going => return Err(Failure::operation(error)),
            _ => {}
        }
        eprintln!("{}", error_line(error));
        self.errors += 1;
        match (error, error.partition()) {
            (RecvError::Corrupt { partition, next_offset: Some(next), .. }, _) => {
                self.consumer.seek(partition, *next).map_err(Failure::operation)?;
            }
            (_, Some(partition)) => {
                self.advance(partition, i64::MAX);
                self.stopped.insert(partition.clone());
            }
            (_, None) => return Err(Failure::operation(error)),
        }
        Ok(())
    }
}
