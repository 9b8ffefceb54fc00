//! What is known of the cluster: brokers, topics, leaders.
//!
//! One task asks (`task`), a pure core decides what is asked when (`core`) and what of an answer is believed (`merge`),
//! everybody reads an immutable [`Metadata`] that is swapped as a whole.

mod core;
mod merge;
mod snapshot;
mod task;

#[cfg(test)]
mod tests;

pub use merge::LeaderHint;
pub use snapshot::{Broker, Metadata, PartitionMetadata, TopicMetadata, TopicPartition};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milena_protocol::ErrorCode;
use tokio::sync::Notify;

use crate::connection::RequestError;
use crate::env::{Env, Seen, Watch};
use core::{MetadataCore, MetadataCoreConfig};
pub(crate) use task::run;

/// The client's view of the cluster; cheap to clone.
#[derive(Clone)]
pub struct MetadataHandle {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    env: Env,
    core: Mutex<MetadataCore>,
    /// Wakes the task after something changed in the core.
    wake: Notify,
    published: Watch<Published>,
    /// The published snapshot's version, for readers that keep a copy and only want to know whether it is current.
    version: AtomicU64,
}

/// What waiters see.
#[derive(Clone, Default)]
struct Published {
    metadata: Arc<Metadata>,
    /// What the last attempt met, if it failed.
    failure: Option<RequestError>,
    /// How many attempts ended, in whatever way.
    attempts: u64,
}

impl MetadataHandle {
    pub(crate) fn new(env: Env, config: &crate::ClientConfig) -> Self {
        let core = MetadataCore::new(
            MetadataCoreConfig {
                bootstrap: config.bootstrap.clone(),
                max_age: config.metadata_max_age,
                retry_backoff: config.retry_backoff,
                recovery: config.metadata_recovery,
            },
            env.now(),
        );
        let shared = Shared {
            env,
            core: Mutex::new(core),
            wake: Notify::new(),
            published: Watch::default(),
            version: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The current picture.
    pub fn current(&self) -> Arc<Metadata> {
        self.shared.published.read(|published| published.metadata.clone())
    }

    /// The version of the current picture: one atomic load.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Asks the brokers again, after the back-off; returns at once. Call it when an answer shows that the picture is out of date.
    pub fn request_update(&self) {
        let unit_random = self.shared.env.random_unit();
        self.shared.lock().request_update(self.shared.env.now(), unit_random);
        self.shared.wake.notify_one();
    }

    /// Keeps `topic` in the picture as long as the returned guard lives. With `create`, brokers that allow it create the topic if
    /// it does not exist.
    pub fn interest(&self, topic: Arc<str>, create: bool) -> TopicInterest {
        let unit_random = self.shared.env.random_unit();
        self.shared.lock().add_interest(&topic, create, self.shared.env.now(), unit_random);
        self.shared.wake.notify_one();
        TopicInterest { handle: self.clone(), topic, create }
    }

    /// Keeps all topics in the picture as long as the returned guard lives.
    pub fn interest_in_all(&self) -> AllTopicsInterest {
        self.shared.lock().add_interest_in_all(self.shared.env.now());
        self.shared.wake.notify_one();
        AllTopicsInterest { handle: self.clone() }
    }

    /// Takes over leaders that the answer of a former leader told (KIP-951): no round trip for new metadata is needed.
    pub fn apply_leader_hints(&self, hints: &[LeaderHint], endpoints: &[Broker]) {
        let mut core = self.shared.lock();
        if core.handle_leader_hints(hints, endpoints) {
            self.shared.publish(&core, |_| {});
        }
    }

    /// Waits for the next picture after `version`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn changed_since(&self, version: u64) -> Arc<Metadata> {
        let newer = |metadata: &Arc<Metadata>| (metadata.version > version).then(|| metadata.clone());
        self.shared.published.wait_until(|published| newer(&published.metadata)).await
    }

    /// Waits until `topic`, for which the caller holds an interest, is known with at least one partition, or shown not to be
    /// usable, or until `deadline`. A refusal that was known before is asked about again: rights may have been granted since.
    ///
    /// # Errors
    /// [`TopicError`]; a missing topic is waited for, as it may be about to be created.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn wait_for_topic(
        &self,
        topic: &str,
        deadline: Instant,
    ) -> Result<Arc<TopicMetadata>, TopicError> {
        let version_before = self.version();
        let known = async {
            let mut seen = Seen::default();
            loop {
                let metadata =
                    self.shared.published.next(&mut seen, |published| published.metadata.clone()).await;
                if let Some(known) = metadata.topic(topic) {
                    match known.error {
                        _ if !known.partitions.is_empty() => return Ok(known.clone()),
                        ErrorCode::None => {}
                        code if code.is_retriable() => {}
                        _ if metadata.version == version_before => self.request_update(),
                        code => return Err(TopicError::Refused { topic: topic.to_owned(), code }),
                    }
                }
            }
        };
        if let Some(result) = self.shared.env.timeout_at(deadline, known).await {
            return result;
        }
        Err(self.shared.published.read(|published| TopicError::Timeout {
            topic: topic.to_owned(),
            code: published.metadata.topic(topic).map(|known| known.error).filter(|code| !code.is_ok()),
            failure: published.failure.clone().map(Box::new),
        }))
    }

