//! Which cluster a command works on: one that is given, or one that it starts for itself.

use std::path::PathBuf;

use clap::Args;
use milena::config::{ClientProperties, Properties};
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

    /// Sets a property by Kafka's or librdkafka's name, such as linger.ms=20; wins over --config. May be repeated. A property that
    /// an option sets to something else is an error.
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", help_heading = HEADING)]
    pub(crate) properties: Vec<String>,

    /// Reads properties from a Java properties file. May be repeated; later files win.
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub(crate) config: Vec<PathBuf>,
}

/// What a command adds to the properties that its user gives.
#[derive(Clone, Copy, Default)]
pub(crate) struct Own<'a> {
    /// They yield to everything.
    pub(crate) defaults: &'a [(&'a str, &'a str)],
    /// The command's options that stand for properties.
    pub(crate) flags: &'a [Flag],
}

/// An option that stands for a property: its name, the property, and the value that was given.
pub(crate) type Flag = (&'static str, &'static str, String);

impl ClusterArgs {
    /// All properties: defaults, overridden by files, overridden by the command line.
    pub(crate) fn properties(&self, own: Own<'_>) -> Result<Properties, Failure> {
        let mut properties: Properties = own.defaults.iter().copied().collect();
        for file in &self.config {
            properties.add_file(file).map_err(Failure::usage)?;
        }
        properties.add_options(&self.properties).map_err(Failure::usage)?;
        let bootstrap =
            self.bootstrap.iter().map(|list| ("-b/--bootstrap", "bootstrap.servers", list.as_str()));
        let flags = own.flags.iter().map(|(flag, key, value)| (*flag, *key, value.as_str()));
        properties.add_flags(bootstrap.chain(flags));
        Ok(properties)
    }

    /// What the user gave, with valid names and values.
    pub(crate) fn given(&self) -> Result<ClientProperties, Failure> {
        self.properties(Own::default())?.resolve().map_err(Failure::usage)
    }

    /// Whether a cluster was given, in whatever way.
    pub(crate) fn has_bootstrap(&self) -> Result<bool, Failure> {
        Ok(self.given()?.is_set("bootstrap.servers"))
    }

    /// Whether -X gives a property.
    pub(crate) fn has_option(&self, name: &str) -> Result<bool, Failure> {
        let mut options = Properties::new();
        options.add_options(&self.properties).map_err(Failure::usage)?;
        Ok(options.resolve().map_err(Failure::usage)?.is_set(name))
    }

    /// A handle that is about to connect to the cluster given.
    pub(crate) fn builder(&self, own: Own<'_>) -> Result<KafkaBuilder, Failure> {
        if !self.has_bootstrap()? {
            return Err(Failure::Usage(
                "no cluster given: name one with -b HOST:PORT (or bootstrap.servers in --config), or start one here \
                 with `milena broker`"
                    .to_owned(),
            ));
        }
        builder(&self.properties(own)?)
    }

    /// A handle for an embedded cluster at `bootstrap`, with the other properties as they were given.
    pub(crate) fn builder_at(&self, bootstrap: &str, own: Own<'_>) -> Result<KafkaBuilder, Failure> {
        let mut properties = self.properties(own)?;
        properties.set("bootstrap.servers", bootstrap);
        builder(&properties)
    }

    /// Connects to the cluster given.
    pub(crate) async fn connect(&self, own: Own<'_>) -> Result<Kafka, Failure> {
        Ok(self.builder(own)?.connect().await?)
    }
}

fn builder(properties: &Properties) -> Result<KafkaBuilder, Failure> {
    let builder = Kafka::from_properties(properties)?;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::usage;

    fn args(bootstrap: Option<&str>, properties: &[&str]) -> ClusterArgs {
        let properties = properties.iter().map(|property| (*property).to_owned()).collect();
        ClusterArgs { bootstrap: bootstrap.map(str::to_owned), properties, config: Vec::new() }
    }

    #[test]
    fn options_win_over_defaults() {
        let args = args(Some("a:1"), &["linger.ms=7"]);
        let own = Own { defaults: &[("linger.ms", "1"), ("client.id", "milena")], flags: &[] };
        let properties = args.properties(own).unwrap();
        let producer = properties.resolve().unwrap().producer().unwrap();
        assert_eq!(producer.linger.as_millis(), 7);
        assert_eq!(producer.common.client_id.as_deref(), Some("milena"));
        assert_eq!(producer.common.bootstrap_servers[0].to_string(), "a:1");
    }

    #[test]
    fn a_missing_cluster_and_an_unknown_property_are_usage_errors() {
        let missing = usage(ClusterArgs::default().builder(Own::default()));
        assert!(missing.contains("-b HOST:PORT"), "{missing}");
        let unknown = usage(args(None, &["linger=1"]).builder(Own::default()));
        assert!(unknown.contains("linger.ms"), "{unknown}");
    }

    #[test]
    fn an_option_and_its_property_contradict_each_other_unless_they_say_the_same() {
        let text = usage(args(Some("a:1"), &["metadata.broker.list=b:2"]).builder(Own::default()));
        assert!(text.contains("-b/--bootstrap") && text.contains("-X metadata.broker.list"), "{text}");
        assert!(args(Some("a:1"), &["bootstrap.servers=a:1"]).builder(Own::default()).is_ok());
        let flags = [("--acks", "acks", "1".to_owned())];
        let text = usage(args(Some("a:1"), &["acks=all"]).builder(Own { defaults: &[], flags: &flags }));
        assert!(text.contains("--acks") && text.contains("-X acks"), "{text}");
    }

    #[test]
    fn mistakes_in_an_option_are_told_by_its_name() {
        let text = usage(args(Some("foo:bar"), &[]).builder(Own::default()));
        assert!(text.starts_with("-b/--bootstrap is `foo:bar`, but "), "{text}");
    }
}
