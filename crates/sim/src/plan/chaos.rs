//! What goes wrong, and when.

use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode};

use crate::clock::ms;
use crate::net::{Direction, Effect};
use crate::plan::FAULTS_MIN;
use crate::rng::Rng;

/// Something that goes wrong, for as long as its duration says where it has one. Partitions are numbers that are taken modulo how
/// many there are.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Kill { node: i32, down: Duration },
    Stop { node: i32, down: Duration },
    KillUnnoticed { node: i32, noticed_after: Duration, down: Duration },
    Freeze { node: i32, lasting: Duration },
    StopReading { node: i32, lasting: Duration },
    Disconnect { node: i32 },
    MoveLeader { topic: usize, partition: u64, node: i32 },
    LoseLeader { topic: usize, partition: u64, node: i32, lasting: Duration },
    ShrinkIsr { topic: usize, partition: u64, lasting: Duration },
    ExpireSessions { node: i32 },
    TurnClock { by_ms: i64 },
    Api { api: ApiKey, fault: ApiFault, times: u32, percent: u64, lasting: Duration },
    Partition { api: ApiKey, topic: usize, partition: u64, error: ErrorCode, times: u32, lasting: Duration },
    Lie { topic: usize, partition: u64, lie: Lie, lasting: Duration },
    Corrupt { topic: usize, partition: u64, position: u64 },
    Network { node: Option<i32>, client: Option<usize>, effect: Effect, lasting: Duration },
    Reset { node: Option<i32> },
    HalfOpen { node: i32 },
    Truncate { node: i32, direction: Direction, keep_bytes: usize },
}

/// What happens to requests of one API.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ApiFault {
    Answer(ErrorCode),
    CloseBeforeWork,
    LoseAnswer,
    TruncateAnswer,
    DelayWork(Duration),
    DelayAnswer(Duration),
    Twice,
}

/// What metadata say although it is not so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    HideTopic,
    Leader(Option<i32>),
    LeaderEpoch(i32),
}

/// Errors that leave no doubt: nothing was done, and a broker may really say so.
const PRODUCE_ERRORS: [ErrorCode; 14] = [
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotEnoughReplicas,
    ErrorCode::NotEnoughReplicasAfterAppend,
    ErrorCode::RequestTimedOut,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::LeaderNotAvailable,
    ErrorCode::CorruptMessage,
    ErrorCode::KafkaStorageError,
    ErrorCode::ThrottlingQuotaExceeded,
    ErrorCode::InvalidProducerEpoch,
    ErrorCode::UnknownServerError,
    ErrorCode::PolicyViolation,
    ErrorCode::MessageTooLarge,
];
const FETCH_ERRORS: [ErrorCode; 4] = [
    ErrorCode::FetchSessionIdNotFound,
    ErrorCode::InvalidFetchSessionEpoch,
    ErrorCode::UnknownServerError,
    ErrorCode::KafkaStorageError,
];
const FETCH_PARTITION_ERRORS: [ErrorCode; 8] = [
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::FencedLeaderEpoch,
    ErrorCode::UnknownLeaderEpoch,
    ErrorCode::OffsetNotAvailable,
    ErrorCode::KafkaStorageError,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::UnknownServerError,
    ErrorCode::TopicAuthorizationFailed,
];
const RETRIABLE: [ErrorCode; 4] = [
    ErrorCode::RequestTimedOut,
    ErrorCode::LeaderNotAvailable,
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::CoordinatorLoadInProgress,
];

/// What goes wrong within `period`, in order.
pub(super) fn random(period: Duration, topics: usize, rng: &mut Rng) -> Vec<(Duration, Act)> {
    let count = rng.between(FAULTS_MIN + 3, FAULTS_MIN + 13);
    let mut acts: Vec<_> = (0..count)
        .map(|_| (period.mul_f64(rng.below(1_000) as f64 / 1_000.0), Act::random(topics, rng)))
        .collect();
    acts.sort_by_key(|(at, _)| *at);
    acts
}

