//! Processes for tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output of a command that has to have succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        String::from_utf8(self.stdout).expect("text")
    }

    /// As [`Self::success`], for output that may be no text.
    #[track_caller]
    pub(crate) fn success_bytes(self) -> Vec<u8> {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        self.stdout
    }

    /// Standard error of a command that has to have ended with this exit code.
    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> String {
        assert_eq!(
            self.code,
            code,
            "stdout: {}; stderr: {}",
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self.stderr
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `milena` without input.
pub(crate) fn milena(arguments: &[&str]) -> Ended {
    milena_with_input(arguments, b"")
}

/// Runs `milena` with this standard input.
pub(crate) fn milena_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that reads less than all of its input is none of our business.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A `milena` that runs beside the test, and is killed with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// Dropped with this; until then the process is killed after [`LIFETIME_MAX`].
    _watched: mpsc::Sender<()>,
}

/// A process that should have ended long ago is killed, so that its test fails and does not hang.
const LIFETIME_MAX: Duration = Duration::from_secs(300);

/// Kills the process `id` after [`LIFETIME_MAX`], unless what is returned is dropped before.
fn watch(id: u32) -> mpsc::Sender<()> {
    let (watched, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(LIFETIME_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
            #[cfg(unix)]
            send_signal(id, nix::sys::signal::Signal::SIGKILL);
            #[cfg(not(unix))]
            drop(Command::new("taskkill").args(["/F", "/PID", &id.to_string()]).status());
        }
    });
    watched
}

#[cfg(unix)]
fn send_signal(id: u32, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(id).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let _watched = watch(child.id());
        Self { child, stdout, stderr, _watched }
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next line of its standard error.
    pub(crate) fn stderr_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stderr.read_line(&mut line).unwrap() > 0, "it said nothing more");
        line.trim_end().to_owned()
    }

    pub(crate) fn write(&mut self, input: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(input).unwrap();
        stdin.flush().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        send_signal(self.child.id(), signal);
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let (mut stdout, mut stderr) = (Vec::new(), String::new());
        self.stdout.read_to_end(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ended { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A `milena broker` at a free port.
pub(crate) struct Broker {
    pub(crate) process: Running,
    pub(crate) bootstrap: String,
}

impl Broker {
    /// With these topics, as `--topic` takes them.
    pub(crate) fn with_topics(topics: &[&str]) -> Self {
        let topics: Vec<_> = topics.iter().flat_map(|topic| ["--topic", topic]).collect();
        Self::start(&topics)
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = Running::start(&[&["broker", "--listen", "0"], arguments].concat());
        let line = process.line();
        let bootstrap = line.strip_prefix("bootstrap=").expect("it tells where it listens").to_owned();
        Self { process, bootstrap }
    }

    /// Runs a command on this broker.
    pub(crate) fn milena(&self, arguments: &[&str]) -> Ended {
        self.milena_with_input(arguments, b"")
    }

    pub(crate) fn milena_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        milena_with_input(&[arguments, &["-b", &self.bootstrap]].concat(), input)
    }

    /// Everything in a topic, by a template.
    pub(crate) fn read(&self, topic: &str, template: &str) -> Vec<u8> {
        let arguments = ["consume", "-t", topic, "--from", "beginning", "-e", "-Z", "NULL", "-f", template];
        self.milena(&arguments).success_bytes()
    }

    /// A command on this broker, running beside the test.
    pub(crate) fn start_milena(&self, arguments: &[&str]) -> Running {
        Running::start(&[arguments, &["-b", &self.bootstrap]].concat())
    }
}

/// A request to a control port at `address`, and the whole answer.
pub(crate) fn http(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
