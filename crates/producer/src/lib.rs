//! milena-producer

pub mod partitioner;
