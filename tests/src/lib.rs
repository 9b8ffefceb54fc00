//! milena-tests
