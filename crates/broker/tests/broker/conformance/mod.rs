//! What Kafka 4.3 does, API by API.

mod admin;
mod configs;
mod fetch;
mod idempotence;
mod metadata;
mod newest;
mod offsets;
mod produce;
mod sessions;
