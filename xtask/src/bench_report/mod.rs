//! `cargo xtask bench-report`: Milena beside other clients, into `docs/benchmarks.md` and the README.
//!
//! It builds the clients (those that cannot be built here are named as such), measures them in rounds, saves each run as a line of JSON,
//! and draws tables and charts. A run of a part is only saved: the tables always show one run of everything. A run that failed is shown
//! as failed, and fails the command in the end. It needs Linux with two cores at least, and is best run on a machine that does nothing
//! else; all rounds of all clients take an hour.
//!
//! | file | what |
//! | --- | --- |
//! | `options` | the command line |
//! | `cell`, `goals` | what is compared, and what we want to come of it |
//! | `clients`, `brokers` | programs that are built or started |
//! | `rounds`, `facts`, `results` | measuring, the circumstances, what is saved of both |
//! | `draw`, `words`, `svg` | tables, text, charts |

mod brokers;
mod cell;
mod clients;
mod draw;
mod facts;
mod goals;
mod options;
mod results;
mod rounds;
mod svg;
#[cfg(test)]
mod tests;
mod words;

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::{process, workspace};
use brokers::Brokers;
use options::{Options, USAGE};
use results::{Results, Run};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Box<dyn Error>> {
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let root = workspace::root();
    let options = Options::parse(arguments, &root)?;
    let from = match &options.from {
        Some(from) => from,
        None => {
            measure(&root, &options)?;
            &options.into
        }
    };
    let results = Results::load(from)?;
    match (results.run.is_whole, &options.from) {
        (true, _) if !options.only_save => draw(&root, &results)?,
        (false, Some(from)) => {
            return Err(format!("{} has only a part: it is not drawn", from.display()).into());
        }
        _ => println!("saved in {}; docs and README are as they were", from.display()),
    }
    match results.failures() {
        failures if failures.is_empty() => Ok(()),
        failures => Err(format!("runs failed: {}", failures.join("; ")).into()),
    }
}

fn measure(root: &Path, options: &Options) -> Result<()> {
    let programs = clients::build(root, options)?;
    let brokers = Brokers::start(options, &programs)?;
    let facts = facts::gather(root, options, &programs, &brokers)?;
    let not_built = programs.not_built.clone();
    rounds::measure(
        options,
        &programs.clients,
        &brokers,
        Run { is_whole: options.is_whole(), facts, not_built },
    )
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
