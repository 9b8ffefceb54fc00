//! Defects that are planted on purpose, to prove that the simulation finds such.
//!
//! Only a build with `--cfg milena_defects` has them, and then at most one at a time, the one that the environment variable
//! `MILENA_DEFECT` names. In every other build [`planted`] is `false`, and the compiler removes what it guards.

/// Whether this defect is in force.
#[cfg(not(milena_defects))]
#[inline(always)]
pub const fn planted(_: &str) -> bool {
    false
}

/// Whether this defect is in force.
#[cfg(milena_defects)]
pub fn planted(name: &str) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("MILENA_DEFECT").ok()).as_deref() == Some(name)
}
