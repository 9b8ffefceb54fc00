//! The programs in `peers/`: their environments, made ready when they are first needed, and runs of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Time for one run, the start of an interpreter or a JVM included.
pub(crate) const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs a script of `peers/` in Python to its good end, and returns what it printed.
pub async fn run_python(script: &str, arguments: &[&str]) -> String {
    run_python_with_stdin(script, arguments, &[]).await
}

/// As [`run_python`], with something to read.
pub(crate) async fn run_python_with_stdin(script: &str, arguments: &[&str], stdin: &[u8]) -> String {
    let mut command = Command::new(python().await);
    command.arg(peers_dir().join(script)).args(arguments);
    run(command, &format!("{script} {arguments:?}"), stdin).await
}

/// Runs the franz-go program of `peers/franz` to its good end, and returns what it printed.
pub async fn run_franz(arguments: &[&str]) -> String {
    let mut command = Command::new(franz().await);
    command.args(arguments);
    run(command, &format!("franz {arguments:?}"), &[]).await
}

async fn run(mut command: Command, name: &str, stdin: &[u8]) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("the peer starts");
    let mut pipe = child.stdin.take().expect("piped above");
    let run = async {
        // A peer that ends early says why on its standard error.
        let _ = pipe.write_all(stdin).await;
        drop(pipe);
        child.wait_with_output().await.expect("the peer ends")
    };
    let output = tokio::time::timeout(RUN_TIMEOUT, run).await;
    let output = output.unwrap_or_else(|_| panic!("{name} did not end within {RUN_TIMEOUT:?}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("peers print ASCII")
}

/// What the Python peers are made of.
const PYTHON_PACKAGES: &[&str] = &[
    "confluent-kafka==2.16.1",
    "kafka-python==3.0.12",
    "lz4==4.4.5",
    "python-snappy==0.7.3",
    "zstandard==0.25.0",
];

/// The interpreter of a virtual environment that has the packages, made when it is first needed.
async fn python() -> &'static Path {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    PYTHON
        .get_or_init(|| async {
            tokio::task::spawn_blocking(make_environment)
                .await
                .expect("making the environment does not panic")
        })
        .await
}

fn make_environment() -> PathBuf {
    let directory = target_dir().join("python-peers");
    let python = directory.join("bin/python");
    let stamp = directory.join("packages.txt");
    let wanted = PYTHON_PACKAGES.join("\n");
    let lock = std::fs::File::create(target_dir().join("python-peers.lock"))
        .expect("the target directory is writable");
    // Two test processes may get here at the same time; the file is unlocked when it is closed.
    lock.lock().expect("the lock file can be locked");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |program: &Path, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| {
            panic!("{} is needed for the Python peers and does not start: {error}", program.display())
        });
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let directory = directory.to_str().expect("the target directory has a UTF-8 name");
    run(Path::new("python3"), &["-m", "venv", "--clear", directory]);
    let mut install = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    install.extend(PYTHON_PACKAGES);
    run(&python, &install);
    std::fs::write(&stamp, wanted).expect("the environment is writable");
    python
}

/// The franz-go program, built when it is first needed.
async fn franz() -> &'static Path {
    static FRANZ: OnceCell<PathBuf> = OnceCell::const_new();
    FRANZ
        .get_or_init(|| async {
            tokio::task::spawn_blocking(build_franz).await.expect("building the program does not panic")
        })
        .await
}

fn build_franz() -> PathBuf {
    let program = target_dir().join("franz-peer");
    let mut build = std::process::Command::new("go");
    build.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(peers_dir().join("franz"));
    let output = build.output();
    let output = output
        .unwrap_or_else(|error| panic!("Go is needed for the franz-go peer and does not start: {error}"));
    assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    program
}

fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Cargo's target directory: the test's executable is in `<target>/<profile>/deps`.
fn target_dir() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| {
        let executable = std::env::current_exe().expect("a running test has an executable");
        let target = executable.ancestors().nth(3).expect("executables are in <target>/<profile>/deps");
        target.to_owned()
    })
}
