//! ConsumerGroupDescribe (KIP-848; Java: `KafkaApis.handleConsumerGroupDescribe`,
//! `GroupMetadataManager.consumerGroupDescribe`).

use milena_protocol::messages::consumer_group_describe_response::DescribedGroup;
use milena_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, GROUP_OPERATIONS};
use crate::group::consumer::Settings;
use crate::node::{Reply, RequestContext};
use crate::state::GROUP_VERSION;

impl Api for ConsumerGroupDescribeRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ConsumerGroupDescribeResponse> {
        if context.shared.state().features().level(GROUP_VERSION) < 1 {
            return self.refuse(context, ErrorCode::UnsupportedVersion);
        }
        let mut groups: Vec<_> = self.group_ids.iter().map(|group_id| describe(context, group_id)).collect();
        if self.include_authorized_operations {
            for group in groups.iter_mut().filter(|group| group.error_code.is_ok()) {
                group.authorized_operations = GROUP_OPERATIONS;
            }
        }
        ConsumerGroupDescribeResponse { groups, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ConsumerGroupDescribeResponse> {
        let groups = self.group_ids.into_iter().map(|group_id| failed(group_id, error_code));
        ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() }.into()
    }
}

fn describe(context: &RequestContext<'_>, group_id: &ByteStr) -> DescribedGroup {
    if group_id.is_empty() {
        return failed(group_id.clone(), ErrorCode::InvalidGroupId);
    }
    let state = context.shared.state();
    let settings = Settings::of_broker(&state.settings().groups.consumer);
    match context.groups(&state, group_id) {
        Ok(mut groups) => {
            groups.describe_consumer(group_id, &settings.assignors, &*state).unwrap_or_else(|error| {
                DescribedGroup {
                    error_message: Some(ByteStr::from(error.message)),
                    ..failed(group_id.clone(), error.code)
                }
            })
        }
        Err(error) => failed(group_id.clone(), error),
    }
}

fn failed(group_id: ByteStr, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code, ..Default::default() }
}