impl Act {
    fn random(topics: usize, rng: &mut Rng) -> Self {
        let node = rng.between(1, super::NODES as u64) as i32;
        let topic = rng.below(topics as u64) as usize;
        let partition = rng.below(64);
        let lasting = ms(rng.pick(&[100, 400, 1_000, 2_500]));
        match rng.below(30) {
            0 => Self::Kill { node, down: lasting },
            1 => Self::Stop { node, down: lasting },
            2 => Self::KillUnnoticed { node, noticed_after: lasting / 2, down: lasting },
            3 => Self::Freeze { node, lasting },
            4 => Self::StopReading { node, lasting },
            5 => Self::Disconnect { node },
            6..9 => Self::MoveLeader { topic, partition, node },
            9 => Self::LoseLeader { topic, partition, node, lasting },
            10 => Self::ShrinkIsr { topic, partition, lasting },
            11 => Self::ExpireSessions { node },
            12 => Self::TurnClock { by_ms: rng.pick(&[-600_000, -5_000, 5_000, 600_000]) },
            13..18 => Self::api(lasting, rng),
            18..20 => {
                let (api, error) = match rng.percent(50) {
                    true => (ApiKey::Produce, rng.pick(&PRODUCE_ERRORS)),
                    false => (ApiKey::Fetch, rng.pick(&FETCH_PARTITION_ERRORS)),
                };
                Self::Partition { api, topic, partition, error, times: rng.between(1, 10) as u32, lasting }
            }
            20 => {
                let lies = [
                    Lie::HideTopic,
                    Lie::Leader(None),
                    Lie::Leader(Some(node)),
                    Lie::LeaderEpoch(0),
                    Lie::LeaderEpoch(1),
                ];
                Self::Lie { topic, partition, lie: rng.pick(&lies), lasting }
            }
            21 if rng.percent(20) => Self::Corrupt { topic, partition, position: rng.next() },
            22 => Self::Reset { node: None },
            21 | 23 => Self::Reset { node: Some(node) },
            24 => Self::HalfOpen { node },
            25 => {
                let direction = rng.pick(&[Direction::Up, Direction::Down]);
                Self::Truncate { node, direction, keep_bytes: rng.below(300) as usize }
            }
            _ => {
                let effect = match rng.below(6) {
                    0 => Effect::Silence(None),
                    1 => Effect::Silence(Some(Direction::Up)),
                    2 => Effect::Silence(Some(Direction::Down)),
                    3 => Effect::Delay(ms(rng.pick(&[20, 200, 700]))),
                    4 => Effect::Slow { bytes_per_second: rng.pick(&[2_000, 20_000, 200_000]) },
                    _ => Effect::Refuse,
                };
                let client = rng.percent(30).then(|| rng.below(8) as usize);
                let node = rng.percent(75).then_some(node);
                Self::Network { node, client, effect, lasting }
            }
        }
    }

    /// The node that is down for a while.
    pub(crate) fn outage(&self) -> Option<i32> {
        match self {
            Self::Kill { node, .. } | Self::Stop { node, .. } | Self::KillUnnoticed { node, .. } => {
                Some(*node)
            }
            _ => None,
        }
    }

    fn api(lasting: Duration, rng: &mut Rng) -> Self {
        let api = rng.pick(&[
            ApiKey::Produce,
            ApiKey::Produce,
            ApiKey::Produce,
            ApiKey::Produce,
            ApiKey::Fetch,
            ApiKey::Fetch,
            ApiKey::Metadata,
            ApiKey::InitProducerId,
            ApiKey::ListOffsets,
            ApiKey::ApiVersions,
        ]);
        let fault = match rng.below(9) {
            0..3 => match api {
                ApiKey::Produce => ApiFault::Answer(rng.pick(&PRODUCE_ERRORS)),
                ApiKey::Fetch => ApiFault::Answer(rng.pick(&FETCH_ERRORS)),
                ApiKey::ApiVersions => ApiFault::CloseBeforeWork,
                _ => ApiFault::Answer(rng.pick(&RETRIABLE)),
            },
            3 => ApiFault::CloseBeforeWork,
            4 => ApiFault::LoseAnswer,
            5 => ApiFault::TruncateAnswer,
            6 => ApiFault::DelayWork(ms(rng.pick(&[50, 600, 3_000]))),
            7 => ApiFault::DelayAnswer(ms(rng.pick(&[50, 600, 3_000]))),
            _ => ApiFault::Twice,
        };
        Self::Api { api, fault, times: rng.between(1, 8) as u32, percent: rng.pick(&[20, 60, 100]), lasting }
    }
}
