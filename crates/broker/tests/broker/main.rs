//! The broker as an independent client sees it.
//!
//! `conformance` holds what any Kafka does, and runs on real ones, too. The rest needs the embedded one.

#![expect(clippy::disallowed_methods, reason = "tests run outside the broker, in real time")]

mod administration;
mod any_error;
mod conformance;
mod connection_faults;
mod coordinators;
mod faults;
mod log;
mod support;
mod transactional;
mod transactions;
mod wire;
