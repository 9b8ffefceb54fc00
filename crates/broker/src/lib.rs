//! milena-broker
