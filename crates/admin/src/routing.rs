//! Requests that go to the leaders of partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use milena_client::{Address, RequestError, Target, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::Admin;
use crate::admin::{metadata_request, usable};
use crate::rounds::Verdict;

/// The first version of Metadata whose leader epochs are accurate while partitions are reassigned (KAFKA-9212).
const RELIABLE_EPOCHS_SINCE: i16 = 9;

/// A partition to ask its leader about, and the epoch in which that leads; -1 when it is not known.
pub(crate) type Led = (TopicPartition, i32);

impl Admin {
    /// Looks up the leaders of `partitions` and asks all of them at once by `ask`; one leader that hangs does not delay the
    /// question to another.
    pub(crate) async fn ask_leaders<T, F>(
        &self,
        partitions: Vec<TopicPartition>,
        ask: impl Fn(Address, Vec<Led>) -> F,
    ) -> Vec<(TopicPartition, Verdict<T>)>
    where
        F: Future<Output = Vec<(TopicPartition, Verdict<T>)>>,
    {
        let topics: BTreeSet<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
        let request = metadata_request(Some(topics.into_iter()));
        let answer = self.ask::<MetadataRequest>(&Target::Any, request).await;
        let (version, metadata) = match answer.and_then(|(version, answer)| Ok((version, usable(answer)?))) {
            Ok(metadata) => metadata,
            // Only the look-up was lost: nothing was asked of the leaders.
            Err(RequestError::Connection { error, .. }) => {
                return Verdict::lost(partitions, &RequestError::Connection { error, possibly_sent: false });
            }
            Err(error) => return Verdict::lost(partitions, &error),
        };
        let mut verdicts = Vec::new();
        let mut by_leader: BTreeMap<Address, Vec<Led>> = BTreeMap::new();
        for partition in partitions {
            match leader(&metadata, &partition) {
                Ok((leader, leader_epoch)) => {
                    let leader_epoch = if version >= RELIABLE_EPOCHS_SINCE { leader_epoch } else { -1 };
                    by_leader.entry(leader).or_default().push((partition, leader_epoch));
                }
                Err(code) => {
                    verdicts.push((partition, Verdict::Refused { code, message: None }));
                }
            }
        }
        let asked = by_leader.into_iter().map(|(address, led)| ask(address, led));
        for answer in join_all(asked).await {
            verdicts.extend(answer);
        }
        verdicts
    }
}

/// Where a partition's leader listens, and the epoch in which it leads.
fn leader(metadata: &MetadataResponse, partition: &TopicPartition) -> Result<(Address, i32), ErrorCode> {
    let topic = metadata.topics.iter().find(|topic| topic.name.as_deref() == Some(&*partition.topic));
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic.error_code != ErrorCode::None {
        return Err(topic.error_code);
    }
    let known = topic.partitions.iter().find(|known| known.partition_index == partition.partition);
    let known = known.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let broker = metadata.brokers.iter().find(|broker| broker.node_id == known.leader_id);
    let broker = broker.ok_or(ErrorCode::LeaderNotAvailable)?;
    let port = u16::try_from(broker.port).map_err(|_| ErrorCode::LeaderNotAvailable)?;
    Ok((Address::new(&*broker.host, port), known.leader_epoch))
}

/// Runs futures side by side and returns what they bring, in their order.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    let all_done = poll_fn(|cx| {
        let mut done = true;
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => done = false,
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    });
    pin!(all_done).await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
