//! Fault rules as JSON.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use milena_broker::{
    ApiKey, ConnectionFaultBuilder, ErrorCode, Fault, FaultBuilder, Faults, NodeId, PartFaultBuilder,
};
use serde::{Deserialize, Serialize};

use crate::answer::Refusal;

/// What happens to which requests or connections, and how often.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSpec {
    /// By Kafka's name; every API if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Of requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    /// Of connections only: an address, with a port or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(default)]
    skip: u32,
    /// Requests are struck once, connections always, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<Times>,
    #[serde(default = "certain")]
    probability: f64,
    effect: EffectSpec,
}

/// Which connections that exist, and how many of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionsSpec {
    node: Option<NodeId>,
    client_id: Option<String>,
    peer: Option<String>,
    #[serde(default)]
    skip: u32,
    times: Option<Times>,
    #[serde(default = "certain")]
    probability: f64,
}

fn certain() -> f64 {
    1.0
}

/// Which way bytes go: to the node or from it.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Up,
    Down,
}

/// How often: a number, or "always".
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Times {
    Number(u32),
    Word(Always),
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Always {
    Always,
}

/// What happens; see the methods of `FaultBuilder`, `PartFaultBuilder` and `ConnectionFaultBuilder` of these names.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum EffectSpec {
    AnswerWith { error: String },
    CloseBeforeWork,
    DelayWork { ms: u64 },
    DeliverTwice,
    LoseAnswer,
    DelayAnswer { ms: u64 },
    TruncateAnswer,
    HideTopic,
    ReportLeader { node: Option<NodeId> },
    ReportLeaderEpoch { leader_epoch: i32 },
    Silence,
    Refuse,
    Delay { ms: u64 },
    Slow { bytes_per_second: NonZeroU64 },
    Reset,
    Truncate { keep_bytes: usize },
}

impl RuleSpec {
    pub(crate) fn put_in_force(&self, faults: &Faults) -> Result<Fault, Refusal> {
        if self.effect.is_of_connections() { self.on_connections(faults) } else { self.on_requests(faults) }
    }

    fn on_requests(&self, faults: &Faults) -> Result<Fault, Refusal> {
        if self.peer.is_some() || self.direction.is_some() {
            return Err(Refusal::senseless("this effect is about requests: leave out peer and direction"));
        }
        let mut rule = match &self.api {
            Some(name) => faults.on(api(name)?),
            None => faults.on_any(),
        };
        if let Some(node) = self.node {
            rule = rule.node(node);
        }
        if let Some(client_id) = &self.client_id {
            rule = rule.client_id(client_id);
        }
        rule = rule.skip(self.skip).with_probability(probability(self.probability)?);
        rule = match self.times {
            Some(Times::Number(times)) => rule.times(times),
            Some(Times::Word(Always::Always)) => rule.always(),
            None => rule,
        };
        match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => self.effect.on_part(rule.partition(topic, partition)),
            (Some(topic), None) => self.effect.on_part(rule.topic(topic)),
            (None, None) => self.effect.on_request(rule),
            (None, Some(_)) => Err(Refusal::senseless("a partition needs its topic")),
        }
    }

    fn on_connections(&self, faults: &Faults) -> Result<Fault, Refusal> {
        if self.topic.is_some() || self.partition.is_some() {
            return Err(Refusal::senseless(
                "this effect is about connections: leave out topic and partition",
            ));
        }
        let connections = ConnectionsSpec {
            node: self.node,
            client_id: self.client_id.clone(),
            peer: self.peer.clone(),
            skip: self.skip,
            times: self.times,
            probability: self.probability,
        };
        let mut rule = connections.rule(faults)?;
        rule = match self.direction {
            Some(Direction::Up) => rule.up(),
            Some(Direction::Down) => rule.down(),
            None => rule,
        };
        if let Some(name) = &self.api {
            rule = rule.api(api(name)?);
        }
        self.effect.on_connection(rule)
    }
}

impl ConnectionsSpec {
    /// The beginning of a rule for these connections.
    pub(crate) fn rule(&self, faults: &Faults) -> Result<ConnectionFaultBuilder, Refusal> {
        let mut rule = faults.connections().skip(self.skip).with_probability(probability(self.probability)?);
        if let Some(node) = self.node {
            rule = rule.node(node);
        }
        if let Some(client_id) = &self.client_id {
            rule = rule.client_id(client_id);
        }
        if let Some(peer) = &self.peer {
            rule = rule.peer(address(peer)?);
        }
        if let Some(Times::Number(times)) = self.times {
            rule = rule.times(times);
        }
        Ok(rule)
    }
}

