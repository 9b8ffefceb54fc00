//! milena-serdes
