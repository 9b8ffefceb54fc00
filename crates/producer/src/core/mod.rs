//! The pure part: what is sent when, in which order, and what an answer means. No runtime, socket, clock or lock.

pub(crate) mod batch;
pub(crate) mod listing;
pub(crate) mod outcome;
pub(crate) mod queue;
pub(crate) mod sequencing;
