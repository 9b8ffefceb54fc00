//! Who may commit and fetch a group's offsets (Java: `ConsumerGroup.validateOffsetCommit`, `validateOffsetFetch`).

use milena_protocol::{ErrorCode, Uuid};

use super::GroupError;
use super::member::{HeldPartitions, Member};
use super::state::ConsumerGroup;
use crate::group::Committer;

/// The first version of OffsetCommit that members of the new protocol may use: it knows their errors.
const COMMIT_SINCE_VERSION: i16 = 9;

/// What may be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommitCheck {
    /// Offsets of any partition.
    Any,
    /// The member lags behind its epoch: offsets of partitions that it has held since its own (KIP-1251).
    Held {
        /// With the epochs in which the member got them.
        held: HeldPartitions,
        member_epoch: i32,
        /// The error for all others.
        otherwise: ErrorCode,
    },
}

impl CommitCheck {
    /// Whether the offset of a partition may be committed.
    pub(crate) fn partition(&self, topic: &Uuid, partition: i32) -> Result<(), ErrorCode> {
        let Self::Held { held, member_epoch, otherwise } = self else { return Ok(()) };
        match held.get(topic).and_then(|partitions| partitions.get(&partition)) {
            Some(since) if since <= member_epoch => Ok(()),
            _ => Err(*otherwise),
        }
    }
}

impl ConsumerGroup {
    /// Whether offsets may be committed, and which.
    pub(crate) fn check_commit(&self, by: Committer<'_>) -> Result<CommitCheck, GroupError> {
        let member_epoch = by.generation_or_epoch;
        // Who is not a member may commit while there are none.
        if member_epoch < 0 && self.is_empty() {
            return Ok(CommitCheck::Any);
        }
        // A transaction need not say which member it is of.
        let is_anonymous = member_epoch == -1 && by.member_id.is_empty() && by.group_instance_id.is_none();
        if by.is_transactional && is_anonymous {
            return Ok(CommitCheck::Any);
        }
        let member = self.member(by.member_id)?;
        if !by.is_transactional && !member.is_classic() && by.api_version < COMMIT_SINCE_VERSION {
            let message =
                "OffsetCommit version 9 or above must be used by members using the consumer group protocol";
            return Err(GroupError::new(ErrorCode::UnsupportedVersion, message));
        }
        if member_epoch > member.member_epoch {
            let message = format!(
                "Received member epoch {member_epoch} is newer than current member epoch {}.",
                member.member_epoch
            );
            return Err(GroupError::new(stale(member), message));
        }
        Ok(match member_epoch == member.member_epoch {
            true => CommitCheck::Any,
            false => CommitCheck::Held { held: member.all_held(), member_epoch, otherwise: stale(member) },
        })
    }

    /// Whether offsets may be fetched.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), GroupError> {
        let Some(member_id) = member_id.or((member_epoch >= 0).then_some("")) else { return Ok(()) };
        let member = self.member(member_id)?;
        if member.member_epoch == member_epoch {
            return Ok(());
        }
        let message = format!(
            "The received member epoch {member_epoch} does not match the expected member epoch {}.",
            member.member_epoch
        );
        Err(GroupError::new(stale(member), message))
    }
}

/// The error for a wrong epoch, in the member's protocol.
fn stale(member: &Member) -> ErrorCode {
    match member.is_classic() {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    }
}
