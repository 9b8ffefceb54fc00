//! milena

pub mod config;
