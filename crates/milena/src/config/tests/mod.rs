//! The catalog against Java's and librdkafka's lists, and what each mistake is answered with.

use std::collections::BTreeSet;
use std::time::Duration;

use milena_producer::Acks;
use milena_producer::partitioner::{KeyHash, Partitioning};
use milena_records::{Codec, Compression};

use super::catalog::{Clients, Definition, Effect, Importance, Kind, Role};
use super::choices::{Assignor, GroupProtocol, IsolationLevel, OffsetReset, SaslMechanism, SecurityProtocol};
use super::*;

mod against_others;
mod contradictions;
mod defaults;
mod layers;
mod names;
mod security;
mod values;

fn properties<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> Properties {
    properties.into_iter().collect()
}

fn resolved<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> ClientProperties {
    properties(given).resolve().unwrap()
}

/// What the errors say, one a line.
fn refused<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    properties(given).resolve().unwrap_err().to_string()
}

fn warned(warnings: &[ConfigWarning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}
