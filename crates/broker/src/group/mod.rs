//! Groups and their committed offsets (Java: `org.apache.kafka.coordinator.group`).
//!
//! # How it fits together
//!
//! ```text
//!   api/join_group.rs ...  handlers: who coordinates? lock, ask the core, wait for its answer without the lock
//!   group/driver.rs        the lock around the core, the task that wakes it, waiting for answers
//!   group/registry.rs      Groups: group id -> Group, and Offsets; pure, as everything below
//!   group/requests.rs      what clients ask of groups of any kind
//!   group/classic/         groups of the classic protocol
//!   group/consumer/        groups of the new consumer protocol
//!   group/offsets.rs       committed offsets of all kinds of groups, pending ones of transactions included
//! ```
//!
//! # The contract
//!
//! - **Time** comes in as a [`Moment`](crate::clock::Moment): deadlines are `elapsed_ms`, timestamps `wall_ms`. The
//!   core has no clock. Randomness is the registry's.
//! - **Deadlines**: a group keeps its own [`Timers`]; [`Group::next_deadline`] says when it wants to be woken, and
//!   [`Group::handle_timeout`] is what it does then. Whoever changes a group does so through [`Groups::update`], which
//!   keeps the order of all groups' deadlines; the driver's one task sleeps until the first of them, and is woken when
//!   the first one changes.
//! - **Waiting** answers are [`Slot`]s that the core holds and fills exactly once; the handler awaits the other end
//!   with [`RequestContext::answer_of_group`](crate::node::RequestContext::answer_of_group), after it has released the
//!   lock. When the client hangs up, the slot's other end is gone and filling it is harmless.
//! - **Coordination**: handlers get at the core with
//!   [`RequestContext::groups`](crate::node::RequestContext::groups), which refuses with `NOT_COORDINATOR` what belongs
//!   to another node. The state is shared in the process, so a coordinator that moves loses nothing; but
//!   [`Group::handle_moved`] answers who waits with `NOT_COORDINATOR` and begins all sessions anew, as a coordinator
//!   does that has just loaded a group. It happens when the registry first sees the new [`Tenure`].
//! - **Locks**: the cluster's state, then groups, then a partition. Look up topics before, or while holding the state.
//! - **Kinds**: a group is a variant of [`Group`]. Another kind adds a variant, its arm in each method of `Group`, and
//!   a directory beside `classic`. An empty group of one kind becomes one of another by assigning the `Option<Group>`
//!   in [`Groups::update`]; its offsets stay, because they are not the group's.
//! - **Offsets** outlive groups only as far as [`Groups::delete`] and [`Groups::expire_offsets`] let them. A commit to
//!   a group that does not exist makes an empty classic group, as in Kafka. Transactions use
//!   [`Offsets::commit_pending`] and [`Offsets::complete`].

mod classic;
pub(crate) mod consumer;
mod driver;
mod offsets;
mod registry;
mod requests;
mod timers;

use milena_protocol::{ByteStr, ErrorCode};
use tokio::sync::oneshot;

pub(crate) use classic::{ClassicGroup, JoiningClient};
pub(crate) use driver::{Coordinator, keep_groups};
pub(crate) use offsets::{CommittedOffset, Offsets, TransactionEnd};
pub(crate) use registry::{Groups, Tenure};
pub(crate) use timers::Timers;

use crate::clock::Moment;
use crate::config::GroupSettings;
use consumer::{CommitCheck, ConsumerGroup};

/// Where an answer goes that is not known yet.
pub(crate) type Slot<T> = oneshot::Sender<T>;

/// A group, by the protocol that its members speak.
#[derive(Debug)]
pub(crate) enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// A group as ListGroups tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupListing {
    pub(crate) protocol_type: ByteStr,
    /// As clients know it, such as `Stable`.
    pub(crate) state: &'static str,
    /// As clients know it, such as `classic`.
    pub(crate) kind: &'static str,
}

/// Who commits offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// Empty when it is not a member.
    pub(crate) member_id: &'a str,
    pub(crate) group_instance_id: Option<&'a str>,
    /// The generation id, or the member epoch; negative when it is not a member.
    pub(crate) generation_or_epoch: i32,
    pub(crate) is_transactional: bool,
    pub(crate) api_version: i16,
}

/// Which of a group's offsets may expire (Java: `OffsetExpirationCondition`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetExpiry {
    /// None: members may need them.
    Never,
    /// Those committed long ago.
    SinceCommit,
    /// All, once this moment of the wall clock is long ago: when the group became empty.
    Since { wall_ms: i64 },
}

impl Group {
    pub(crate) fn listing(&self) -> GroupListing {
        match self {
            Self::Classic(group) => group.listing(),
            Self::Consumer(group) => group.listing(),
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// When it wants to be woken next.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => group.next_deadline(),
        }
    }

    /// Does what time demands.
    pub(crate) fn handle_timeout(&mut self, now: Moment, settings: &GroupSettings) {
        match self {
            Self::Classic(group) => group.handle_timeout(now, settings),
            Self::Consumer(group) => {
                group.handle_timeout(now.elapsed_ms);
                self.maybe_downgrade(now, settings);
            }
        }
    }

    /// Ends the sessions of all members, as if they had been silent.
    pub(crate) fn expire_sessions(&mut self, now: Moment, settings: &GroupSettings) {
        match self {
            Self::Classic(group) => group.expire_sessions(now, settings),
            // Whatever it waits for, it is something that a member owes.
            Self::Consumer(group) => group.handle_timeout(i64::MAX),
        }
    }

    /// The coordinator is another one, or the same one restarted: who waits is told, and sessions begin anew.
    pub(crate) fn handle_moved(&mut self, now: Moment) {
        match self {
            Self::Classic(group) => group.handle_moved(now),
            Self::Consumer(group) => group.handle_moved(now.elapsed_ms),
        }
    }

    /// Whether offsets may be committed, and which; a member that commits shows that it is alive.
    pub(crate) fn handle_offset_commit(
        &mut self,
        by: Committer<'_>,
        now: Moment,
    ) -> Result<CommitCheck, ErrorCode> {
        match self {
            Self::Classic(group) => group.handle_offset_commit(by, now).map(|()| CommitCheck::Any),
            Self::Consumer(group) => group.check_commit(by).map_err(|error| error.code),
        }
    }

    /// Whether this member may fetch the group's offsets.
    pub(crate) fn check_offset_fetch(
        &self,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => group.check_fetch(member_id, member_epoch).map_err(|error| error.code),
        }
    }

    /// Whether offsets may be deleted at all; those of topics that it [is subscribed to](Self::is_subscribed_to) may not.
    pub(crate) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_offset_delete(),
            Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether the group may be deleted.
    pub(crate) fn check_delete(&self) -> Result<(), ErrorCode> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    pub(crate) fn offset_expiry(&self) -> OffsetExpiry {
        match self {
            Self::Classic(group) => group.offset_expiry(),
            Self::Consumer(_) => OffsetExpiry::SinceCommit,
        }
    }
}
