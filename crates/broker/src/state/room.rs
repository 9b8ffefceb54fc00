//! How much is kept of what clients hand in for good: access control lists, credentials, quotas, configuration of what
//! need not be there.

use milena_protocol::ErrorCode;

use super::AdminError;

/// The most entries of one sort. Kafka has no limit but what one request may bring (`MAX_RECORDS_PER_USER_OP`), which is
/// as much.
pub(crate) const ENTRIES_MAX: usize = 10_000;

/// The most bytes that names and values of one sort may take together.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the entries of one sort have taken.
#[derive(Debug, Default)]
pub(super) struct Room {
    entries: usize,
    bytes: usize,
}

impl Room {
    /// Counts one more entry.
    ///
    /// # Errors
    /// `POLICY_VIOLATION` when there is no room, as Kafka answers requests that bring too much.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), AdminError> {
        self.take_instead_of(None, bytes)
    }

    /// The same for one that may take the place of one of so many bytes.
    pub(super) fn take_instead_of(&mut self, present: Option<usize>, bytes: usize) -> Result<(), AdminError> {
        let entries = self.entries + usize::from(present.is_none());
        let bytes = self.bytes.saturating_sub(present.unwrap_or_default()).saturating_add(bytes);
        if entries > ENTRIES_MAX || bytes > BYTES_MAX {
            let message = format!(
                "no room for more: at most {ENTRIES_MAX} entries of {BYTES_MAX} bytes in all are kept"
            );
            return Err(AdminError::new(ErrorCode::PolicyViolation, message));
        }
        (self.entries, self.bytes) = (entries, bytes);
        Ok(())
    }

    /// Counts what an entry of so many bytes becomes; `None` is one that is not there.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn replace(&mut self, before: Option<usize>, after: Option<usize>) -> Result<(), AdminError> {
        match (before, after) {
            (before, Some(bytes)) => self.take_instead_of(before, bytes)?,
            (Some(bytes), None) => self.give_back(bytes),
            (None, None) => {}
        }
        Ok(())
    }

    /// Counts an entry less, which was one of so many bytes.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_bytes_are_limited_and_what_is_given_back_can_be_taken_again() {
        let mut room = Room::default();
        assert!(room.take(BYTES_MAX).is_ok());
        assert_eq!(room.take(1).map_err(|error| error.code), Err(ErrorCode::PolicyViolation));
        room.give_back(BYTES_MAX);
        for _ in 0..ENTRIES_MAX {
            assert!(room.take(1).is_ok());
        }
        assert!(room.take(0).is_err());
        assert!(room.take_instead_of(Some(1), 1).is_ok());
        room.give_back(1);
        assert!(room.take(1).is_ok());
    }
}
