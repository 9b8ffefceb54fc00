//! What belongs to fetching beside the log: sessions, and waiting for bytes.

mod session;
mod wait;

pub(crate) use session::{FetchContext, FetchKey, FetchPosition, FetchSessions, SessionRequest};
pub(crate) use wait::FetchWait;
