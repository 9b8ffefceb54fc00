use milena_client::Address;

use super::catalog::Role;
use super::common::CommonProperties;
use super::reader::Reader;
use super::{ClientProperties, ConfigError, ConfigErrors};

/// An administration client's properties. Defaults are those of Kafka's Java client 4.3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdminProperties {
    /// What all clients have.
    pub common: CommonProperties,
    /// Kafka: `bootstrap.controllers` (KIP-919). Empty when not given.
    pub bootstrap_controllers: Vec<Address>,
    /// Kafka: `retries`.
    pub retries: u32,
}

impl ClientProperties {
    /// An administration client's properties.
    ///
    /// # Errors
    /// Properties that contradict each other.
    pub fn admin(&self) -> Result<AdminProperties, ConfigErrors> {
        let reader = Reader::new(self, Role::Admin);
        let mut errors = Vec::new();
        let common = CommonProperties::read(reader, &mut errors);
        let controllers = reader.list("bootstrap.controllers").map(str::parse).collect::<Result<Vec<_>, _>>();
        let bootstrap_controllers = controllers.expect("the catalog accepted the addresses");
        // Java: `AdminBootstrapAddresses`.
        if !bootstrap_controllers.is_empty() && !common.bootstrap_servers.is_empty() {
            errors.push(ConfigError::Contradiction(
                "`bootstrap.servers` and `bootstrap.controllers` are two ways into the cluster; keep one of them"
                    .to_owned(),
            ));
        }
        ConfigErrors::check(errors)?;
        Ok(AdminProperties { common, bootstrap_controllers, retries: reader.parsed("retries") })
    }
}
