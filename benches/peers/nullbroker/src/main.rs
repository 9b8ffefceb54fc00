//! `nullbroker`: a broker that costs next to nothing, so that clients are measured and not brokers.
//!
//! One node; any topic that is asked for has six partitions, or as many as a name that ends in `-xNUMBER` says. What is produced is thrown away in the kernel; of a batch only as much is
//! read as tells its number of records. A topic named `fetch-SIZE-COMPRESSION[-headers]` has records without end: batches made once, of
//! which a fetch gets slices. A thread for each connection; no groups, no transactions, no fetch sessions.
//!
//! Prints `bootstrap=ADDRESS` when it listens, and runs until it is killed.

mod answers;
mod canned;
mod connection;
mod produce;
mod topics;

use std::error::Error;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use produce::Ends;
use topics::Topics;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What all connections share.
struct Broker {
    port: u16,
    topics: Topics,
    ends: Ends,
}

fn main() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    println!("bootstrap={address}");
    let broker = Arc::new(Broker { port: address.port(), topics: Topics::default(), ends: Ends::default() });
    for socket in listener.incoming() {
        let (broker, socket) = (Arc::clone(&broker), socket?);
        thread::spawn(move || {
            if let Err(error) = connection::serve(&broker, socket)
                && !is_farewell(&*error)
            {
                eprintln!("connection: {error}");
            }
        });
    }
    Ok(())
}

/// Clients that have measured enough leave without a word.
fn is_farewell(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof))
}
