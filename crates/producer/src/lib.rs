//! milena-producer
