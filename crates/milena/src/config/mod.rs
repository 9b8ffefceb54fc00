//! Configuration by text, under the names that users of Kafka and librdkafka know.
//!
//! [`Properties`] takes text from files, options and code, in layers. [`Properties::resolve`] checks
//! every name and value. [`ClientProperties`] then gives them typed, for a [producer], a [consumer], an
//! [administration client][admin], or [what they have in common][common], and checks that they go
//! together.
//!
//! Nothing is guessed: a name that nobody knows is an error that names the nearest one, a value out of
//! bounds an error that tells the bounds, a contradiction an error that tells both sides. What Java has
//! and Rust cannot have (names of Java classes) is a warning where nothing is lost, else an error that
//! says what to use instead.
//!
//! Passwords, keys and tokens are [`Secret`]: they appear in no error, no warning and no `Debug`.
//!
//! [producer]: ClientProperties::producer
//! [consumer]: ClientProperties::consumer
//! [admin]: ClientProperties::admin
//! [common]: ClientProperties::common

mod admin;
pub mod catalog;
pub mod choices;
mod common;
mod consumer;
mod error;
mod jaas;
mod java_properties;
mod producer;
mod properties;
mod reader;
mod resolve;
mod secret;
mod security;
mod suggest;
#[cfg(test)]
mod tests;

pub use admin::AdminProperties;
pub use common::CommonProperties;
pub use consumer::ConsumerProperties;
pub use error::{ConfigError, ConfigErrors, ConfigWarning};
pub use jaas::{JaasConfig, MalformedJaas};
pub use producer::ProducerProperties;
pub use properties::{Origin, Properties};
pub use resolve::ClientProperties;
pub use secret::Secret;
pub use security::{
    AssertionProperties, KeystoreProperties, OauthProperties, SaslProperties, SecurityProperties,
    TlsProperties,
};
