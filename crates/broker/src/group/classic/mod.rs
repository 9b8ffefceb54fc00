//! Groups of the classic protocol (Java: `ClassicGroup`). Pure.

use milena_protocol::{ByteStr, ErrorCode};

use super::{Committer, GroupListing, OffsetExpiry};
use crate::clock::Moment;
use crate::config::GroupSettings;

/// A group whose members, if any, agree by joining and syncing.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    /// `None` for a group that only has offsets.
    protocol_type: Option<ByteStr>,
}

impl ClassicGroup {
    /// An empty group.
    pub(crate) fn new(_now: Moment) -> Self {
        Self { protocol_type: None }
    }

    pub(super) fn listing(&self) -> GroupListing {
        GroupListing {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: "Empty",
            kind: "classic",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        None
    }

    pub(super) fn handle_timeout(&mut self, _now: Moment, _settings: &GroupSettings) {}

    pub(super) fn handle_moved(&mut self, _now: Moment) {}

    pub(super) fn handle_offset_commit(&mut self, by: Committer<'_>, _now: Moment) -> Result<(), ErrorCode> {
        match by.generation_or_epoch {
            ..0 => Ok(()),
            0.. => Err(ErrorCode::UnknownMemberId),
        }
    }

    pub(super) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        Ok(())
    }

    pub(super) fn is_subscribed_to(&self, _topic: &str) -> bool {
        false
    }

    pub(super) fn offset_expiry(&self) -> OffsetExpiry {
        OffsetExpiry::SinceCommit
    }
}
