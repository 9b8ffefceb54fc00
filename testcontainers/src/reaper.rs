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
