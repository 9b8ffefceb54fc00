//! One process that is told signals by name, says when it has ended, and never outlives us.
//!
//! Killing what one started, also when one is killed oneself, is the kernel's business on Linux alone, and reached
//! only by unsafe code there. So a small shell stands between: [`SCRIPT`] runs the process, takes signals by name
//! over a pipe (for a container: over a TCP connection), and kills the process when the pipe ends. A pipe ends with
//! the process that holds it, whatever that died of.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// The supervising shell's program. POSIX sh.
pub(crate) const SCRIPT: &str = include_str!("supervisor.sh");

/// How long the supervisor may take to pass on a signal: it only has to run `kill`.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// What to run, and where it lives.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Holds everything the process writes; removed by the supervisor when it finds itself abandoned.
    pub(crate) directory: PathBuf,
    /// Gets standard output and standard error, appended.
    pub(crate) log: PathBuf,
}

/// The signals that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Asks to shut down.
    Term,
    /// `kill -9`.
    Kill,
    /// Stands still, with its sockets open: a hung broker.
    Stop,
    /// Goes on.
    Cont,
}

/// A running, or ended, process under its supervisor. Dropped: killed, and waited for.
pub(crate) struct Supervised {
    /// Closing it is the order to kill; `None` from then on.
    control: Option<Box<dyn Write + Send + Sync>>,
    acks: mpsc::UnboundedReceiver<bool>,
    exit: watch::Receiver<Option<i32>>,
    reader: Option<JoinHandle<()>>,
    shell: Option<Child>,
}

impl Supervised {
    /// Runs a process on this machine.
    ///
    /// It gets a process group of its own, so that Ctrl-C at a terminal reaches us and not the brokers: they are to
    /// die with us, not before us.
    pub(crate) fn start(launch: &Launch) -> io::Result<Self> {
        fs::create_dir_all(&launch.directory)?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "supervisor"])
            .arg(&launch.log)
            .arg(&launch.directory)
            .args(&launch.command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(append_to(&launch.log)?);
        own_process_group(&mut shell);

        let mut shell = shell.spawn()?;
        let control = shell.stdin.take().expect("stdin was piped above");
        let reports = shell.stdout.take().expect("stdout was piped above");
        Ok(Self::new(Box::new(control), Box::new(reports), Some(shell)))
    }

    /// Takes over a supervisor that runs elsewhere, by its two streams.
    #[cfg(feature = "docker")]
    pub(crate) fn connected(control: Box<dyn Write + Send + Sync>, reports: Box<dyn Read + Send>) -> Self {
        Self::new(control, reports, None)
    }

    #[expect(clippy::disallowed_methods, reason = "real processes end in no order that a seed could repeat")]
    fn new(
        control: Box<dyn Write + Send + Sync>,
        reports: Box<dyn Read + Send>,
        shell: Option<Child>,
    ) -> Self {
        let (ack_sender, acks) = mpsc::unbounded_channel();
        let (exit_sender, exit) = watch::channel(None);
        let reader = thread::spawn(move || {
            let mut status = None;
            for line in BufReader::new(reports).lines().map_while(Result::ok) {
                match line.strip_prefix("exit ") {
                    Some(code) => status = code.trim().parse().ok(),
                    // Nobody listens once the handle is dropped, and that is fine.
                    None => drop(ack_sender.send(line == "ok")),
                }
            }
            exit_sender.send_replace(Some(status.unwrap_or(UNKNOWN_STATUS)));
        });
        Self { control: Some(control), acks, exit, reader: Some(reader), shell }
    }

    /// Passes a signal on; when this returns, the kernel has it.
    ///
    /// Says whether there still was a process to take it.
    pub(crate) async fn signal(&mut self, signal: Signal) -> io::Result<bool> {
        while self.acks.try_recv().is_ok() {} // of a call that was dropped half-way
        let line: &[u8] = match signal {
            Signal::Term => b"TERM\n",
            Signal::Kill => b"KILL\n",
            Signal::Stop => b"STOP\n",
            Signal::Cont => b"CONT\n",
        };
        let Some(control) = self.control.as_mut() else { return Ok(false) };
        match control.write_all(line).and_then(|()| control.flush()) {
            Err(error) if is_closed(&error) => return Ok(false),
            result => result?,
        }
        match tokio::time::timeout(ACK_TIMEOUT, self.acks.recv()).await {
            Ok(ack) => Ok(ack.unwrap_or(false)),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the supervising shell does not answer")),
        }
    }

    /// Orders the kill that dropping waits for.
    pub(crate) fn hang_up(&mut self) {
        self.control = None;
    }

    /// The exit status, if the process has ended; above 128: by signal (status - 128).
    pub(crate) fn exit_status(&self) -> Option<i32> {
        *self.exit.borrow()
    }

    /// Waits for the end of the process, however long it takes.
    pub(crate) async fn ended(&self) -> i32 {
        let mut exit = self.exit.clone();
        // The reader reports before it ends, whatever its stream did.
        exit.wait_for(Option::is_some).await.ok().and_then(|status| *status).unwrap_or(UNKNOWN_STATUS)
    }
}

/// For a supervisor that died without a last word.
const UNKNOWN_STATUS: i32 = -1;

impl Drop for Supervised {
    fn drop(&mut self) {
        self.hang_up();
        if let Some(reader) = self.reader.take() {
            // Ends with the supervisor, which ends right after the process that it has just killed.
            drop(reader.join());
        }
        if let Some(mut shell) = self.shell.take() {
            drop(shell.wait());
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn append_to(log: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(log)
}

#[cfg(unix)]
pub(crate) fn own_process_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
pub(crate) fn own_process_group(_command: &mut Command) {}

#[cfg(test)]
mod tests;
