//! Batches through the public interface: Kafka's, ours, old ones and hostile ones.

#![cfg(test)]

mod allocations;
mod common;
mod golden;
mod hostile;
mod legacy;
mod round_trip;
mod sealed;
