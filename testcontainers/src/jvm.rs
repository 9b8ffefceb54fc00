//! This machine's Java, with the jars of a Kafka.

use std::path::{Path, PathBuf};

use crate::archive;
use crate::jars::{self, Jars};
use crate::{Error, KafkaVersion, availability};

/// What runs Java classes here.
#[derive(Clone, Debug)]
pub(crate) struct Jvm {
    java: PathBuf,
    java_version: String,
    kafka_version: KafkaVersion,
    jars: Jars,
}

/// One run of a Java class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JavaRun<'a> {
    pub(crate) class: &'a str,
    pub(crate) heap_mib: u32,
    pub(crate) options: &'a [String],
}

/// Starts fast on few cores: no optimising compiler, no collector with threads of its own.
///
/// What a test asks of a JVM is over before either pays. A builder's own options come later and win.
const QUICK_START: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// Only what may explain a failure.
const LOG_WARNINGS: &str = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";

impl Jvm {
    /// Finds Java, and fetches the jars if need be.
    pub(crate) async fn find(kafka_version: KafkaVersion) -> Result<Self, Error> {
        let unavailable = |reasons| Error::Unavailable { reasons };
        let java_version = availability::java_version().map_err(unavailable)?;
        let java = availability::java().map_err(unavailable)?;
        Ok(Self { java, java_version, kafka_version, jars: jars::fetch(kafka_version).await? })
    }

    pub(crate) fn program(&self) -> &Path {
        &self.java
    }

    pub(crate) fn java_version(&self) -> &str {
        &self.java_version
    }

    pub(crate) fn kafka_version(&self) -> KafkaVersion {
        self.kafka_version
    }

    /// A run's command line behind the program's name, up to and with the class.
    pub(crate) fn arguments(&self, run: &JavaRun<'_>, classpath: &str) -> Vec<String> {
        let mut arguments = archive::options(self);
        arguments.extend(self::arguments(run, classpath));
        arguments
    }

    pub(crate) fn classpath(&self) -> String {
        self.jars.classpath()
    }
}

/// A run's command line behind `java`, up to and with the class.
pub(crate) fn arguments(run: &JavaRun<'_>, classpath: &str) -> Vec<String> {
    let mut arguments = vec![format!("-Xmx{}m", run.heap_mib)];
    arguments.extend(QUICK_START.map(str::to_owned));
    arguments.push(LOG_WARNINGS.to_owned());
    arguments.extend(run.options.iter().cloned());
    arguments.extend(["-cp".to_owned(), classpath.to_owned(), run.class.to_owned()]);
    arguments
}
