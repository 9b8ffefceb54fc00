//! DeleteGroups (KIP-229; Java: `GroupCoordinatorShard.deleteGroups`).

use milena_protocol::messages::delete_groups_response::DeletableGroupResult;
use milena_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::node::{Reply, RequestContext};

impl Api for DeleteGroupsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DeleteGroupsResponse> {
        let mut results: Vec<DeletableGroupResult> = Vec::new();
        for group_id in self.groups_names {
            let is_repeated = results.iter().any(|result| result.group_id == group_id);
            if !is_repeated {
                let deleted = delete(context, &group_id);
                results.push(result(group_id, deleted.err().unwrap_or(ErrorCode::None)));
            }
        }
        let deadline = context.group_write_deadline();
        for result in results.iter_mut().filter(|result| result.error_code != ErrorCode::NotCoordinator) {
            if let Some((partition, hold)) = context.held_for(&result.group_id)
                && let Err(error) = context.let_go(&partition, hold, deadline).await
            {
                result.error_code = error;
            }
        }
        DeleteGroupsResponse { results, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DeleteGroupsResponse> {
        let results = self.groups_names.into_iter().map(|group_id| result(group_id, error_code));
        DeleteGroupsResponse { results: results.collect(), ..Default::default() }.into()
    }
}

fn delete(context: &RequestContext<'_>, group_id: &str) -> Result<(), ErrorCode> {
    let state = context.shared.state();
    let mut groups = context.groups(&state, group_id)?;
    groups.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?.check_delete()?;
    context.begin_group_write(&state, &mut groups, group_id);
    groups.delete(group_id)
}

fn result(group_id: ByteStr, error_code: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult { group_id, error_code, ..Default::default() }
}
