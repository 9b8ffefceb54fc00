//! The broker as an independent client sees it.
//!
//! `conformance` holds what any Kafka does: with `MILENA_CONFORMANCE_BOOTSTRAP=host:port` in the environment it runs
//! against that one instead of the embedded broker. The rest needs the embedded one.

#![expect(clippy::disallowed_methods, reason = "tests run outside the broker, in real time")]

mod conformance;
mod faults;
mod support;
mod wire;
