//! Not a client: the least work that one could do, to show how far away the clients are.
//!
//! One thread, blocking sockets, one broker that is known: keys are hashed, records encoded into batches, batches compressed and checked,
//! by Milena's own codecs; requests are written and answers read. No metadata, errors, retries, timers, tasks, deliveries or budgets.

mod consume;
mod latency;
mod produce;
mod socket;

use peer_common::{Args, Operation, Result};

const CLIENT: &str = "floor";

fn main() -> Result<()> {
    let args = Args::from_command_line();
    match args.operation {
        Operation::Produce => produce::run(&args),
        Operation::Consume => consume::run(&args),
        Operation::Latency => latency::run(&args),
        Operation::E2e | Operation::First => Err("the floor has only produce, consume and latency".into()),
    }
}
