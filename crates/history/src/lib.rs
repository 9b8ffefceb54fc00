//! What clients of Kafka did and saw, written down, and the checkers that judge it.
//!
//! A [`History`] is a list of [`Event`]s in the order in which they happened, whoever recorded them: the simulation, a load
//! against a real cluster, a program in another language. It is written as JSON lines ([`History::write`], [`History::read`]).
//! [`check`] looks for promises that were broken, and returns a [`Violation`] for each.
//!
//! | where | what |
//! | --- | --- |
//! | `event` | what can happen |
//! | `json` | events as JSON lines, and back |
//! | `book` | one reading of a history, for all checkers |
//! | `few` | a list that hardly ever has more than one element |
//! | `sorted` | a map for ids and offsets |
//! | `check` | one file for each family of promises |

mod book;
mod check;
mod event;
mod few;
mod json;
mod sorted;

pub use check::{Broken, Violation, check};
pub use event::{Entry, Event, History, Isolation, Name, Note, RecordId};
pub use json::ReadError;
