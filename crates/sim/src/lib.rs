//! Milena's clients and the embedded cluster on one thread, one virtual clock and one seed, with everything going wrong.
//!
//! A seed is a plan: topics, producers, consumers, and what goes wrong between and under them. [`run()`] carries it out and
//! judges what happened. Nothing in a run depends on anything but the seed and the code, so that a failure is there again
//! whenever its seed is run.
//!
//! | where | what |
//! | --- | --- |
//! | `plan` | what a seed stands for; pure |
//! | `run`, `world` | one seed, from start to end |
//! | `work` | what clients do, one file for each kind |
//! | `chaos` | what goes wrong with nodes, requests and partitions |
//! | `net` | what goes wrong on the way |
//! | `recorder` | the history, and the trace |
//! | `seeds`, `defects` | many seeds, and proof that they would find something |

mod chaos;
mod clock;
mod defects;
mod net;
mod plan;
mod recorder;
mod rng;
mod run;
mod seeds;
mod work;
mod world;

pub use defects::{DEFECTS, Defect, VARIABLE, Verdict, prove};
pub use run::{Run, run};
pub use seeds::{Report, Seeds, run_caught, write};
