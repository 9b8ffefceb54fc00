//! What the tests of the whole share: brokers to test against, other clients as the other end, and records to send.

mod peer;
mod programs;
mod sample;
mod target;

pub use peer::{Peer, PeerKind};
pub use programs::{run_franz, run_python};
pub use sample::{WireRecord, sample_records};
pub use target::{Target, unique};
