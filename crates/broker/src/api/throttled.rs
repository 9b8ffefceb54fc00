//! How answers tell a client to be silent (KIP-219; Java: `AbstractResponse.maybeSetThrottleTimeMs`).

use milena_protocol::messages::*;

/// An answer, which may be able to say for how long its client is muted.
pub(crate) trait Throttled {
    /// Says so, where there is a field for it; in versions without, the client finds out by waiting.
    fn set_throttle_time_ms(&mut self, throttle_time_ms: i32);
}

macro_rules! throttled {
    ($($response:ident),* $(,)?) => {$(
        impl Throttled for $response {
            fn set_throttle_time_ms(&mut self, throttle_time_ms: i32) {
                self.throttle_time_ms = throttle_time_ms;
            }
        }
    )*};
}

macro_rules! silent {
    ($($response:ident),* $(,)?) => {$(
        impl Throttled for $response {
            fn set_throttle_time_ms(&mut self, _: i32) {}
        }
    )*};
}

throttled! {
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AddRaftVoterResponse, AlterClientQuotasResponse,
    AlterConfigsResponse, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse,
    AlterUserScramCredentialsResponse, ApiVersionsResponse, ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatResponse, CreateAclsResponse, CreateDelegationTokenResponse, CreatePartitionsResponse,
    CreateTopicsResponse, DeleteAclsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    DescribeAclsResponse, DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeDelegationTokenResponse, DescribeGroupsResponse, DescribeLogDirsResponse, DescribeProducersResponse,
    DescribeTopicPartitionsResponse, DescribeTransactionsResponse, DescribeUserScramCredentialsResponse,
    ElectLeadersResponse, EndTxnResponse, ExpireDelegationTokenResponse, FetchResponse,
    HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse,
    LeaveGroupResponse, ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse,
    ListPartitionReassignmentsResponse, ListTransactionsResponse, MetadataResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse,
    RemoveRaftVoterResponse, RenewDelegationTokenResponse, SyncGroupResponse, TxnOffsetCommitResponse,
    UnregisterBrokerResponse, UpdateFeaturesResponse,
}

silent! { DescribeQuorumResponse, SaslAuthenticateResponse, SaslHandshakeResponse, WriteTxnMarkersResponse }

#[cfg(test)]
mod tests {
    use milena_protocol::{Encoder, Message};

    use super::*;

    fn can_be_encoded_in_every_version<R: Message + Throttled>() {
        let mut response = R::default();
        response.set_throttle_time_ms(7);
        for version in R::VERSIONS.min..=R::VERSIONS.max {
            let encoded = response.encode(&mut Encoder::new(), version);
            assert!(encoded.is_ok(), "{} version {version}: {encoded:?}", R::NAME);
        }
    }

    #[test]
    fn a_version_without_the_field_leaves_it_out() {
        macro_rules! check {
            ($($response:ident),*) => {$( can_be_encoded_in_every_version::<$response>(); )*};
        }
        check!(
            AddOffsetsToTxnResponse,
            AlterConfigsResponse,
            ApiVersionsResponse,
            CreateTopicsResponse,
            DeleteTopicsResponse,
            DescribeConfigsResponse,
            DescribeGroupsResponse,
            FetchResponse,
            FindCoordinatorResponse,
            HeartbeatResponse,
            InitProducerIdResponse,
            JoinGroupResponse,
            LeaveGroupResponse,
            ListGroupsResponse,
            ListOffsetsResponse,
            MetadataResponse,
            OffsetCommitResponse,
            OffsetFetchResponse,
            OffsetForLeaderEpochResponse,
            ProduceResponse,
            SyncGroupResponse
        );
    }
}
