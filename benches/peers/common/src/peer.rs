use std::error::Error;
use std::process::exit;

use tokio::runtime::Builder;

use crate::{Args, Operation};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A client that is measured, by what it does for each operation.
#[expect(async_fn_in_trait, reason = "there is one thread")]
pub trait Peer {
    /// Records as fast as possible, until all are acknowledged.
    async fn produce(args: &Args) -> Result<()>;
    /// All partitions from the beginning.
    async fn consume(args: &Args) -> Result<()>;
    /// One record at a time; `first` is one such record.
    async fn latency(args: &Args) -> Result<()>;
    /// From a producer to a consumer, at a rate.
    async fn end_to_end(args: &Args) -> Result<()>;
}

/// The whole program: what the command line asks for, on a runtime of one thread.
///
/// # Errors
/// Those of the client.
pub fn run<P: Peer>() -> Result<()> {
    let args = Args::from_command_line();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        match args.operation {
            Operation::Produce => P::produce(&args).await,
            Operation::Consume => P::consume(&args).await,
            Operation::Latency | Operation::First => P::latency(&args).await,
            Operation::E2e => P::end_to_end(&args).await,
        }
    })?;
    // Without closing, which takes its time: what runs in the background has nothing to say any more.
    exit(0)
}
