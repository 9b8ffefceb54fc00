//! The consumer against the embedded broker, in memory and on virtual time.

mod allocations;
mod detours;
mod distance;
mod errors;
mod faults;
mod hand_over;
mod metrics;
mod offsets;
mod old_brokers;
mod panics;
mod reading;
mod slow;
mod support;
