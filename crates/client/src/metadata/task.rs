//! The task that keeps the picture current.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use milena_protocol::messages::metadata_request::MetadataRequestTopic;
use milena_protocol::messages::{MetadataRequest, MetadataResponse};

use super::core::{Ask, Useless};
use super::{Metadata, MetadataHandle};
use crate::Address;
use crate::connection::RequestError;
use crate::env::Env;
use crate::metrics::{MetadataUpdated, Observer};
use crate::pool::BrokerPool;

/// How long one broker may think about a Metadata request before the next one is asked too; a hung broker must not hide the
/// others' knowledge for a whole request timeout.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whenever the core wants to know something. Runs until it is cancelled.
pub(crate) async fn run(handle: MetadataHandle, pool: Arc<BrokerPool>, observer: Option<Arc<dyn Observer>>) {
    let shared = &handle.shared;
    loop {
        let ask = shared.lock().poll_action(shared.env.now());
        if let Some(ask) = ask {
            let answer = ask_any(&shared.env, &pool, &ask).await;
            let (now, unit_random) = (shared.env.now(), shared.env.random_unit());
            let mut core = shared.lock();
            let failure = match answer {
                Ok((version, response)) => {
                    core.handle_response(&ask, version, response, now, unit_random).err().map(useless)
                }
                Err(error) => {
                    core.handle_failure(now, unit_random);
                    Some(error)
                }
            };
            let succeeded = failure.is_none();
            shared.publish_attempt(&core, failure);
            let snapshot = core.snapshot().clone();
            drop(core);
            if succeeded {
                pool.learn_nodes(&snapshot.brokers);
                if let Some(observer) = &observer {
                    observer.on_metadata_updated(&updated(&snapshot));
                }
            }
            continue;
        }
        let deadline = shared.lock().poll_timeout();
        match deadline {
            Some(deadline) => {
                // Woken or due: either way, look again.
                let _ = shared.env.timeout_at(deadline, shared.wake.notified()).await;
            }
            None => shared.wake.notified().await,
        }
    }
}

fn updated(metadata: &Metadata) -> MetadataUpdated {
    let partitions = metadata.topics.values().flat_map(|topic| &topic.partitions);
    MetadataUpdated {
        brokers: metadata.brokers.len(),
        topics: metadata.topics.len(),
        leaderless_partitions: partitions.filter(|partition| partition.leader.is_none()).count(),
    }
}

fn useless(answer: Useless) -> RequestError {
    RequestError::NoBroker(match answer {
        Useless::RebootstrapRequired => "the cluster sends its clients back to bootstrap.servers".to_owned(),
        Useless::NoBrokers => "the broker that answered does not know any broker yet".to_owned(),
    })
}

/// A response and the version it is in.
type Answer = Result<(i16, MetadataResponse), RequestError>;

/// Asks the most promising candidate, the next one at once when that fails and after [`PATIENCE`] when it is silent, and takes
/// the first answer. Fails when all have failed.
async fn ask_any(env: &Env, pool: &BrokerPool, ask: &Ask) -> Answer {
    if ask.afresh {
        pool.forget(&ask.candidates);
    }
    let candidates = pool.most_promising_first(ask.candidates.clone());
    let mut candidates = candidates.iter();
    let mut asked: Vec<Pin<Box<dyn Future<Output = Answer> + Send + '_>>> = Vec::new();
    let mut last_error = RequestError::NoBroker("no address is known".to_owned());
    let mut next_at = env.now();
    let mut timer = env.timer();
    poll_fn(|cx| {
        loop {
            let mut index = 0;
            while let Some(attempt) = asked.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, "metadata request failed");
                        last_error = error;
                        drop(asked.remove(index));
                        next_at = env.now();
                    }
                    Poll::Pending => index += 1,
                }
            }
            if candidates.len() > 0 {
                ready!(timer.poll_until(cx, Some(next_at)));
            }
            match candidates.next() {
                Some(address) => {
                    asked.push(Box::pin(ask_one(pool, ask, address)));
                    next_at = env.deadline_after(PATIENCE);
                }
                None if asked.is_empty() => return Poll::Ready(Err(last_error.clone())),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// One request, or two when some of several topics are to be created: the permission holds for all topics of a request.
async fn ask_one(pool: &BrokerPool, ask: &Ask, address: &Address) -> Answer {
    if ask.create.is_empty() {
        return request(pool, address, ask.topics.as_deref(), false).await;
    }
    let (version, mut created) = request(pool, address, Some(&ask.create), true).await?;
    if ask.topics.as_ref().is_none_or(|topics| !topics.is_empty()) {
        let (_, others) = request(pool, address, ask.topics.as_deref(), false).await?;
        // Where both have a topic the later answer counts, which stands behind.
        created.topics.extend(others.topics);
    }
    Ok((version, created))
}

async fn request(pool: &BrokerPool, address: &Address, topics: Option<&[Arc<str>]>, create: bool) -> Answer {
    let topics = topics.map(|topics| {
        let topic =
            |name: &Arc<str>| MetadataRequestTopic { name: Some((&**name).into()), ..Default::default() };
        topics.iter().map(topic).collect()
    });
    let request = MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() };
    pool.request(address, move |versions| Ok((request, versions.choose::<MetadataRequest>()?))).await
}
