//! milena-protocol
