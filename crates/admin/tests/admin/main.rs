//! Administration against scripted peers, and against the embedded broker.
#![cfg(test)]

mod embedded;
#[expect(dead_code, reason = "the client's tests use the rest of it")]
#[path = "../../../client/tests/client/peer/mod.rs"]
mod peer;
mod scripted;
