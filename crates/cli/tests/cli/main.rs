//! The command as its users run it: a process, against `milena broker` in another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod broker;
mod consume;
mod demo;
mod produce;
mod stress;
mod support;
mod topic;
mod usage;