impl EffectSpec {
    fn is_of_connections(&self) -> bool {
        match self {
            Self::Silence
            | Self::Refuse
            | Self::Delay { .. }
            | Self::Slow { .. }
            | Self::Reset
            | Self::Truncate { .. } => true,
            Self::AnswerWith { .. }
            | Self::CloseBeforeWork
            | Self::DelayWork { .. }
            | Self::DeliverTwice
            | Self::LoseAnswer
            | Self::DelayAnswer { .. }
            | Self::TruncateAnswer
            | Self::HideTopic
            | Self::ReportLeader { .. }
            | Self::ReportLeaderEpoch { .. } => false,
        }
    }

    fn on_connection(&self, rule: ConnectionFaultBuilder) -> Result<Fault, Refusal> {
        match self {
            Self::Silence => Ok(rule.silence()),
            Self::Refuse => Ok(rule.refuse()),
            Self::Delay { ms } => Ok(rule.delay(Duration::from_millis(*ms))),
            Self::Slow { bytes_per_second } => Ok(rule.slow(bytes_per_second.get())),
            Self::Reset => Ok(rule.reset()),
            Self::Truncate { keep_bytes } => Ok(rule.truncate(*keep_bytes)),
            _ => Err(Refusal::senseless("this effect is about requests")),
        }
    }

    fn on_request(&self, rule: FaultBuilder) -> Result<Fault, Refusal> {
        match self {
            Self::AnswerWith { error } => Ok(rule.answer_with(error_code(error)?)),
            Self::CloseBeforeWork => Ok(rule.close_before_work()),
            Self::DelayWork { ms } => Ok(rule.delay_work(Duration::from_millis(*ms))),
            Self::DeliverTwice => Ok(rule.deliver_twice()),
            Self::LoseAnswer => Ok(rule.lose_answer()),
            Self::DelayAnswer { ms } => Ok(rule.delay_answer(Duration::from_millis(*ms))),
            Self::TruncateAnswer => Ok(rule.truncate_answer()),
            _ => Err(Refusal::senseless("this effect is about a topic: name it")),
        }
    }

    fn on_part(&self, rule: PartFaultBuilder) -> Result<Fault, Refusal> {
        match self {
            Self::AnswerWith { error } => Ok(rule.answer_with(error_code(error)?)),
            Self::LoseAnswer => Ok(rule.lose_answer()),
            Self::DelayAnswer { ms } => Ok(rule.delay_answer(Duration::from_millis(*ms))),
            Self::HideTopic => Ok(rule.hide_topic()),
            Self::ReportLeader { node } => Ok(rule.report_leader(*node)),
            Self::ReportLeaderEpoch { leader_epoch } => Ok(rule.report_leader_epoch(*leader_epoch)),
            _ => {
                Err(Refusal::senseless("this effect is about whole requests: leave out topic and partition"))
            }
        }
    }
}

fn probability(probability: f64) -> Result<f64, Refusal> {
    match (0.0..=1.0).contains(&probability) {
        true => Ok(probability),
        false => Err(Refusal::senseless("probability is from 0 to 1")),
    }
}

/// An address with a port, or without one for any port.
fn address(text: &str) -> Result<SocketAddr, Refusal> {
    let any_port = |ip: IpAddr| SocketAddr::new(ip, 0);
    text.parse().or_else(|_| text.parse().map(any_port)).map_err(|_| {
        Refusal::senseless(format!("{text:?} is no address; write it as 127.0.0.1:50000 or 127.0.0.1"))
    })
}

/// An API by Kafka's name, in any case.
fn api(name: &str) -> Result<ApiKey, Refusal> {
    let found = ApiKey::ALL.iter().find(|api| api.to_string().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| Refusal::senseless(format!("there is no API {name:?}; write it as Produce")))
}

fn error_code(name: &str) -> Result<ErrorCode, Refusal> {
    let found = ErrorCode::ALL.iter().find(|error| error.name().eq_ignore_ascii_case(name));
    let unknown =
        || Refusal::senseless(format!("there is no error {name:?}; write it as NOT_LEADER_OR_FOLLOWER"));
    found.copied().ok_or_else(unknown)
}
