//! What happened, for the checkers and for people.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milena_history::{Entry, Event, History, Note};

use crate::clock;

/// Takes down events as they happen; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    started: Instant,
    has_trace: bool,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    history: History,
    trace: String,
}

/// Few runs have more events: some six for each record.
const ENTRIES_EXPECTED: usize = 16_384;

impl Recorder {
    /// `has_trace`: a line is kept for everything that happens, for people and to compare two runs.
    pub(crate) fn new(has_trace: bool) -> Self {
        let history = History { entries: Vec::with_capacity(ENTRIES_EXPECTED) };
        let notes = Notes { history, trace: String::new() };
        Self { started: clock::now(), has_trace, notes: Arc::new(Mutex::new(notes)) }
    }

    pub(crate) fn event(&self, event: Event) {
        let entry = Entry { at_us: self.at_us(), event };
        if self.has_trace {
            self.line(entry.at_us, &entry.to_json());
        }
        self.notes().history.entries.push(entry);
    }

    pub(crate) fn note(&self, note: Note) {
        self.event(Event::Note(note));
    }

    /// Something that belongs into the trace alone.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.has_trace {
            self.line(self.at_us(), &line());
        }
    }

    pub(crate) fn at_us(&self) -> u64 {
        clock::now().saturating_duration_since(self.started).as_micros() as u64
    }

    /// Looks at what was taken down so far.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.notes().history)
    }

    /// Hands over what was taken down: the history, and the trace.
    pub(crate) fn finish(&self) -> (History, String) {
        let mut notes = self.notes();
        (std::mem::take(&mut notes.history), std::mem::take(&mut notes.trace))
    }

    fn line(&self, at_us: u64, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.notes().trace, "{at_us:>10} {line}");
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
