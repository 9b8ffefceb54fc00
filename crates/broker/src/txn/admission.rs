//! Whether the coordinator lets transactional batches into partitions (KIP-890; Java:
//! `ReplicaManager.handleProduceAppend`, `AddPartitionsToTxnManager`).
//!
//! A partition asks before the first batch of each transaction. Newer clients have their partitions added by that;
//! older ones must have added them before.

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::{ByteStr, ErrorCode};
use milena_records::BatchHeader;

use super::Coordinator;
use super::transaction::{Level, Producer, TopicPartition};
use crate::log::{AppendError, Verified};
use crate::node::RequestContext;
use crate::shared::Shared;
use crate::state::{Partition, ProduceTerms};

/// What a client expects of the coordinator, by the version of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The partitions must have been added; `TRANSACTION_ABORTABLE` is not known.
    VerifyWithOldErrors,
    /// The partitions must have been added.
    Verify,
    /// The partitions are added.
    Add,
}

/// Why a batch is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<ByteStr>,
}

/// A transactional batch and the partition that it is for.
pub(crate) type Candidate = (Arc<Partition>, BatchHeader);

impl Admission {
    pub(crate) fn of_produce(version: i16) -> Self {
        match version {
            12.. => Self::Add,
            11 => Self::Verify,
            _ => Self::VerifyWithOldErrors,
        }
    }

    pub(crate) fn of_txn_offset_commit(version: i16) -> Self {
        match version {
            5.. => Self::Add,
            4 => Self::Verify,
            _ => Self::VerifyWithOldErrors,
        }
    }
}

/// Asks the coordinator about the batches of one producer, each for another partition.
pub(crate) async fn admit(
    context: &RequestContext<'_>,
    transactional_id: &str,
    admission: Admission,
    candidates: &[Candidate],
    terms: &ProduceTerms,
) -> Vec<Result<Verified, Refusal>> {
    let settings = context.shared.state().settings().transactions.clone();
    if !settings.verify_partitions && admission != Admission::Add {
        return vec![Ok(Verified::NotRequired); candidates.len()];
    }
    let ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    let give_up = context.shared.clock.instant() + ms(settings.add_partitions_retry_max_ms);
    loop {
        let answers = admit_once(context.shared, transactional_id, admission, candidates, terms);
        let is_ending = answers.contains(&Err(ErrorCode::ConcurrentTransactions));
        // The markers of the last transaction may be on their way: cheaper to wait here than to have the batch again.
        if !is_ending || admission != Admission::Add || context.shared.clock.instant() >= give_up {
            return answers
                .into_iter()
                .map(|answer| answer.map_err(|code| refusal(code, admission)))
                .collect();
        }
        tokio::time::sleep(ms(settings.add_partitions_retry_ms)).await;
    }
}

fn admit_once(
    shared: &Shared,
    transactional_id: &str,
    admission: Admission,
    candidates: &[Candidate],
    terms: &ProduceTerms,
) -> Vec<Result<Verified, ErrorCode>> {
    let mut answers = Vec::new();
    let mut to_ask: Vec<TopicPartition> = Vec::new();
    let mut asked = Vec::new();
    for (partition, batch) in candidates {
        answers.push(match partition.begin_verification(batch, admission == Admission::Add, terms) {
            Ok(None) => Ok(Verified::No),
            Ok(Some(guard)) => {
                asked.push(answers.len());
                to_ask.push((partition.topic.clone(), partition.index));
                Ok(Verified::By(guard))
            }
            Err(error) => Err(AppendError::from(error).code()),
        });
    }
    let producer =
        candidates.first().map(|(_, batch)| Producer { id: batch.producer_id, epoch: batch.producer_epoch });
    if let Some(producer) = producer.filter(|_| !to_ask.is_empty()) {
        let told = consult(shared, transactional_id, |coordinator| {
            verdicts(shared, coordinator, transactional_id, producer, admission, &to_ask)
        });
        let verdicts = told.unwrap_or_else(|error| vec![error; to_ask.len()]);
        for (index, verdict) in asked.into_iter().zip(verdicts) {
            if !verdict.is_ok() {
                answers[index] = Err(verdict);
            }
        }
    }
    answers
}

