//! How long a broker asks a client to be silent (KIP-219).

use milena_protocol::ApiKey;

/// The `throttle_time_ms` of an answer, where the client is to keep to it and where the field is the first of the body.
///
/// Before the version given here the broker has waited itself before it answered (`AbstractResponse.shouldClientThrottle` and
/// its overrides). Produce has the field at its end: who decodes that answer passes it on by
/// [`super::Connection::throttle`].
pub(super) fn asked_for(api: ApiKey, version: i16, frame: &[u8]) -> Option<i32> {
    if version < honoured_since(api)? {
        return None;
    }
    let body = frame.get(CORRELATION_ID_BYTES..)?;
    let body = match api.response_header_version(version) {
        0 => body,
        // Nobody has defined a tagged field for the header yet; behind one the body would begin later.
        _ => body.strip_prefix(&[NO_TAGGED_FIELDS])?,
    };
    body.first_chunk().copied().map(i32::from_be_bytes)
}

const CORRELATION_ID_BYTES: usize = 4;
const NO_TAGGED_FIELDS: u8 = 0;

fn honoured_since(api: ApiKey) -> Option<i16> {
    Some(match api {
        ApiKey::Fetch => 8,
        ApiKey::Metadata => 6,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 4,
        ApiKey::CreateTopics | ApiKey::JoinGroup | ApiKey::ListOffsets => 3,
        ApiKey::DeleteTopics
        | ApiKey::DescribeConfigs
        | ApiKey::DescribeGroups
        | ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::ListGroups
        | ApiKey::SyncGroup => 2,
        ApiKey::AddOffsetsToTxn
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AlterConfigs
        | ApiKey::AlterReplicaLogDirs
        | ApiKey::CreateAcls
        | ApiKey::CreatePartitions
        | ApiKey::DeleteAcls
        | ApiKey::DeleteGroups
        | ApiKey::DeleteRecords
        | ApiKey::DescribeAcls
        | ApiKey::DescribeLogDirs
        | ApiKey::EndTxn
        | ApiKey::InitProducerId
        | ApiKey::TxnOffsetCommit => 1,
        ApiKey::AlterPartitionReassignments
        | ApiKey::AlterUserScramCredentials
        | ApiKey::DescribeTopicPartitions
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::ElectLeaders
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::ListPartitionReassignments
        | ApiKey::UnregisterBroker => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use milena_protocol::messages::*;
    use milena_protocol::{Request, encode_response};

    use super::*;

    /// What is found in an answer whose `throttle_time_ms` is 1,234.
    macro_rules! found {
        ($request:ident, $response:ident, $version:expr) => {{
            let response = $response { throttle_time_ms: 1_234, ..Default::default() };
            let frame: Bytes =
                encode_response::<$request>(7, $version, &response).unwrap().to_bytes().slice(4..);
            asked_for(<$request as Request>::KEY, $version, &frame)
        }};
    }

    #[test]
    fn the_throttle_time_is_found_before_the_body_is_decoded() {
        macro_rules! check {
            ($($request:ident $response:ident),* $(,)?) => {$(
                let key = <$request as Request>::KEY;
                let versions = key.versions();
                for version in honoured_since(key).unwrap().max(versions.min)..=versions.max {
                    assert_eq!(found!($request, $response, version), Some(1_234), "{} {version}", key.name());
                }
            )*};
        }
        check!(
            FetchRequest FetchResponse, MetadataRequest MetadataResponse,
            OffsetCommitRequest OffsetCommitResponse, OffsetFetchRequest OffsetFetchResponse,
            CreateTopicsRequest CreateTopicsResponse, JoinGroupRequest JoinGroupResponse,
            ListOffsetsRequest ListOffsetsResponse, DeleteTopicsRequest DeleteTopicsResponse,
            DescribeConfigsRequest DescribeConfigsResponse, DescribeGroupsRequest DescribeGroupsResponse,
            FindCoordinatorRequest FindCoordinatorResponse, HeartbeatRequest HeartbeatResponse,
            LeaveGroupRequest LeaveGroupResponse, ListGroupsRequest ListGroupsResponse,
            SyncGroupRequest SyncGroupResponse, AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
            AddPartitionsToTxnRequest AddPartitionsToTxnResponse, AlterConfigsRequest AlterConfigsResponse,
            AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse, CreateAclsRequest CreateAclsResponse,
            CreatePartitionsRequest CreatePartitionsResponse, DeleteAclsRequest DeleteAclsResponse,
            DeleteGroupsRequest DeleteGroupsResponse, DeleteRecordsRequest DeleteRecordsResponse,
            DescribeAclsRequest DescribeAclsResponse, DescribeLogDirsRequest DescribeLogDirsResponse,
            EndTxnRequest EndTxnResponse, InitProducerIdRequest InitProducerIdResponse,
            TxnOffsetCommitRequest TxnOffsetCommitResponse,
            AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse,
            AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse,
            DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse,
            DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse,
            ElectLeadersRequest ElectLeadersResponse,
            IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse,
            ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse,
            UnregisterBrokerRequest UnregisterBrokerResponse,
        );
    }

    #[test]
    fn older_versions_and_other_fields_are_left_alone() {
        assert_eq!(found!(MetadataRequest, MetadataResponse, 5), None, "the broker has waited already");
        assert_eq!(found!(ProduceRequest, ProduceResponse, 9), None, "the field is at the end");
        assert_eq!(asked_for(ApiKey::Metadata, 9, &[0, 0, 0, 7]), None, "cut short");
    }
}
