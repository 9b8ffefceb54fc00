//! The command line.

use std::path::{Path, PathBuf};

use super::cell::{Broker, Cell};
use super::{Result, clients};

pub(super) const USAGE: &str = "\
cargo xtask bench-report [OPTIONS]
  --rounds NUMBER        rounds of every client in every cell (5)
  --cpu-s SECONDS        processor time that a run of produce or consume takes (1.2)
  --clients NAME,...     only these; milena is one of them
  --cells CELL,...       only these: [real:]OPERATION:SIZE:COMPRESSION[:headers]; on the null broker without `real:`
  --peer NAME=COMMAND    one more client, a program with the command line of the others (repeatable)
  --real HOST:PORT       a Kafka for the cells with `real:`; without it, one is started
  --into DIR             where results are saved (target/bench-report)
  --only-save            draws nothing
  --from DIR             measures nothing, draws what is saved there

The tables are drawn from whole runs: all clients, all cells, no less rounds and time than by default. What else is measured is saved.";

/// What a whole run measures.
const CELLS: &str = "produce:100:none,produce:100:lz4,produce:100:lz4:headers,produce:1000:none,produce:1000:lz4,\
                     consume:100:none,consume:100:lz4,consume:1000:none,consume:1000:lz4,latency:100:none,first:100:none,\
                     real:latency:100:none,real:e2e:100:none,real:first:100:none";
const ROUNDS: usize = 5;
const CPU_SECONDS: f64 = 1.2;

#[derive(Debug)]
pub(super) struct Options {
    pub(super) rounds: usize,
    /// Processor time that a run of produce or consume takes.
    pub(super) cpu_seconds: f64,
    /// Only these.
    clients: Option<Vec<String>>,
    pub(super) cells: Vec<Cell>,
    /// Programs that are clients, too.
    pub(super) peers: Vec<(String, Vec<String>)>,
    pub(super) real: Option<String>,
    pub(super) into: PathBuf,
    pub(super) only_save: bool,
    pub(super) from: Option<PathBuf>,
}

impl Options {
    /// # Errors
    /// A word that is unknown: nothing that was not asked for is measured, and nothing that was is left out silently.
    pub(super) fn parse(arguments: &[String], root: &Path) -> Result<Self> {
        let mut options = Self {
            rounds: ROUNDS,
            cpu_seconds: CPU_SECONDS,
            clients: None,
            cells: cells(CELLS)?,
            peers: Vec::new(),
            real: None,
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
                "--cpu-s" => options.cpu_seconds = value.parse()?,
                "--clients" => options.clients = Some(value.split(',').map(str::to_owned).collect()),
                "--cells" => options.cells = cells(value)?,
                "--peer" => options.peers.push(peer(value)?),
                "--real" => options.real = Some(value.clone()),
                "--into" => options.into = PathBuf::from(value),
                "--from" => options.from = Some(PathBuf::from(value)),
                _ => return Err(format!("unknown option {option}\n{USAGE}").into()),
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        if self.rounds == 0 || !(self.cpu_seconds > 0.0 && self.cpu_seconds.is_finite()) {
            return Err("--rounds and --cpu-s have to be more than 0".into());
        }
        for (index, (name, _)) in self.peers.iter().enumerate() {
            if clients::NAMES.contains(&name.as_str())
                || self.peers[..index].iter().any(|(other, _)| other == name)
            {
                return Err(format!("--peer {name}: there is a client of this name").into());
            }
        }
        let known: Vec<&str> =
            clients::NAMES.into_iter().chain(self.peers.iter().map(|(name, _)| name.as_str())).collect();
        match self.clients.iter().flatten().find(|client| !known.contains(&client.as_str())) {
            Some(unknown) => {
                Err(format!("--clients: `{unknown}` is unknown; there are {}", known.join(", ")).into())
            }
            None => Ok(()),
        }
    }

    /// Whether the tables may show it: everything, measured no less thoroughly than by default.
    pub(super) fn is_whole(&self) -> bool {
        let all_cells = cells(CELLS).is_ok_and(|all| all.iter().all(|cell| self.cells.contains(cell)));
        all_cells && self.clients.is_none() && self.rounds >= ROUNDS && self.cpu_seconds >= CPU_SECONDS
    }

    pub(super) fn wants(&self, client: &str) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.iter().any(|wanted| wanted == client))
    }

    pub(super) fn needs(&self, broker: Broker) -> bool {
        self.cells.iter().any(|cell| cell.broker == broker)
    }

    /// The command for others to repeat a whole run: without what is of this machine only.
    pub(super) fn shown(&self) -> String {
        let mut words = "cargo xtask bench-report".to_owned();
        if self.rounds != ROUNDS {
            words += &format!(" --rounds {}", self.rounds);
        }
        if self.cpu_seconds != CPU_SECONDS {
            words += &format!(" --cpu-s {}", self.cpu_seconds);
        }
        for (name, _) in &self.peers {
            words += &format!(" --peer {name}=COMMAND");
        }
        if self.real.is_some() {
            words += " --real HOST:PORT";
        }
        words
    }
}

fn cells(list: &str) -> Result<Vec<Cell>> {
    list.split(',').map(Cell::parse).collect()
}

/// `NAME=COMMAND`; the name is shown in tables.
fn peer(value: &str) -> Result<(String, Vec<String>)> {
    let (name, command) = value.split_once('=').ok_or("--peer is followed by NAME=COMMAND")?;
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) || words.is_empty() {
        return Err(
            format!("--peer {value}: a name of letters, digits, - _ and . is followed by =COMMAND").into()
        );
    }
    Ok((name.to_owned(), words))
}
