//! milena-benches
