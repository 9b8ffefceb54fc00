//! Members that go over to a group of the new consumer protocol, or come back from one
//! (Java: `ClassicGroup.fromConsumerGroup`). Pure.

use bytes::Bytes;
use milena_protocol::{ByteStr, ErrorCode};

use super::member::Member;
use super::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, State, join_refused, sync_refused};
use crate::clock::Moment;
use crate::config::GroupSettings;

/// A member on its way from one kind of group to the other. It goes on speaking the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::group) struct Migrant {
    pub(in crate::group) member_id: ByteStr,
    pub(in crate::group) group_instance_id: Option<ByteStr>,
    pub(in crate::group) client_id: ByteStr,
    pub(in crate::group) client_host: ByteStr,
    pub(in crate::group) rebalance_timeout_ms: i64,
    pub(in crate::group) session_timeout_ms: i64,
    /// Names and what the member says to each, the preferred first.
    pub(in crate::group) protocols: Vec<(ByteStr, Bytes)>,
    /// What the leader gave it; empty when it has nothing yet.
    pub(in crate::group) assignment: Bytes,
}

impl ClassicGroup {
    /// A group whose members have all been in a consumer group, and are now to join this one.
    pub(in crate::group) fn of_migrants(
        migrants: Vec<Migrant>,
        generation_id: i32,
        now: Moment,
        settings: &GroupSettings,
    ) -> Self {
        let mut group = Self::new(now);
        group.generation_id = generation_id;
        group.protocol_type = Some(ByteStr::from_static(CONSUMER_PROTOCOL_TYPE));
        for migrant in migrants {
            let member_id = migrant.member_id.clone();
            if let Some(group_instance_id) = &migrant.group_instance_id {
                group.static_members.insert(group_instance_id.clone(), member_id.clone());
            }
            group.leader.get_or_insert_with(|| member_id.clone());
            group.members.insert(member_id.clone(), Member::from(migrant));
            group.extend_session(&member_id, now);
        }
        group.protocol_name = group.select_protocol();
        group.enter_state(State::Stable, now);
        group.prepare_rebalance(now, settings);
        group
    }

    /// All members, should they go over to a consumer group.
    pub(in crate::group) fn migrants(&self) -> Vec<Migrant> {
        let migrant = |(member_id, member): (&ByteStr, &Member)| Migrant {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        };
        self.members.iter().map(migrant).collect()
    }

    /// The members have gone over: those that wait for answers are to join the new group.
    pub(in crate::group) fn dismiss(&mut self) {
        for (member_id, member) in &mut self.members {
            member.answer_join(|| join_refused(member_id.clone(), ErrorCode::RebalanceInProgress));
            member.answer_sync(|| sync_refused(ErrorCode::RebalanceInProgress));
        }
    }

    pub(in crate::group) fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// Whether its members are consumers.
    pub(in crate::group) fn is_consumers(&self) -> bool {
        self.is_of_consumers()
    }
}

impl From<Migrant> for Member {
    fn from(migrant: Migrant) -> Self {
        Self {
            group_instance_id: migrant.group_instance_id,
            client_id: migrant.client_id,
            client_host: migrant.client_host,
            rebalance_timeout_ms: migrant.rebalance_timeout_ms,
            session_timeout_ms: migrant.session_timeout_ms,
            protocols: migrant.protocols,
            assignment: migrant.assignment,
            join: None,
            sync: None,
            is_new: false,
        }
    }
}