/// Does something with a partition while the coordinator stands by that the transaction includes it: the transaction
/// does not end meanwhile.
pub(crate) fn while_admitted<T>(
    shared: &Shared,
    transactional_id: &str,
    producer: Producer,
    admission: Admission,
    partition: TopicPartition,
    work: impl FnOnce() -> T,
) -> Result<T, ErrorCode> {
    consult(shared, transactional_id, |coordinator| {
        let verdicts = verdicts(shared, coordinator, transactional_id, producer, admission, &[partition]);
        match verdicts.into_iter().find(|verdict| !verdict.is_ok()) {
            Some(error) => Err(error),
            None => Ok(work()),
        }
    })?
}

/// Asks the coordinator, as far as it can be reached.
fn consult<T>(
    shared: &Shared,
    transactional_id: &str,
    question: impl FnOnce(&mut Coordinator) -> T,
) -> Result<T, ErrorCode> {
    let coordinator = shared.transaction_coordinator(transactional_id);
    match coordinator.and_then(|node| shared.node(node)) {
        None => Err(ErrorCode::CoordinatorNotAvailable),
        Some(node) if !node.serves() => Err(ErrorCode::NetworkException),
        Some(_) => Ok(shared.coordinate(transactional_id, question)),
    }
}

/// What the coordinator says of each partition, as a partition's leader tells its client.
fn verdicts(
    shared: &Shared,
    coordinator: &mut Coordinator,
    transactional_id: &str,
    producer: Producer,
    admission: Admission,
    partitions: &[TopicPartition],
) -> Vec<ErrorCode> {
    let answer = match admission {
        Admission::Add => {
            let added = shared.step(coordinator, transactional_id, |coordinator| {
                let now_ms = shared.clock.now_ms();
                coordinator.add_partitions(transactional_id, producer, partitions, Level::EPOCH_BUMP, now_ms)
            });
            added.map(|()| vec![ErrorCode::None; partitions.len()])
        }
        Admission::Verify | Admission::VerifyWithOldErrors => {
            coordinator.verify_partitions(transactional_id, producer, partitions)
        }
    };
    let as_told = |code| match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if admission == Admission::VerifyWithOldErrors => {
            ErrorCode::InvalidTxnState
        }
        code => code,
    };
    let answers = answer.unwrap_or_else(|code| vec![code; partitions.len()]);
    answers.into_iter().map(as_told).collect()
}

/// Errors of the coordinator that producers would not retry are told as one that they do.
fn refusal(code: ErrorCode, admission: Admission) -> Refusal {
    let is_retriable = match code {
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => true,
        ErrorCode::ConcurrentTransactions => admission != Admission::Add,
        _ => false,
    };
    if is_retriable {
        let message =
            format!("the coordinator could not verify the transaction's partition: {}", code.name());
        return Refusal { code: ErrorCode::NotEnoughReplicas, message: Some(message.into()) };
    }
    let is_missing = code == ErrorCode::InvalidTxnState;
    let message = is_missing.then(|| ByteStr::from_static("the partition was not added to the transaction"));
    Refusal { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_clients_retry_what_newer_ones_wait_for() {
        let concurrent = |admission| refusal(ErrorCode::ConcurrentTransactions, admission).code;
        assert_eq!(concurrent(Admission::Add), ErrorCode::ConcurrentTransactions);
        assert_eq!(concurrent(Admission::Verify), ErrorCode::NotEnoughReplicas);
        assert_eq!(refusal(ErrorCode::NotCoordinator, Admission::Add).code, ErrorCode::NotEnoughReplicas);
    }

    #[test]
    fn what_is_expected_follows_from_the_version() {
        let of_produce = [10, 11, 12, 13].map(Admission::of_produce);
        let of_offsets = [3, 4, 5].map(Admission::of_txn_offset_commit);
        use Admission::{Add, Verify, VerifyWithOldErrors};
        assert_eq!(of_produce, [VerifyWithOldErrors, Verify, Add, Add]);
        assert_eq!(of_offsets, [VerifyWithOldErrors, Verify, Add]);
    }
}
