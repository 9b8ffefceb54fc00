//! Defects that are planted on purpose, and the proof that seeds find each of them.
//!
//! They are in the code behind `milena_protocol::planted`, which is `false` in every build but one with `--cfg milena_defects`:
//! there, the environment variable `MILENA_DEFECT` names the one that is in force.

use std::io;
use std::path::Path;
use std::process::Command;

/// The environment variable that names the defect.
pub const VARIABLE: &str = "MILENA_DEFECT";

/// A defect, and within how many seeds it is found.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// Its name in the code.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// It is found at the latest by this many seeds, from 0 on.
    pub seeds: u64,
}

const fn defect(name: &'static str, seeds: u64, what: &'static str) -> Defect {
    Defect { name, what, seeds }
}

/// All of them.
pub const DEFECTS: [Defect; 24] = [
    defect("retry_gets_new_sequence", 20, "a batch that is sent again gets other sequence numbers"),
    defect(
        "new_leader_gets_new_sequence",
        50,
        "what an old leader has is sent to the new one under other numbers",
    ),
    defect("retry_forgets_doubt", 50, "a batch that may be written counts as certainly not written"),
    defect("retry_loses_its_place", 50, "a batch that comes back waits behind those sent after it"),
    defect(
        "expiry_denies_what_is_in_flight",
        50,
        "a record that expires in flight is told to be certainly not written",
    ),
    defect("expiry_does_nothing", 50, "nothing is resolved when its delivery timeout is over"),
    defect("lost_answer_is_taken_for_good", 20, "a record is acknowledged when its answer is lost"),
    defect(
        "unobserved_failure_is_not_counted",
        50,
        "a flush does not tell of failures that nobody looked at",
    ),
    defect("flush_forgets_the_last_batch", 20, "a flush returns before the last batch is resolved"),
    defect(
        "offset_of_piece_counts_from_the_whole",
        100,
        "offsets in a batch that was split count from its start",
    ),
    defect("key_goes_where_there_is_room", 100, "a key goes to another partition when the buffer is short"),
    defect("dropped_send_is_queued", 50, "a send that is dropped may have queued its record"),
    defect("stalled_broker_stops_all", 50, "a broker that hangs stops sending to all others"),
    defect("full_buffer_is_waited_for_without_limit", 100, "a send waits for room longer than max.block.ms"),
    defect("memory_is_not_given_back", 20, "a batch that is resolved keeps its share of the buffer"),
    defect(
        "answer_goes_to_another_request",
        20,
        "an answer is matched to the request after the one it belongs to",
    ),
    defect("seek_keeps_what_was_fetched", 50, "what was fetched before a seek is handed over after it"),
    defect("new_leader_skips_a_record", 50, "fetching goes on one record too late after a change of leader"),
    defect("position_passes_what_was_not_decoded", 400, "what is buffered and not decoded is skipped"),
    defect("budget_has_no_bound", 100, "a consumer that is not read from fetches on"),
    defect("session_keeps_the_old_offset", 50, "a fetch session does not learn where to go on"),
    defect("broker_ignores_sequences", 20, "the broker appends a repetition"),
    defect(
        "broker_ignores_epochs",
        1_000,
        "the broker appends what a producer sent in an epoch that is over",
    ),
    defect("broker_acknowledges_before_it_writes", 100, "the broker acknowledges what it does not write"),
];

/// What seeds made of a defect.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which.
    pub defect: Defect,
    /// The first violation of the first seed that found it; none if none did.
    pub found: Option<String>,
}

/// Has each defect looked for by `program`, this one built with defects.
///
/// # Errors
/// The program cannot be run.
pub fn prove(program: &Path, threads: usize, show: impl Fn(&Verdict)) -> io::Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for defect in DEFECTS {
        let output = Command::new(program)
            .args(["--first", "--seeds", &defect.seeds.to_string(), "--threads", &threads.to_string()])
            .env(VARIABLE, defect.name)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines().skip_while(|line| !line.starts_with("FAILED"));
        let found = lines.next().map(|seed| format!("{seed}:{}", lines.next().unwrap_or_default()));
        // A seed that never ends is a find, too.
        let hangs =
            (output.status.code() == Some(2)).then(|| String::from_utf8_lossy(&output.stderr).into_owned());
        let verdict = Verdict { defect, found: found.or(hangs) };
        show(&verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;

    /// The names that are planted in the code below a folder.
    fn planted_in(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                planted_in(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let calls = text.split("planted(\"").skip(1).filter_map(|rest| rest.split('"').next());
                names.extend(calls.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_planted_defect_is_listed_and_every_listed_one_is_planted() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut planted = BTreeSet::new();
        for name in ["broker", "client", "consumer", "producer"] {
            planted_in(&crates.join(name).join("src"), &mut planted);
        }
        let listed: BTreeSet<_> = DEFECTS.iter().map(|defect| defect.name.to_owned()).collect();
        assert_eq!(planted, listed);
    }

    #[test]
    fn nothing_is_planted_here() {
        assert!(cfg!(milena_defects) || DEFECTS.iter().all(|defect| !milena_protocol::planted(defect.name)));
    }
}
