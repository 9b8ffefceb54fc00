//! Faults on request.

mod handle;
mod table;

pub use handle::{Fault, FaultBuilder, Faults, PartFaultBuilder};
pub(crate) use table::{Effect, FaultTable, Stage, Subject};
