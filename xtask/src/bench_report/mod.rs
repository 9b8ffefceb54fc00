//! `cargo xtask bench-report`: Milena beside other clients, into `docs/benchmarks.md` and the README.
//!
//! It builds the clients (those that cannot be built here are left out, and named), measures them in rounds, saves each run as a line of
//! JSON, and draws tables and charts. `--from DIR` draws again what was saved. It needs Linux with two cores at least, and is best run on a
//! machine that does nothing else; all rounds of all clients take an hour.

mod cell;
mod clients;
mod draw;
mod facts;
mod results;
mod rounds;
mod svg;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{process, workspace};
use cell::{Broker, Cell};
use results::Results;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
cargo xtask bench-report [OPTIONS]
  --rounds NUMBER        rounds of every client in every cell (5)
  --clients NAME,...     only these; milena is one of them
  --peer NAME=COMMAND    one more client, a program with the command line of the others (repeatable)
  --cells CELL,...       on the null broker: OPERATION:SIZE:COMPRESSION[:headers]
  --real HOST:PORT       latency and end to end on this Kafka, too, on the same machine
  --cpu-s SECONDS        processor time that a run of produce or consume takes (1.2)
  --into DIR             where results are saved (target/bench-report)
  --only-save            draws nothing
  --from DIR             measures nothing, draws what is saved there";

/// What every client is measured by on the null broker.
const CELLS: &str = "produce:100:none,produce:100:lz4,produce:100:lz4:headers,produce:1000:none,produce:1000:lz4,\
                     consume:100:none,consume:100:lz4,consume:1000:none,consume:1000:lz4,latency:100:none,first:100:none";
/// And on a real one.
const REAL_CELLS: &str = "latency:100:none,e2e:100:none,first:100:none";

struct Options {
    rounds: usize,
    clients: Option<Vec<String>>,
    peers: Vec<(String, Vec<String>)>,
    cells: Vec<Cell>,
    real: Option<String>,
    cpu_seconds: f64,
    into: PathBuf,
    only_save: bool,
    from: Option<PathBuf>,
}

pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Box<dyn Error>> {
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let root = workspace::root();
    let options = Options::parse(arguments, &root)?;
    let from = match &options.from {
        Some(from) => from.clone(),
        None => {
            let programs = clients::build(&root, &options)?;
            let facts = facts::gather(&root, arguments, &programs)?;
            rounds::measure(&options, &programs, &facts)?;
            options.into.clone()
        }
    };
    if options.only_save {
        return Ok(());
    }
    draw(&root, &Results::load(&from)?)
}

fn draw(root: &Path, results: &Results) -> Result<()> {
    let docs = root.join("docs");
    fs::create_dir_all(docs.join("img"))?;
    let charts = draw::charts(results);
    for (name, svg) in &charts {
        fs::write(docs.join("img").join(name), svg)?;
    }
    fs::write(docs.join("benchmarks.md"), draw::document(results, &charts))?;
    let readme = root.join("README.md");
    fs::write(&readme, draw::readme(&fs::read_to_string(&readme)?, results)?)?;
    println!("written: docs/benchmarks.md, {} charts in docs/img, the table in README.md", charts.len());
    Ok(())
}

impl Options {
    fn parse(arguments: &[String], root: &Path) -> Result<Self> {
        let mut options = Self {
            rounds: 5,
            clients: None,
            peers: Vec::new(),
            cells: cells(CELLS, Broker::Null)?,
            real: None,
            cpu_seconds: 1.2,
            into: root.join("target/bench-report"),
            only_save: false,
            from: None,
        };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            if option == "--only-save" {
                options.only_save = true;
                continue;
            }
            let value =
                rest.next().ok_or_else(|| format!("{option} is unknown, or lacks a value\n{USAGE}"))?;
            match option.as_str() {
                "--rounds" => options.rounds = value.parse()?,
                "--clients" => options.clients = Some(value.split(',').map(str::to_owned).collect()),
                "--peer" => {
                    let (name, command) =
                        value.split_once('=').ok_or("--peer is followed by NAME=COMMAND")?;
                    let words = command.split_whitespace().map(str::to_owned).collect();
                    options.peers.push((name.to_owned(), words));
                }
                "--cells" => options.cells = cells(value, Broker::Null)?,
                "--real" => options.real = Some(value.clone()),
                "--cpu-s" => options.cpu_seconds = value.parse()?,
                "--into" => options.into = PathBuf::from(value),
                "--from" => options.from = Some(PathBuf::from(value)),
                _ => return Err(format!("unknown option {option}\n{USAGE}").into()),
            }
        }
        if options.real.is_some() {
            options.cells.extend(cells(REAL_CELLS, Broker::Real)?);
        }
        Ok(options)
    }

    fn wants(&self, client: &str) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.iter().any(|wanted| wanted == client))
    }
}

fn cells(list: &str, broker: Broker) -> Result<Vec<Cell>> {
    list.split(',').map(|cell| Cell::parse(cell, broker)).collect()
}
