//! milena-admin
