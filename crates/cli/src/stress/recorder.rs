//! Takes down what happens, in memory for the checkers and in a file for everybody.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milena::Env;
use milena_history::{Entry, Event, History};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    env: Env,
    started: Instant,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    history: History,
    file: BufWriter<File>,
    /// The first failure of writing; nothing is written after it.
    failed: Option<io::Error>,
}

impl Recorder {
    pub(super) fn create(path: &Path, env: Env) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let notes = Notes { history: History::default(), file, failed: None };
        Ok(Self { started: env.now(), env, notes: Arc::new(Mutex::new(notes)) })
    }

    /// Takes an event down, after everything that was taken down before.
    pub(super) fn event(&self, event: Event) {
        let mut notes = self.notes();
        // Read under the lock, so that times ascend.
        let at_us = self.env.now().saturating_duration_since(self.started).as_micros() as u64;
        let entry = Entry { at_us, event };
        if notes.failed.is_none()
            && let Err(error) = writeln!(notes.file, "{}", entry.to_json())
        {
            notes.failed = Some(error);
        }
        notes.history.entries.push(entry);
    }

    /// Looks at everything that was taken down.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.notes().history)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It is not whole.
    pub(super) fn close(&self) -> io::Result<()> {
        let mut notes = self.notes();
        match notes.failed.take() {
            Some(error) => Err(error),
            None => notes.file.flush(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
