//! What a consumer decides: pure, without a runtime, socket, clock or random number of its own.
//!
//! [`subscription`] is the whole; [`partition`] one partition of it, [`fetching`] what is fetched ahead of its position.
//! [`session`] is what one broker remembers of our requests; [`aborted`] tells which records `read_committed` hides; [`budget`]
//! bounds the bytes in memory, and [`ahead`] says how many of them it takes.

mod aborted;
mod ahead;
mod budget;
mod fetched;
mod fetching;
mod partition;
mod position;
mod reset;
pub(crate) mod session;
mod subscription;

pub use position::Position;
pub use reset::{OffsetReset, ParseOffsetResetError};

pub(crate) use aborted::{AbortedFilter, AbortedTransaction};
pub(crate) use ahead::ANSWER_BYTES_MIN;
pub(crate) use fetched::{Disorder, Fetched, Outline, outline};
pub(crate) use fetching::{FetchId, Lane};
pub(crate) use partition::{Asked, EpochChecks, Generation, Question, Watermarks};
pub(crate) use reset::OffsetLookup;
pub(crate) use subscription::{
    Action, Answer, Arrival, Decoded, Delivery, Effects, FetchDecision, FetchPlan, FetchedData, LoopId,
    PartitionAnswer, Seek, Subscription, SubscriptionConfig,
};
