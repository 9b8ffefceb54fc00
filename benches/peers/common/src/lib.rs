//! What the programs in Rust share: the command line, the records, the operations as far as they are the same for all, and the line of
//! JSON that is the result.

mod args;
mod end_to_end;
mod meter;
mod one_by_one;
mod peer;
mod shared;

pub use args::{Args, Operation};
pub use end_to_end::{Arrivals, Pace};
pub use meter::{Latencies, Meter};
pub use milena_bench_events::{COUNT, Event, pool};
pub use one_by_one::OneByOne;
pub use peer::{Peer, Result, run};
pub use shared::{SharedEvent, shared_pool};

use std::time::Duration;

/// Records that wait for their acknowledgement at once, where a client does not bound them itself.
pub const PENDING_MAX: usize = 100_000;
/// How much memory a producer may use for records that wait, in bytes.
pub const BUFFER_BYTES: usize = 64 << 20;
/// How long a consumer has to find the end of its partitions before `e2e` begins.
pub const SETTLING: Duration = Duration::from_secs(2);
/// How long a broker may wait for records before it answers a fetch.
pub const FETCH_WAIT: Duration = Duration::from_millis(100);
/// The most that a fetch returns for a partition, in bytes.
pub const PARTITION_FETCH_BYTES: usize = 1 << 20;
