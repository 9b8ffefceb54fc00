//! Kafka's error codes.

use std::fmt;

/// What a client may do after an error, from the family of its exception in Java.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Any other exception.
    Other,
    /// A `RetriableException`: the same request may succeed later.
    Retriable,
    /// An `InvalidMetadataException`: it may succeed once metadata was refreshed.
    InvalidMetadata,
}

macro_rules! error_codes {
    ($($code:literal $variant:ident $name:literal $family:ident $description:literal)*) => {
        /// The outcome that a broker reports (`org.apache.kafka.common.protocol.Errors` of Kafka 4.3.1).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", $name, "`, ", $code, ": ", $description, ".")]
                $variant,
            )*
            /// A code that is newer than this list. Made only by `From<i16>`, and only for such codes.
            Unknown(i16),
        }

        impl ErrorCode {
            /// All codes that have a name.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The number on the wire.
            pub fn code(self) -> i16 {
                match self {
                    $(ErrorCode::$variant => $code,)*
                    ErrorCode::Unknown(code) => code,
                }
            }

            /// Kafka's name, such as `OFFSET_OUT_OF_RANGE`.
            pub fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $name,)*
                    ErrorCode::Unknown(_) => "UNKNOWN",
                }
            }

            /// What happened and, where something can be done about it, what.
            pub fn description(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $description,)*
                    ErrorCode::Unknown(_) => "a code that this client does not know; the broker is newer",
                }
            }

            fn family(self) -> Family {
                match self {
                    $(ErrorCode::$variant => Family::$family,)*
                    ErrorCode::Unknown(_) => Family::Other,
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(code: i16) -> Self {
                match code {
                    $($code => ErrorCode::$variant,)*
                    _ => ErrorCode::Unknown(code),
                }
            }
        }
    };
}

/// No error.
impl Default for ErrorCode {
    fn default() -> Self {
        ErrorCode::from(0)
    }
}

impl ErrorCode {
    /// Whether all went well.
    pub fn is_ok(self) -> bool {
        self == ErrorCode::None
    }

    /// Whether the same request may succeed later (Java's `RetriableException`).
    pub fn is_retriable(self) -> bool {
        self.family() != Family::Other
    }

    /// Whether metadata should be refreshed first (Java's `InvalidMetadataException`).
    pub fn invalidates_metadata(self) -> bool {
        self.family() == Family::InvalidMetadata
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorCode::Unknown(code) => write!(f, "UNKNOWN ({code}): {}", self.description()),
            _ => write!(f, "{}: {}", self.name(), self.description()),
        }
    }
}

