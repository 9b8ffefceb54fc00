//! Which cluster a command works on: one that is given, or one that it starts for itself.

use std::path::PathBuf;

use clap::Args;
use milena::config::Properties;
use milena::{Kafka, KafkaBuilder};

use crate::failure::Failure;

/// Where the help shows these options.
const HEADING: &str = "Connection";

/// The cluster and how to reach it; the same for all commands.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ClusterArgs {
    /// Brokers to ask first, separated by commas; the rest is learnt from them.
    #[arg(short, long, value_name = "HOST:PORT,...", help_heading = HEADING)]
    pub(crate) bootstrap: Option<String>,

    /// Sets a property by Kafka's or librdkafka's name, such as linger.ms=20; wins over --config. May be repeated.
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", help_heading = HEADING)]
    pub(crate) properties: Vec<String>,

    /// Reads properties from a Java properties file. May be repeated; later files win.
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub(crate) config: Vec<PathBuf>,
}

impl ClusterArgs {
    /// All properties, in the order in which they override each other. `defaults` yield to everything.
    pub(crate) fn properties(&self, defaults: &[(&str, &str)]) -> Result<Properties, Failure> {
        let mut properties: Properties = defaults.iter().copied().collect();
        for file in &self.config {
            properties.add_file(file).map_err(Failure::usage)?;
        }
        properties.add_options(&self.properties).map_err(Failure::usage)?;
        if let Some(bootstrap) = &self.bootstrap {
            properties.set("bootstrap.servers", bootstrap);
        }
        Ok(properties)
    }

    /// Whether a cluster was given, in whatever way.
    pub(crate) fn has_bootstrap(&self) -> Result<bool, Failure> {
        let resolved = self.properties(&[])?.resolve().map_err(Failure::usage)?;
        Ok(resolved.is_set("bootstrap.servers"))
    }

    /// A handle that is about to connect to the cluster given.
    pub(crate) fn builder(&self, defaults: &[(&str, &str)]) -> Result<KafkaBuilder, Failure> {
        if !self.has_bootstrap()? {
            return Err(Failure::Usage(
                "no cluster given: name one with -b HOST:PORT (or bootstrap.servers in --config), or start one here \
                 with `milena broker`"
                    .to_owned(),
            ));
        }
        builder(&self.properties(defaults)?)
    }

    /// A handle for an embedded cluster at `bootstrap`, with the other properties as they were given.
    pub(crate) fn builder_at(
        &self,
        bootstrap: &str,
        defaults: &[(&str, &str)],
    ) -> Result<KafkaBuilder, Failure> {
        let mut properties = self.properties(defaults)?;
        properties.set("bootstrap.servers", bootstrap);
        builder(&properties)
    }

    /// Connects to the cluster given.
    pub(crate) async fn connect(&self, defaults: &[(&str, &str)]) -> Result<Kafka, Failure> {
        Ok(self.builder(defaults)?.connect().await?)
    }
}

fn builder(properties: &Properties) -> Result<KafkaBuilder, Failure> {
    let builder = Kafka::from_properties(properties)?;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_win_over_defaults_and_bootstrap_over_both() {
        let args = ClusterArgs {
            bootstrap: Some("a:1".to_owned()),
            properties: vec!["linger.ms=7".to_owned(), "metadata.broker.list=b:2".to_owned()],
            config: Vec::new(),
        };
        let properties = args.properties(&[("linger.ms", "1"), ("client.id", "milena")]).unwrap();
        let producer = properties.resolve().unwrap().producer().unwrap();
        assert_eq!(producer.linger.as_millis(), 7);
        assert_eq!(producer.common.client_id.as_deref(), Some("milena"));
        assert_eq!(producer.common.bootstrap_servers[0].to_string(), "a:1");
    }

    #[test]
    fn a_missing_cluster_and_an_unknown_property_are_usage_errors() {
        let error = ClusterArgs::default().builder(&[]).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("-b HOST:PORT")), "{error:?}");
        let args = ClusterArgs { properties: vec!["linger=1".to_owned()], ..Default::default() };
        let error = args.builder(&[]).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("linger.ms")), "{error:?}");
    }
}
