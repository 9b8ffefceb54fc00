//! The consumer against the embedded broker, in memory and on virtual time.

mod errors;
mod faults;
mod offsets;
mod reading;
mod support;
