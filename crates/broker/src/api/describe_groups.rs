//! DescribeGroups (KIP-430, 1043; Java: `GroupMetadataManager.describeGroups`).

use milena_protocol::messages::describe_groups_response::DescribedGroup;
use milena_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, GROUP_OPERATIONS};
use crate::node::{Reply, RequestContext};

/// From this version on a group that is not there is an error, and before it is dead.
const NOT_FOUND_SINCE_VERSION: i16 = 6;

impl Api for DescribeGroupsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeGroupsResponse> {
        let mut groups: Vec<_> = self.groups.iter().map(|group_id| describe(context, group_id)).collect();
        if self.include_authorized_operations {
            for group in groups.iter_mut().filter(|group| group.error_code.is_ok()) {
                group.authorized_operations = GROUP_OPERATIONS;
            }
        }
        DescribeGroupsResponse { groups, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeGroupsResponse> {
        let groups = self.groups.into_iter().map(|group_id| failed(group_id, error_code)).collect();
        DescribeGroupsResponse { groups, ..Default::default() }.into()
    }
}

fn describe(context: &RequestContext<'_>, group_id: &ByteStr) -> DescribedGroup {
    let state = context.shared.state();
    let described = match context.groups(&state, group_id) {
        Ok(groups) => groups.describe_classic(group_id),
        Err(error) => return failed(group_id.clone(), error),
    };
    described.unwrap_or_else(|why| {
        let is_error = context.version >= NOT_FOUND_SINCE_VERSION;
        DescribedGroup {
            group_state: ByteStr::from_static("Dead"),
            error_message: is_error.then(|| why.into()),
            ..failed(group_id.clone(), if is_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None })
        }
    })
}

fn failed(group_id: ByteStr, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code, ..Default::default() }
}
