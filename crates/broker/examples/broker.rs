//! A broker to try clients with: `cargo run -p milena-broker --example broker -- [nodes] [first port] [key=value ...]`.
//!
//! Prints `bootstrap=HOST:PORT,...` when it is ready, and stops on Ctrl-C.

use std::io::Write;

use milena_broker::Cluster;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let nodes = arguments.next().map_or(Ok(1), |nodes| nodes.parse())?;
    let mut builder = Cluster::builder().nodes(nodes);
    if let Some(port) = arguments.next() {
        builder = builder.port(port.parse()?);
    }
    for setting in arguments {
        let (name, value) = setting.split_once('=').ok_or("settings are written key=value")?;
        builder = builder.config(name, value);
    }
    let cluster = builder.start().await?;
    println!("bootstrap={}", cluster.bootstrap());
    std::io::stdout().flush()?;
    tokio::signal::ctrl_c().await?;
    cluster.shutdown().await;
    Ok(())
}
