//! Tests of what is asked and believed.
