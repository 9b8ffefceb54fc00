//! The client against scripted peers on a virtual clock.
#![cfg(test)]

mod connection;
mod handshake;
mod metadata;
mod peer;
mod shared;
mod watch;
