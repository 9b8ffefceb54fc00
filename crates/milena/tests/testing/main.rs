//! What users' tests are given: the cluster, its faults and the virtual clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clock;
mod cluster;
mod promise;
mod seeds;
