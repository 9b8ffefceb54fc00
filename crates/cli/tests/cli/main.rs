//! The command as its users run it: a process, against `milena broker` in another.

mod bench;
mod broker;
mod consume;
mod demo;
mod produce;
mod support;
mod topic;
mod usage;
