//! milena-testcontainers
