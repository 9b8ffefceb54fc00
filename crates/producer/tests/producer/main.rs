//! The producer against the embedded broker and against scripted peers, on a virtual clock.
#![cfg(test)]

mod acks;
mod allocations;
mod backpressure;
mod delivery;
mod distance;
mod failures;
mod identity;
mod isolation;
mod metrics;
mod moved;
mod order;
#[path = "../../../client/tests/client/peer/mod.rs"]
#[expect(dead_code, reason = "it offers more than is needed here")]
mod peer;
mod scripted;
mod sizes;
mod stays;
mod support;
mod topics;
mod user_code;
