#![cfg(unix)]

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::scratch::Scratch;

const LONG: Duration = Duration::from_secs(20);

fn launch(scratch: &Scratch, script: &str) -> Launch {
    let directory = scratch.path().join("node");
    Launch {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        log: directory.join("log"),
        directory,
    }
}

/// Waits until the process has written its own id, and reads it.
async fn pid_in(path: PathBuf) -> u32 {
    let read = async {
        loop {
            if let Some(pid) = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, read).await.expect("the process writes its id")
}

fn is_alive(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

#[tokio::test]
async fn exit_status_and_output_are_reported() {
    let scratch = Scratch::new().unwrap();
    let launch = launch(&scratch, "echo out; echo err >&2; exit 3");
    let process = Supervised::start(&launch).unwrap();
    assert_eq!(process.ended().await, 3);
    assert_eq!(fs::read_to_string(&launch.log).unwrap(), "out\nerr\n");
}

#[tokio::test]
async fn kill_is_acknowledged_and_ends_the_process() {
    let scratch = Scratch::new().unwrap();
    let mut process = Supervised::start(&launch(&scratch, "exec sleep 60")).unwrap();
    assert_eq!(process.exit_status(), None);
    assert!(process.signal(Signal::Kill).await.unwrap());
    assert_eq!(process.ended().await, 128 + 9);
    assert!(!process.signal(Signal::Kill).await.unwrap(), "there is no process any more");
    drop(process);
    assert!(scratch.path().join("node").exists(), "a killed node keeps its data: it may start again");
}

#[tokio::test]
async fn stopped_process_stands_still_until_continued() {
    let scratch = Scratch::new().unwrap();
    let launch = launch(&scratch, "while :; do echo tick; sleep 0.01; done");
    let mut process = Supervised::start(&launch).unwrap();
    let written = || fs::metadata(&launch.log).map(|log| log.len()).unwrap_or(0);
    let more_than = async |len| {
        while written() <= len {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, more_than(0)).await.expect("it ticks");
    assert!(process.signal(Signal::Stop).await.unwrap());
    let at_stop = written();
    tokio::time::timeout(Duration::from_millis(200), more_than(at_stop)).await.expect_err("it stands still");
    assert!(process.signal(Signal::Cont).await.unwrap());
    tokio::time::timeout(LONG, more_than(at_stop)).await.expect("it goes on");
}

#[tokio::test]
async fn dropping_kills_even_a_stopped_process_and_removes_its_directory() {
    let scratch = Scratch::new().unwrap();
    let pid_file = scratch.path().join("pid");
    let launch = launch(&scratch, &format!("trap '' TERM; echo $$ >{}; exec sleep 60", pid_file.display()));
    let mut process = Supervised::start(&launch).unwrap();
    let pid = pid_in(pid_file).await;
    assert!(process.signal(Signal::Stop).await.unwrap());
    drop(process);
    assert!(!is_alive(pid));
    assert!(!launch.directory.exists());
}

/// The name of the variable that makes [`holder_of_a_process`] act.
const HOLDER: &str = "MILENA_SUPERVISOR_TEST_DIRECTORY";

/// Not a test of its own: run again by the test below, in a process that gets killed.
#[tokio::test]
async fn holder_of_a_process() {
    let Some(directory) = env::var_os(HOLDER).map(PathBuf::from) else { return };
    let pid_file = directory.join("pid");
    let command =
        ["sh", "-c", &format!("echo $$ >{}; exec sleep 60", pid_file.display())].map(str::to_owned).to_vec();
    let node = directory.join("node");
    let process = Supervised::start(&Launch { command, log: node.join("log"), directory: node }).unwrap();
    process.ended().await;
}

#[tokio::test]
async fn process_dies_when_its_holder_is_killed() {
    let scratch = Scratch::new().unwrap();
    let mut holder = Command::new(env::current_exe().unwrap())
        .args(["--exact", "supervisor::tests::holder_of_a_process"])
        .env(HOLDER, scratch.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = pid_in(scratch.path().join("pid")).await;
    assert!(is_alive(pid));

    holder.kill().unwrap(); // SIGKILL: it has no say in what happens next
    holder.wait().unwrap();
    let gone = async {
        while is_alive(pid) || scratch.path().join("node").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("the process and its directory are gone");
}
