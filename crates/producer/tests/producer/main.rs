//! The producer against the embedded broker and against scripted peers, on a virtual clock.
#![cfg(test)]

mod acks;
mod backpressure;
mod delivery;
mod failures;
mod identity;
mod isolation;
mod order;
mod sizes;
mod support;
mod topics;
