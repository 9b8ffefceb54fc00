//! ListGroups (KIP-518, 848; Java: `GroupMetadataManager.listGroups`).

use milena_protocol::messages::list_groups_response::ListedGroup;
use milena_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::node::{Reply, RequestContext};

impl Api for ListGroupsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ListGroupsResponse> {
        let is_in = |filter: &[ByteStr], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let mut groups = Vec::new();
        for (group_id, listing) in context.listed_groups() {
            // Types, unlike states, are compared with the blanks around them.
            let is_of_type = self.types_filter.is_empty()
                || self.types_filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(listing.kind));
            if is_of_type && is_in(&self.states_filter, listing.state) {
                groups.push(ListedGroup {
                    group_id,
                    protocol_type: listing.protocol_type,
                    group_state: ByteStr::from_static(listing.state),
                    group_type: ByteStr::from_static(listing.kind),
                    ..Default::default()
                });
            }
        }
        ListGroupsResponse { groups, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ListGroupsResponse> {
        ListGroupsResponse { error_code, ..Default::default() }.into()
    }
}
