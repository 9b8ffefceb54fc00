//! A member of a classic group (Java: `ClassicGroupMember`). Pure.

use bytes::Bytes;
use milena_protocol::ByteStr;
use milena_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::{Slot, fill};

/// A member. What is kept here shares no received frame.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) group_instance_id: Option<ByteStr>,
    pub(super) client_id: ByteStr,
    pub(super) client_host: ByteStr,
    pub(super) rebalance_timeout_ms: i64,
    pub(super) session_timeout_ms: i64,
    /// Names and what the member says to each, the preferred first.
    pub(super) protocols: Vec<(ByteStr, Bytes)>,
    /// What the leader gave it in this generation; empty before.
    pub(super) assignment: Bytes,
    /// It has joined and waits for the others.
    pub(super) join: Option<Slot<JoinGroupResponse>>,
    /// It has synced and waits for the leader.
    pub(super) sync: Option<Slot<SyncGroupResponse>>,
    /// It has never been told that it is a member.
    pub(super) is_new: bool,
}

impl Member {
    pub(super) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    pub(super) fn is_joining(&self) -> bool {
        self.join.is_some()
    }

    /// Whether it need not show that it is alive: it waits for us. A new one, whose client may be gone, must.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// What it says to a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Answers its join, if it waits for that. Whether it did.
    pub(super) fn answer_join(&mut self, answer: impl FnOnce() -> JoinGroupResponse) -> bool {
        self.join.take().map(|slot| fill(slot, answer())).is_some()
    }

    /// Answers its sync, if it waits for that. Whether it did.
    pub(super) fn answer_sync(&mut self, answer: impl FnOnce() -> SyncGroupResponse) -> bool {
        self.sync.take().map(|slot| fill(slot, answer())).is_some()
    }
}
