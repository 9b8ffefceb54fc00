//! Waiting until a topic can be used everywhere.

use milena_client::{Address, RequestError, Target};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::admin::{metadata_request, usable};
use crate::routing::join_all;
use crate::topics::{TopicDescription, description};
use crate::{Admin, AdminError, AdminErrorReason};

impl Admin {
    /// Waits until all live brokers know `topic`, with the same number of partitions and a leader for each.
    ///
    /// A topic that was just created is known to the controller first; whoever asks another broker may be told that it does not
    /// exist.
    ///
    /// # Errors
    /// [`AdminErrorReason::NotReady`] with what was missing last when the time is up, [`AdminErrorReason::Refused`] when a
    /// broker says that the topic cannot be used, such as `TOPIC_AUTHORIZATION_FAILED`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn wait_until_ready(&self, topic: impl Into<String>) -> Result<TopicDescription, AdminError> {
        let topic = topic.into();
        let env = self.client().env();
        let deadline = self.deadline();
        let error = |reason| AdminError::new(format!("topic {topic}"), reason);
        let mut missing = "no broker answered".to_owned();
        let mut failures = 0;
        loop {
            match env.timeout_at(deadline, self.readiness(&topic)).await {
                None => return Err(error(AdminErrorReason::NotReady(not_ready(&missing)))),
                Some(Readiness::Ready(described)) => return Ok(described),
                Some(Readiness::Never(reason)) => return Err(error(reason)),
                Some(Readiness::NotYet(what)) => missing = what,
            }
            failures += 1;
            let wait = self.client().config().retry_backoff.delay(failures, env.random_unit());
            if env.deadline_after(wait) >= deadline {
                return Err(error(AdminErrorReason::NotReady(not_ready(&missing))));
            }
            env.sleep(wait).await;
        }
    }

    /// Asks every live broker.
    async fn readiness(&self, topic: &str) -> Readiness {
        let first = match self.client().resolve(&Target::Any).await {
            Ok(address) => self.ask_about(&address, topic).await,
            Err(error) => Err(error),
        };
        let metadata = match first {
            Ok(metadata) => metadata,
            Err(error) => return Readiness::of_error(error),
        };
        let brokers = metadata.brokers.iter().filter_map(|broker| {
            Some((broker.node_id, Address::new(&*broker.host, u16::try_from(broker.port).ok()?)))
        });
        let asked =
            brokers.map(|(node_id, address)| async move { (node_id, self.ask_about(&address, topic).await) });
        let mut agreed: Option<TopicDescription> = None;
        for (node_id, answer) in join_all(asked).await {
            let described = match answer.map(|metadata| known_at(node_id, metadata)) {
                Ok(Ok(described)) => described,
                Ok(Err(not_ready)) => return not_ready,
                Err(error) => return Readiness::of_error(error),
            };
            match &agreed {
                Some(other) if other.partitions.len() != described.partitions.len() => {
                    return Readiness::NotYet(format!(
                        "broker {node_id} knows {} partitions and another one {}",
                        described.partitions.len(),
                        other.partitions.len()
                    ));
                }
                _ => agreed = Some(described),
            }
        }
        agreed.map_or_else(|| Readiness::NotYet("there are no brokers".to_owned()), Readiness::Ready)
    }

    async fn ask_about(&self, address: &Address, topic: &str) -> Result<MetadataResponse, RequestError> {
        let request = metadata_request(Some(std::iter::once(topic)));
        let (_, response) = self.ask_at::<MetadataRequest>(address, request).await?;
        usable(response)
    }
}

fn not_ready(missing: &str) -> String {
    format!("not ready in time: {missing}")
}

enum Readiness {
    Ready(TopicDescription),
    NotYet(String),
    Never(AdminErrorReason),
}

impl Readiness {
    fn of_error(error: RequestError) -> Self {
        match error.is_retriable() {
            true => Self::NotYet(error.to_string()),
            false => Self::Never(AdminErrorReason::Request(error)),
        }
    }
}

/// What one broker knows of the topic; `Err` with why it is not all that is needed.
fn known_at(node_id: i32, metadata: MetadataResponse) -> Result<TopicDescription, Readiness> {
    let not_yet = |what: String| Err(Readiness::NotYet(what));
    let Some(topic) = metadata.topics.into_iter().next() else {
        return not_yet(format!("broker {node_id} does not mention it"));
    };
    match topic.error_code {
        ErrorCode::None => {}
        code if code.is_retriable() => return not_yet(format!("broker {node_id} answers {code}")),
        code => {
            let refused = AdminErrorReason::Refused { code, message: None, after_lost_answer: false };
            return Err(Readiness::Never(refused));
        }
    }
    let Some(described) = description(topic).filter(|described| !described.partitions.is_empty()) else {
        return not_yet(format!("broker {node_id} knows no partition of it"));
    };
    match described.partitions.iter().find(|partition| partition.leader.is_none()) {
        Some(leaderless) => {
            not_yet(format!("to broker {node_id}, partition {} has no leader", leaderless.partition))
        }
        None => Ok(described),
    }
}
