//! What rules say of requests. Pure: others make it so.

use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode};

use crate::NodeId;

/// Which requests a rule is about; what is not said matches all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) api: Option<ApiKey>,
    pub(crate) node: Option<NodeId>,
    pub(crate) client_id: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
}

/// What happens to a request, or to a partition in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Answer with this error instead of doing the work.
    Answer(ErrorCode),
    /// Close the connection instead of doing the work.
    CloseBeforeWork,
    /// Wait before doing the work.
    DelayWork(Duration),
    /// Do the work twice, and answer what came of the first time.
    WorkTwice,
    /// Do the work, then close the connection instead of answering.
    LoseAnswer,
    /// Do the work, then wait before answering.
    DelayAnswer(Duration),
    /// Do the work, and answer only a part of the frame before the connection is closed.
    TruncateAnswer,
    /// Leave a topic out of what is described, as if it did not exist.
    HideTopic,
    /// Describe a partition as led by this node, or by none.
    ReportLeader(Option<NodeId>),
    /// Describe a partition as led in this epoch.
    ReportLeaderEpoch(i32),
}

/// When in the course of a request an effect takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Work,
    Answer,
    TopicDescription,
    PartitionDescription,
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) api: ApiKey,
    pub(crate) node: NodeId,
    pub(crate) client_id: &'a str,
    /// Topic, and partition where there is one.
    pub(crate) part: Option<(&'a str, Option<i32>)>,
}

impl Effect {
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Answer(_) | Self::CloseBeforeWork | Self::DelayWork(_) | Self::WorkTwice => Stage::Work,
            Self::LoseAnswer | Self::DelayAnswer(_) | Self::TruncateAnswer => Stage::Answer,
            Self::HideTopic => Stage::TopicDescription,
            Self::ReportLeader(_) | Self::ReportLeaderEpoch(_) => Stage::PartitionDescription,
        }
    }
}

impl Scope {
    pub(crate) fn matches(&self, subject: Subject<'_>) -> bool {
        let same_part = match (&self.topic, subject.part) {
            (None, None) => true,
            (Some(topic), Some((given, partition))) => {
                topic == given && self.partition.is_none_or(|wanted| partition == Some(wanted))
            }
            _ => false,
        };
        same_part
            && self.api.is_none_or(|api| api == subject.api)
            && self.node.is_none_or(|node| node == subject.node)
            && self.client_id.as_deref().is_none_or(|client_id| client_id == subject.client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::FaultTable;
    use super::super::super::rule::{FaultRecord, Frequency};
    use super::*;
    use crate::rng::Rng;
    use std::sync::Arc;

    fn table(rules: Vec<(Scope, u32, Option<u32>, Effect)>) -> (FaultTable, Vec<Arc<FaultRecord>>) {
        let table = FaultTable::new(Rng::from_seed(1));
        let add = |(scope, skip, left, effect)| {
            table.requests.add(scope, Frequency { skip, left, probability: 1.0 }, effect)
        };
        let records = rules.into_iter().map(add).collect();
        (table, records)
    }

    fn request(api: ApiKey, node: NodeId) -> Subject<'static> {
        Subject { api, node, client_id: "c", part: None }
    }

    fn part(api: ApiKey, topic: &'static str, partition: Option<i32>) -> Subject<'static> {
        Subject { part: Some((topic, partition)), ..request(api, 1) }
    }

    const LOSE: Effect = Effect::LoseAnswer;

    #[test]
    fn a_rule_fires_on_what_it_is_about_and_as_often_as_asked() {
        let scope = Scope { api: Some(ApiKey::Produce), node: Some(2), ..Scope::default() };
        let (table, records) = table(vec![(scope, 1, Some(2), LOSE)]);
        let strike = |api, node| table.strike_request(request(api, node), &[Stage::Answer]);
        assert!(strike(ApiKey::Fetch, 2).is_empty() && strike(ApiKey::Produce, 1).is_empty());
        let struck: Vec<_> = (0..5).map(|_| strike(ApiKey::Produce, 2).len()).collect();
        assert_eq!(struck, [0, 1, 1, 0, 0]);
        assert_eq!(records[0].fired(), 2);
    }

    #[test]
    fn request_rules_and_partition_rules_do_not_mix() {
        let orders = Scope { topic: Some("orders".to_owned()), ..Scope::default() };
        let third = Scope { partition: Some(3), ..orders.clone() };
        let (table, _) = table(vec![
            (Scope::default(), 0, None, LOSE),
            (orders, 0, None, Effect::Answer(ErrorCode::NotLeaderOrFollower)),
            (third, 0, None, Effect::Answer(ErrorCode::CorruptMessage)),
        ]);
        let all = [Stage::Work, Stage::Answer];
        assert_eq!(table.strike_request(request(ApiKey::Produce, 1), &all), [LOSE]);
        let answers =
            |partition| table.strike_request(part(ApiKey::Produce, "orders", Some(partition)), &all).len();
        assert_eq!((answers(1), answers(3)), (1, 2));
        assert!(table.strike_request(part(ApiKey::Produce, "other", Some(3)), &all).is_empty());
    }

    #[test]
    fn only_effects_of_the_stage_fire() {
        let scope = || Scope { topic: Some("t".to_owned()), ..Scope::default() };
        let leaderless = Effect::ReportLeader(None);
        let (table, _) =
            table(vec![(scope(), 0, Some(1), Effect::HideTopic), (scope(), 0, Some(1), leaderless)]);
        let hidden = table.strike_request(part(ApiKey::Metadata, "t", None), &[Stage::TopicDescription]);
        assert_eq!(hidden, [Effect::HideTopic]);
        let described =
            table.strike_request(part(ApiKey::Metadata, "t", Some(0)), &[Stage::PartitionDescription]);
        assert_eq!(described, [leaderless]);
    }

    #[test]
    fn a_removed_rule_is_gone() {
        let (table, records) = table(vec![(Scope::default(), 0, None, LOSE)]);
        records[0].remove();
        assert!(table.strike_request(request(ApiKey::Produce, 1), &[Stage::Answer]).is_empty());
    }
}
