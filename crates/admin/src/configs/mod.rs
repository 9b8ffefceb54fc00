//! Configurations of topics, brokers and others.

mod alter;
mod describe;
mod resource;

pub use alter::ConfigChange;
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use resource::ConfigResource;