error_codes! {
    -1 UnknownServerError "UNKNOWN_SERVER_ERROR" Other
        "an unexpected failure on the broker; its log tells more"
    0 None "NONE" Other
        "no error"
    1 OffsetOutOfRange "OFFSET_OUT_OF_RANGE" Other
        "the offset is below the log's start or beyond its end; reset the position"
    2 CorruptMessage "CORRUPT_MESSAGE" Retriable
        "a batch fails its checksum or a record breaks the topic's rules; on fetch, read again from another replica"
    3 UnknownTopicOrPartition "UNKNOWN_TOPIC_OR_PARTITION" InvalidMetadata
        "the broker does not know the topic or partition; refresh metadata, it may be new or deleted"
    4 InvalidFetchSize "INVALID_FETCH_SIZE" Other
        "the fetch asks for an impossible number of bytes"
    5 LeaderNotAvailable "LEADER_NOT_AVAILABLE" InvalidMetadata
        "the partition has no leader at the moment; an election is under way"
    6 NotLeaderOrFollower "NOT_LEADER_OR_FOLLOWER" InvalidMetadata
        "the broker no longer leads or follows the partition; refresh metadata"
    7 RequestTimedOut "REQUEST_TIMED_OUT" Retriable
        "the broker could not finish in the time allowed; it may still have done so"
    8 BrokerNotAvailable "BROKER_NOT_AVAILABLE" Other
        "the broker is not alive"
    9 ReplicaNotAvailable "REPLICA_NOT_AVAILABLE" InvalidMetadata
        "the replica asked for is not there"
    10 MessageTooLarge "MESSAGE_TOO_LARGE" Other
        "a record is larger than max.message.bytes; raise it on the topic or send less"
    11 StaleControllerEpoch "STALE_CONTROLLER_EPOCH" Other
        "the request comes from a controller that has been replaced"
    12 OffsetMetadataTooLarge "OFFSET_METADATA_TOO_LARGE" Other
        "the text beside a committed offset is longer than offset.metadata.max.bytes"
    13 NetworkException "NETWORK_EXCEPTION" InvalidMetadata
        "the connection broke before the answer came"
    14 CoordinatorLoadInProgress "COORDINATOR_LOAD_IN_PROGRESS" Retriable
        "the group or transaction coordinator is still loading its state"
    15 CoordinatorNotAvailable "COORDINATOR_NOT_AVAILABLE" Retriable
        "the coordinator is not there yet; look it up again"
    16 NotCoordinator "NOT_COORDINATOR" Retriable
        "the broker is no longer this coordinator; look it up again"
    17 InvalidTopicException "INVALID_TOPIC_EXCEPTION" Other
        "the topic's name is not allowed, or it is internal"
    18 RecordListTooLarge "RECORD_LIST_TOO_LARGE" Other
        "a batch is larger than the topic's segment.bytes"
    19 NotEnoughReplicas "NOT_ENOUGH_REPLICAS" Retriable
        "fewer replicas are in sync than min.insync.replicas; nothing was written"
    20 NotEnoughReplicasAfterAppend "NOT_ENOUGH_REPLICAS_AFTER_APPEND" Retriable
        "written, but to fewer replicas than min.insync.replicas"
    21 InvalidRequiredAcks "INVALID_REQUIRED_ACKS" Other
        "acks must be 0, 1 or -1 (all)"
    22 IllegalGeneration "ILLEGAL_GENERATION" Other
        "the group has moved to another generation; join again"
    23 InconsistentGroupProtocol "INCONSISTENT_GROUP_PROTOCOL" Other
        "no assignor is common to all members, or a member names none"
    24 InvalidGroupId "INVALID_GROUP_ID" Other
        "the group's id is empty or not allowed"
    25 UnknownMemberId "UNKNOWN_MEMBER_ID" Other
        "the group does not know the member, it was probably expelled; join as a new one"
    26 InvalidSessionTimeout "INVALID_SESSION_TIMEOUT" Other
        "session.timeout.ms is outside group.min.session.timeout.ms .. group.max.session.timeout.ms"
    27 RebalanceInProgress "REBALANCE_IN_PROGRESS" Other
        "the group is rebalancing; join again"
    28 InvalidCommitOffsetSize "INVALID_COMMIT_OFFSET_SIZE" Other
        "the offset commit is too large for the offsets topic"
    29 TopicAuthorizationFailed "TOPIC_AUTHORIZATION_FAILED" Other
        "no permission on the topic; check its ACLs"
    30 GroupAuthorizationFailed "GROUP_AUTHORIZATION_FAILED" Other
        "no permission on the group; check its ACLs"
    31 ClusterAuthorizationFailed "CLUSTER_AUTHORIZATION_FAILED" Other
        "no permission on the cluster; check its ACLs"
    32 InvalidTimestamp "INVALID_TIMESTAMP" Other
        "a record's timestamp is too far from the broker's clock"
    33 UnsupportedSaslMechanism "UNSUPPORTED_SASL_MECHANISM" Other
        "the broker does not offer this SASL mechanism"
    34 IllegalSaslState "ILLEGAL_SASL_STATE" Other
        "the request does not fit the state of the SASL exchange"
    35 UnsupportedVersion "UNSUPPORTED_VERSION" Other
        "the broker does not speak this version of the API"
    36 TopicAlreadyExists "TOPIC_ALREADY_EXISTS" Other
        "there is a topic of this name already"
    37 InvalidPartitions "INVALID_PARTITIONS" Other
        "the number of partitions is not possible"
    38 InvalidReplicationFactor "INVALID_REPLICATION_FACTOR" Other
        "the replication factor is below 1 or above the number of live brokers"
    39 InvalidReplicaAssignment "INVALID_REPLICA_ASSIGNMENT" Other
        "the replicas named for a partition are not possible"
    40 InvalidConfig "INVALID_CONFIG" Other
        "a setting has a value that is not allowed"
    41 NotController "NOT_CONTROLLER" Retriable
        "the broker is not the active controller; refresh metadata"
    42 InvalidRequest "INVALID_REQUEST" Other
        "the broker cannot make sense of the request; its log tells more"
    43 UnsupportedForMessageFormat "UNSUPPORTED_FOR_MESSAGE_FORMAT" Other
        "the log's record format is too old for the request"
    44 PolicyViolation "POLICY_VIOLATION" Other
        "the cluster's policy (create.topic.policy or alter.config.policy) forbids it"
    45 OutOfOrderSequenceNumber "OUT_OF_ORDER_SEQUENCE_NUMBER" Other
        "a batch is missing before this one; an idempotent producer must bump its epoch"
    46 DuplicateSequenceNumber "DUPLICATE_SEQUENCE_NUMBER" Other
        "the batch is in the log already, at an offset that is no longer known"
    47 InvalidProducerEpoch "INVALID_PRODUCER_EPOCH" Other
        "the producer's epoch is old; another instance or a recovery has taken its place"
    48 InvalidTxnState "INVALID_TXN_STATE" Other
        "the transaction is not in a state that allows this"
    49 InvalidProducerIdMapping "INVALID_PRODUCER_ID_MAPPING" Other
        "the producer id does not belong to this transactional id"
    50 InvalidTransactionTimeout "INVALID_TRANSACTION_TIMEOUT" Other
        "transaction.timeout.ms is above the broker's transaction.max.timeout.ms"
    51 ConcurrentTransactions "CONCURRENT_TRANSACTIONS" Retriable
        "another change to the transaction is still under way; try again shortly"
    52 TransactionCoordinatorFenced "TRANSACTION_COORDINATOR_FENCED" Other
        "the marker comes from a transaction coordinator that has been replaced"
    53 TransactionalIdAuthorizationFailed "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" Other
        "no permission on the transactional id; check its ACLs"
    54 SecurityDisabled "SECURITY_DISABLED" Other
        "the cluster has no authorizer, so that there is nothing to ask about"
    55 OperationNotAttempted "OPERATION_NOT_ATTEMPTED" Other
        "not tried, because something else in the same request failed"
    56 KafkaStorageError "KAFKA_STORAGE_ERROR" InvalidMetadata
        "the log directory of the partition has failed on this broker; refresh metadata"
    57 LogDirNotFound "LOG_DIR_NOT_FOUND" Other
        "the broker has no such log directory, or the partition is not in it"
    58 SaslAuthenticationFailed "SASL_AUTHENTICATION_FAILED" Other
        "the broker does not accept the credentials"
    59 UnknownProducerId "UNKNOWN_PRODUCER_ID" Other
        "the broker has forgotten the producer's state; bump the epoch"
    60 ReassignmentInProgress "REASSIGNMENT_IN_PROGRESS" Other
        "replicas of the partition are being moved already"
    61 DelegationTokenAuthDisabled "DELEGATION_TOKEN_AUTH_DISABLED" Other
        "the cluster has no delegation tokens (delegation.token.secret.key)"
    62 DelegationTokenNotFound "DELEGATION_TOKEN_NOT_FOUND" Other
        "the broker does not know the delegation token"
    63 DelegationTokenOwnerMismatch "DELEGATION_TOKEN_OWNER_MISMATCH" Other
        "the principal is neither owner nor renewer of the delegation token"
    64 DelegationTokenRequestNotAllowed "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" Other
        "delegation tokens can be asked for only over a channel that proves who asks, and not with a token"
    65 DelegationTokenAuthorizationFailed "DELEGATION_TOKEN_AUTHORIZATION_FAILED" Other
        "no permission on the delegation token; check its ACLs"
    66 DelegationTokenExpired "DELEGATION_TOKEN_EXPIRED" Other
        "the delegation token has expired"
    67 InvalidPrincipalType "INVALID_PRINCIPAL_TYPE" Other
        "the type of the principal is not known"
    68 NonEmptyGroup "NON_EMPTY_GROUP" Other
        "the group still has members; stop them first"
    69 GroupIdNotFound "GROUP_ID_NOT_FOUND" Other
        "there is no such group"
    70 FetchSessionIdNotFound "FETCH_SESSION_ID_NOT_FOUND" Retriable
        "the broker has dropped the fetch session; begin a new one"
    71 InvalidFetchSessionEpoch "INVALID_FETCH_SESSION_EPOCH" Retriable
        "the fetch session is at another epoch; begin a new one"
    72 ListenerNotFound "LISTENER_NOT_FOUND" InvalidMetadata
        "the leader has no listener of the name over which metadata was asked for"
    73 TopicDeletionDisabled "TOPIC_DELETION_DISABLED" Other
        "delete.topic.enable is false"
    74 FencedLeaderEpoch "FENCED_LEADER_EPOCH" InvalidMetadata
        "the leader epoch in the request is old; refresh metadata and check for truncation"
    75 UnknownLeaderEpoch "UNKNOWN_LEADER_EPOCH" Retriable
        "the broker does not know the leader epoch yet; try again"
    76 UnsupportedCompressionType "UNSUPPORTED_COMPRESSION_TYPE" Other
        "the batch is compressed in a way that this version of fetch cannot carry"
    77 StaleBrokerEpoch "STALE_BROKER_EPOCH" Other
        "the broker has registered again since"
    78 OffsetNotAvailable "OFFSET_NOT_AVAILABLE" Retriable
        "after an election the high watermark is not certain yet; try again"
    79 MemberIdRequired "MEMBER_ID_REQUIRED" Other
        "join once more with the member id in this answer"
    80 PreferredLeaderNotAvailable "PREFERRED_LEADER_NOT_AVAILABLE" InvalidMetadata
        "the preferred replica cannot lead now"
    81 GroupMaxSizeReached "GROUP_MAX_SIZE_REACHED" Other
        "the group has group.max.size members"
    82 FencedInstanceId "FENCED_INSTANCE_ID" Other
        "another member has taken this group.instance.id; only one may run"
    83 EligibleLeadersNotAvailable "ELIGIBLE_LEADERS_NOT_AVAILABLE" InvalidMetadata
        "no replica in sync is alive to lead"
    84 ElectionNotNeeded "ELECTION_NOT_NEEDED" InvalidMetadata
        "the partition has the leader that was wanted already"
    85 NoReassignmentInProgress "NO_REASSIGNMENT_IN_PROGRESS" Other
        "no replica of the partition is being moved"
    86 GroupSubscribedToTopic "GROUP_SUBSCRIBED_TO_TOPIC" Other
        "the group reads this topic at present; its offsets cannot be deleted"
    87 InvalidRecord "INVALID_RECORD" Other
        "a record breaks the topic's rules, such as a missing key on a compacted topic"
    88 UnstableOffsetCommit "UNSTABLE_OFFSET_COMMIT" Retriable
        "a transaction that commits offsets is still open; try again"
    89 ThrottlingQuotaExceeded "THROTTLING_QUOTA_EXCEEDED" Retriable
        "too many changes in the quota's window; wait and try again"
    90 ProducerFenced "PRODUCER_FENCED" Other
        "a newer producer with this transactional id has taken over"
    91 ResourceNotFound "RESOURCE_NOT_FOUND" Other
        "the thing named does not exist"
    92 DuplicateResource "DUPLICATE_RESOURCE" Other
        "the same thing is named twice"
    93 UnacceptableCredential "UNACCEPTABLE_CREDENTIAL" Other
        "the credential breaks a rule, such as the number of iterations"
    94 InconsistentVoterSet "INCONSISTENT_VOTER_SET" Other
        "the sender or the receiver does not belong to the voters"
    95 InvalidUpdateVersion "INVALID_UPDATE_VERSION" Other
        "the version to update to is not possible"
    96 FeatureUpdateFailed "FEATURE_UPDATE_FAILED" Other
        "finalized features could not be updated"
    97 PrincipalDeserializationFailure "PRINCIPAL_DESERIALIZATION_FAILURE" Other
        "a broker could not read the principal in a forwarded request"
    98 SnapshotNotFound "SNAPSHOT_NOT_FOUND" Other
        "there is no such snapshot"
    99 PositionOutOfRange "POSITION_OUT_OF_RANGE" Other
        "the position is outside the snapshot"
    100 UnknownTopicId "UNKNOWN_TOPIC_ID" InvalidMetadata
        "the broker does not know the topic id; refresh metadata, the topic may have been created again"
    101 DuplicateBrokerRegistration "DUPLICATE_BROKER_REGISTRATION" Other
        "another live broker has this id"
    102 BrokerIdNotRegistered "BROKER_ID_NOT_REGISTERED" Other
        "no broker with this id is registered"
    103 InconsistentTopicId "INCONSISTENT_TOPIC_ID" InvalidMetadata
        "the topic id is not that of the log; the topic was created again"
    104 InconsistentClusterId "INCONSISTENT_CLUSTER_ID" Other
        "the request is meant for another cluster"
    105 TransactionalIdNotFound "TRANSACTIONAL_ID_NOT_FOUND" Other
        "there is no such transactional id"
    106 FetchSessionTopicIdError "FETCH_SESSION_TOPIC_ID_ERROR" Retriable
        "topic ids and names are mixed in the fetch session; begin a new one"
    107 IneligibleReplica "INELIGIBLE_REPLICA" Other
        "a replica cannot be in sync now, as it is fenced or shutting down"
    108 NewLeaderElected "NEW_LEADER_ELECTED" Other
        "done, and the leader has changed with it"
    109 OffsetMovedToTieredStorage "OFFSET_MOVED_TO_TIERED_STORAGE" Other
        "the offset is only in tiered storage"
    110 FencedMemberEpoch "FENCED_MEMBER_EPOCH" Other
        "the member's epoch is old; give up all partitions and join again"
    111 UnreleasedInstanceId "UNRELEASED_INSTANCE_ID" Other
        "the instance id is still held by a member that has not left"
    112 UnsupportedAssignor "UNSUPPORTED_ASSIGNOR" Other
        "the broker has no such assignor, or members use versions too far apart"
    113 StaleMemberEpoch "STALE_MEMBER_EPOCH" Other
        "the member's epoch is behind; take the new one from the next heartbeat and try again"
    114 MismatchedEndpointType "MISMATCHED_ENDPOINT_TYPE" Other
        "the request belongs to a controller and went to a broker, or the other way round"
    115 UnsupportedEndpointType "UNSUPPORTED_ENDPOINT_TYPE" Other
        "this kind of endpoint is not supported"
    116 UnknownControllerId "UNKNOWN_CONTROLLER_ID" Other
        "there is no such controller"
    117 UnknownSubscriptionId "UNKNOWN_SUBSCRIPTION_ID" Other
        "the telemetry subscription is old; ask for the present one"
    118 TelemetryTooLarge "TELEMETRY_TOO_LARGE" Other
        "the telemetry is larger than telemetry.max.bytes"
    119 InvalidRegistration "INVALID_REGISTRATION" Other
        "the controller does not accept the broker's registration"
    120 TransactionAbortable "TRANSACTION_ABORTABLE" Other
        "the transaction must be aborted; the producer can go on after that"
    121 InvalidRecordState "INVALID_RECORD_STATE" Other
        "the record is not in a state in which it can be acknowledged"
    122 ShareSessionNotFound "SHARE_SESSION_NOT_FOUND" Retriable
        "the broker does not know the share session; begin a new one"
    123 InvalidShareSessionEpoch "INVALID_SHARE_SESSION_EPOCH" Retriable
        "the share session is at another epoch; begin a new one"
    124 FencedStateEpoch "FENCED_STATE_EPOCH" Other
        "the share group's state is at a newer epoch"
    125 InvalidVoterKey "INVALID_VOTER_KEY" Other
        "the key is not that of the receiving voter"
    126 DuplicateVoter "DUPLICATE_VOTER" Other
        "the voter belongs to the set already"
    127 VoterNotFound "VOTER_NOT_FOUND" Other
        "the voter does not belong to the set"
    128 InvalidRegularExpression "INVALID_REGULAR_EXPRESSION" Other
        "the regular expression of the subscription cannot be read"
    129 RebootstrapRequired "REBOOTSTRAP_REQUIRED" Other
        "the client's metadata leads nowhere; begin again at the bootstrap servers"
    130 StreamsInvalidTopology "STREAMS_INVALID_TOPOLOGY" Other
        "the topology of the streams application is not possible"
    131 StreamsInvalidTopologyEpoch "STREAMS_INVALID_TOPOLOGY_EPOCH" Other
        "the topology's epoch is not possible"
    132 StreamsTopologyFenced "STREAMS_TOPOLOGY_FENCED" Other
        "the topology's epoch is old"
    133 ShareSessionLimitReached "SHARE_SESSION_LIMIT_REACHED" Retriable
        "the broker has share sessions enough; try again later"
}
