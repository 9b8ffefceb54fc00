//! Fault rules as JSON, and those in force.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milena_broker::{ApiKey, ErrorCode, Fault, FaultBuilder, Faults, NodeId, PartFaultBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Refusal;

/// What happens to which requests, and how often.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(default)]
    skip: u32,
    #[serde(default)]
    times: Times,
    #[serde(default = "certain")]
    probability: f64,
    effect: EffectSpec,
}

fn certain() -> f64 {
    1.0
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

impl Default for Times {
    fn default() -> Self {
        Self::Number(1)
    }
}

/// What happens; see the methods of `FaultBuilder` of these names.
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
}

impl RuleSpec {
    fn put_in_force(&self, faults: &Faults) -> Result<Fault, Refusal> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Refusal::senseless("probability is from 0 to 1"));
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
        rule = rule.skip(self.skip).with_probability(self.probability);
        rule = match self.times {
            Times::Number(times) => rule.times(times),
            Times::Word(Always::Always) => rule.always(),
        };
        match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => self.effect.on_part(rule.partition(topic, partition)),
            (Some(topic), None) => self.effect.on_part(rule.topic(topic)),
            (None, None) => self.effect.on_request(rule),
            (None, Some(_)) => Err(Refusal::senseless("a partition needs its topic")),
        }
    }
}

impl EffectSpec {
    fn on_request(&self, rule: FaultBuilder) -> Result<Fault, Refusal> {
        match self {
            Self::AnswerWith { error } => Ok(rule.answer_with(error_code(error)?)),
            Self::CloseBeforeWork => Ok(rule.close_before_work()),
            Self::DelayWork { ms } => Ok(rule.delay_work(Duration::from_millis(*ms))),
            Self::DeliverTwice => Ok(rule.deliver_twice()),
            Self::LoseAnswer => Ok(rule.lose_answer()),
            Self::DelayAnswer { ms } => Ok(rule.delay_answer(Duration::from_millis(*ms))),
            Self::TruncateAnswer => Ok(rule.truncate_answer()),
            Self::HideTopic | Self::ReportLeader { .. } | Self::ReportLeaderEpoch { .. } => {
                Err(Refusal::senseless("this effect is about a topic: name it"))
            }
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
            Self::CloseBeforeWork | Self::DelayWork { .. } | Self::DeliverTwice | Self::TruncateAnswer => {
                Err(Refusal::senseless("this effect is about whole requests: leave out topic and partition"))
            }
        }
    }
}

/// An API by Kafka's name, in any case.
pub(crate) fn api(name: &str) -> Result<ApiKey, Refusal> {
    let found = ApiKey::ALL.iter().find(|api| api.to_string().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| Refusal::senseless(format!("there is no API {name:?}; write it as Produce")))
}

fn error_code(name: &str) -> Result<ErrorCode, Refusal> {
    let found = ErrorCode::ALL.iter().find(|error| error.name().eq_ignore_ascii_case(name));
    let unknown =
        || Refusal::senseless(format!("there is no error {name:?}; write it as NOT_LEADER_OR_FOLLOWER"));
    found.copied().ok_or_else(unknown)
}

/// The rules that were made here, by their numbers, until they are removed.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    last_id: u64,
    rules: BTreeMap<u64, (RuleSpec, Fault)>,
}

/// As many as anybody can keep apart.
const RULES_MAX: usize = 10_000;

impl Rules {
    /// Puts a rule in force and returns its number.
    pub(crate) fn add(&self, faults: &Faults, spec: RuleSpec) -> Result<Value, Refusal> {
        let mut made = self.lock();
        if made.rules.len() >= RULES_MAX {
            return Err(Refusal::failed(format!("there are {RULES_MAX} rules already; remove some")));
        }
        let fault = spec.put_in_force(faults)?;
        made.last_id += 1;
        let id = made.last_id;
        made.rules.insert(id, (spec, fault));
        Ok(json!({ "id": id }))
    }

    pub(crate) fn list(&self) -> Value {
        let made = self.lock();
        let rules = made.rules.iter().map(|(id, (spec, fault))| describe(*id, spec, fault));
        json!({ "faults": rules.collect::<Vec<_>>() })
    }

    pub(crate) fn get(&self, id: u64) -> Option<Value> {
        self.lock().rules.get(&id).map(|(spec, fault)| describe(id, spec, fault))
    }

    /// Ends a rule. False if there is none.
    pub(crate) fn remove(&self, id: u64) -> bool {
        self.lock().rules.remove(&id).inspect(|(_, fault)| fault.remove()).is_some()
    }

    /// Ends all rules, those that were made elsewhere too.
    pub(crate) fn clear(&self, faults: &Faults) {
        self.lock().rules.clear();
        faults.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(id: u64, spec: &RuleSpec, fault: &Fault) -> Value {
    json!({ "id": id, "fired": fault.fired(), "rule": spec })
}