    /// Waits for the first answer, or for the first round of attempts to fail.
    pub(crate) async fn first_attempt(&self) -> Result<(), RequestError> {
        let outcome = |published: &Published| published.failure.clone().map_or(Ok(()), Err);
        let ended = |published: &Published| (published.attempts > 0).then(|| outcome(published));
        self.shared.published.wait_until(ended).await
    }
}

impl std::fmt::Debug for MetadataHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataHandle").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, MetadataCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the core's picture. The core is locked meanwhile, so that of two pictures the newer one is shown last.
    fn publish(&self, core: &MutexGuard<'_, MetadataCore>, change: impl FnOnce(&mut Published)) {
        self.published.modify(|published| {
            published.metadata = core.snapshot().clone();
            change(published);
            self.version.store(published.metadata.version, Ordering::Release);
        });
    }

    /// Shows the core's picture after an attempt to renew it, and what the attempt met if it failed.
    fn publish_attempt(&self, core: &MutexGuard<'_, MetadataCore>, failure: Option<RequestError>) {
        self.publish(core, |published| {
            published.failure = failure;
            published.attempts += 1;
        });
    }
}

/// A topic that cannot be used, or is not known in time.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The broker says that the topic cannot be used.
    #[error("topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        code: ErrorCode,
    },
    /// The topic was not known in time.
    #[error("topic {topic}: no metadata in time{}", why(.code.as_ref(), .failure.as_deref()))]
    Timeout {
        /// The topic.
        topic: String,
        /// What brokers said of it.
        code: Option<ErrorCode>,
        /// What the last attempt to ask met.
        failure: Option<Box<RequestError>>,
    },
}

impl TopicError {
    /// Whether the same may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

fn why(code: Option<&ErrorCode>, failure: Option<&RequestError>) -> String {
    match (code, failure) {
        (_, Some(failure)) => format!("; the last attempt to ask failed: {failure}"),
        (Some(ErrorCode::UnknownTopicOrPartition), None) => {
            "; it does not exist: create it, or turn auto.create.topics.enable on".to_owned()
        }
        (Some(code), None) => format!("; the brokers answer {code}"),
        (None, None) => String::new(),
    }
}

/// Keeps a topic in the metadata; see [`MetadataHandle::interest`].
#[derive(Debug)]
pub struct TopicInterest {
    handle: MetadataHandle,
    topic: Arc<str>,
    create: bool,
}

impl Drop for TopicInterest {
    fn drop(&mut self) {
        self.handle.shared.lock().remove_interest(&self.topic, self.create);
    }
}

/// Keeps all topics in the metadata; see [`MetadataHandle::interest_in_all`].
#[derive(Debug)]
pub struct AllTopicsInterest {
    handle: MetadataHandle,
}

impl Drop for AllTopicsInterest {
    fn drop(&mut self) {
        self.handle.shared.lock().remove_interest_in_all();
    }
}
