//! milena
