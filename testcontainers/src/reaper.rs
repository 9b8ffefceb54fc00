//! Kills the programs that would outlive us.
//!
//! Brokers have a supervisor each. Programs that run for seconds share one shell, which knows their process ids and
//! kills what is left when its standard input ends: when this process is gone, whatever it died of.

use std::io::{self, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::supervisor::own_process_group;

const SCRIPT: &str = r#"
pids=' '
while read -r order pid; do
    case $order in
        watch) pids="$pids$pid " ;;
        forget) pids="${pids%%" $pid "*} ${pids##*" $pid "}" ;;
    esac
done
[ -n "${pids# }" ] && kill -s KILL $pids
"#;

/// The standard input of the shell, once there is one.
static SHELL: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// A process that does not outlive us; dropped when it has ended, before its id can be somebody else's.
#[derive(Debug)]
pub(crate) struct Leash {
    pid: u32,
}

pub(crate) fn leash(pid: u32) -> io::Result<Leash> {
    let mut shell = shell();
    let orders = match &mut *shell {
        Some(orders) => orders,
        none => none.insert(start_shell()?),
    };
    orders.write_all(format!("watch {pid}\n").as_bytes())?;
    Ok(Leash { pid })
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(orders) = &mut *shell() {
            // Without the shell there is nobody to forget it.
            drop(orders.write_all(format!("forget {}\n", self.pid).as_bytes()));
        }
    }
}

fn shell() -> MutexGuard<'static, Option<ChildStdin>> {
    // Whoever panicked here had written a line or not; the next line is whole either way.
    SHELL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_shell() -> io::Result<ChildStdin> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "reaper"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    own_process_group(&mut command);
    let mut shell = command.spawn()?;
    Ok(shell.stdin.take().expect("stdin was piped above"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::env;
    use std::fs;
    use std::path::PathBuf;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::scratch::Scratch;

    /// The name of the variable that makes [`holder_of_programs`] act.
    const HOLDER: &str = "MILENA_REAPER_TEST_DIRECTORY";

    fn is_alive(pid: &str) -> bool {
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().expect("kill runs").success()
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..4000 {
            if condition() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("never: {what}");
    }

    /// Not a test of its own: run again by the test below, in a process that gets killed.
    #[test]
    fn holder_of_programs() {
        let Some(directory) = env::var_os(HOLDER).map(PathBuf::from) else { return };
        let sleep = || Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let (mut kept, forgotten) = (sleep(), sleep());
        let _leash = leash(kept.id()).unwrap();
        drop(leash(forgotten.id()).unwrap());
        fs::write(directory.join("part"), format!("{} {}", kept.id(), forgotten.id())).unwrap();
        fs::rename(directory.join("part"), directory.join("pids")).unwrap();
        kept.wait().unwrap();
    }

    #[test]
    fn only_programs_on_a_leash_die_with_their_holder() {
        let scratch = Scratch::new().unwrap();
        let mut holder = Command::new(env::current_exe().unwrap())
            .args(["--exact", "reaper::tests::holder_of_programs"])
            .env(HOLDER, scratch.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pids = scratch.path().join("pids");
        wait_until("both programs run", || pids.exists());
        let pids = fs::read_to_string(pids).unwrap();
        let (kept, forgotten) = pids.split_once(' ').unwrap();

        holder.kill().unwrap(); // SIGKILL: it has no say in what happens next
        holder.wait().unwrap();
        wait_until("the program on the leash is gone", || !is_alive(kept));
        assert!(is_alive(forgotten));
        Command::new("kill").args(["-KILL", forgotten]).status().unwrap();
    }
}
