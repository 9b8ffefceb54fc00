//! The fault rules in force that were made here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use milena_broker::{Fault, Faults};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::spec::RuleSpec;

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
