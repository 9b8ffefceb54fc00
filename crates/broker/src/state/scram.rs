//! SCRAM credentials: stored and described; nobody can log in with them yet (Java: `ScramControlManager`; KIP-554).

use std::collections::BTreeMap;

use bytes::Bytes;
use milena_protocol::{ByteStr, ErrorCode};

use super::AdminError;
use super::room::Room;

/// Mechanisms: SCRAM-SHA-256 is 1, SCRAM-SHA-512 is 2.
const MECHANISMS: std::ops::RangeInclusive<i8> = 1..=2;
const ITERATIONS_MIN: i32 = 4096;
const ITERATIONS_MAX: i32 = 16_384;

/// By user and mechanism.
#[derive(Debug, Default)]
pub(crate) struct ScramCredentials {
    credentials: BTreeMap<ByteStr, BTreeMap<i8, ScramCredential>>,
    room: Room,
}

/// What a password became.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ScramCredential {
    pub(crate) iterations: i32,
    pub(crate) salt: Bytes,
    pub(crate) salted_password: Bytes,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramCredentials {
    /// All users, in order.
    pub(crate) fn users(&self) -> impl Iterator<Item = &ByteStr> {
        self.credentials.keys()
    }

    /// A user's mechanisms, and how often each hashes.
    pub(crate) fn of(&self, user: &str) -> Vec<(i8, i32)> {
        let of_user = self.credentials.get(user).into_iter().flatten();
        of_user.map(|(mechanism, credential)| (*mechanism, credential.iterations)).collect()
    }

    pub(crate) fn check_deletion(&self, user: &str, mechanism: i8) -> Result<(), AdminError> {
        check_name(user, mechanism)?;
        match self.credentials.get(user).and_then(|of_user| of_user.get(&mechanism)) {
            Some(_) => Ok(()),
            None => Err(AdminError::new(
                ErrorCode::ResourceNotFound,
                "Attempt to delete a user credential that does not exist",
            )),
        }
    }

    pub(crate) fn check_upsertion(user: &str, mechanism: i8, iterations: i32) -> Result<(), AdminError> {
        check_name(user, mechanism)?;
        let refused = |message| Err(AdminError::new(ErrorCode::UnacceptableCredential, message));
        match iterations {
            ..ITERATIONS_MIN => refused("Too few iterations"),
            ITERATIONS_MIN..=ITERATIONS_MAX => Ok(()),
            _ => refused("Too many iterations"),
        }
    }

    pub(crate) fn delete(&mut self, user: &str, mechanism: i8) {
        let Some(of_user) = self.credentials.get_mut(user) else { return };
        if let Some(gone) = of_user.remove(&mechanism) {
            self.room.give_back(gone.bytes(user));
        }
        if of_user.is_empty() {
            self.credentials.remove(user);
        }
    }

    /// Stores a credential in place of the one that the user has.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(crate) fn set(
        &mut self,
        user: &ByteStr,
        mechanism: i8,
        credential: ScramCredential,
    ) -> Result<(), AdminError> {
        let present = self.credentials.get(user).and_then(|of_user| of_user.get(&mechanism));
        let present = present.map(|present| present.bytes(user));
        self.room.take_instead_of(present, credential.bytes(user))?;
        self.credentials.entry(user.detached()).or_default().insert(mechanism, credential);
        Ok(())
    }
}

impl ScramCredential {
    /// What it takes, its user's name included.
    fn bytes(&self, user: &str) -> usize {
        user.len() + self.salt.len() + self.salted_password.len()
    }
}

fn check_name(user: &str, mechanism: i8) -> Result<(), AdminError> {
    if user.is_empty() {
        return Err(AdminError::new(ErrorCode::UnacceptableCredential, "Username must not be empty"));
    }
    if !MECHANISMS.contains(&mechanism) {
        return Err(AdminError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_by_user_and_mechanism() {
        let mut it = ScramCredentials::default();
        let with = |iterations| ScramCredential {
            iterations,
            salt: Bytes::from_static(b"salt"),
            salted_password: Bytes::from_static(b"secret"),
        };
        it.set(&"bob".into(), 1, with(4096)).expect("there is room");
        it.set(&"bob".into(), 2, with(5000)).expect("there is room");
        assert_eq!(it.of("bob"), [(1, 4096), (2, 5000)]);
        assert!(it.check_deletion("bob", 1).is_ok());
        it.delete("bob", 1);
        assert_eq!(it.check_deletion("bob", 1).map_err(|error| error.code), Err(ErrorCode::ResourceNotFound));
        it.delete("bob", 2);
        assert_eq!(it.users().count(), 0);
    }

    #[test]
    fn there_is_room_for_so_many_and_again_after_one_was_deleted() {
        let mut it = ScramCredentials::default();
        let empty =
            || ScramCredential { iterations: 4096, salt: Bytes::new(), salted_password: Bytes::new() };
        let set = |it: &mut ScramCredentials, user: usize| {
            it.set(&user.to_string().into(), 1, empty()).map_err(|error| error.code)
        };
        for user in 0..crate::state::room::ENTRIES_MAX {
            assert_eq!(set(&mut it, user), Ok(()));
        }
        let one_more = crate::state::room::ENTRIES_MAX;
        assert_eq!(set(&mut it, one_more), Err(ErrorCode::PolicyViolation));
        assert_eq!(set(&mut it, 7), Ok(()), "it takes the place of another one");
        it.delete("7", 1);
        assert_eq!(set(&mut it, one_more), Ok(()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = Bytes::from_static(b"secret");
        let credential = ScramCredential { iterations: 1, salt: secret.clone(), salted_password: secret };
        assert!(!format!("{credential:?}").contains("secret"));
    }
}
