//! milena-consumer
