//! Kafka's classes, loaded once and kept as the JVM has them in memory.
//!
//! Two thirds of a broker's start are the loading and checking of some 7000 classes. The JVM can write what it has
//! loaded to a file when it exits, and map that file when it starts again (JEP 350): one node is then ready after 2 s
//! in place of 5 s, and a tool is done after 0.7 s in place of 1.7 s.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::config::Properties;
use crate::error::Doing;
use crate::jars;
use crate::jvm::Jvm;
use crate::runtime::Runtime;
use crate::started::{Plan, Started};

/// Beside the jars, one for each Java: another one would refuse it.
fn path(jvm: &Jvm) -> Result<PathBuf, Error> {
    Ok(jars::cache_root()?.join(format!("{}-java-{}.jsa", jvm.kafka_version(), jvm.java_version())))
}

/// What makes a JVM use the archive, if there is one.
///
/// An archive that does not fit is passed over; the JVM would say so among what the program writes.
pub(crate) fn options(jvm: &Jvm) -> Vec<String> {
    path(jvm).map(|archive| options_with(&archive)).unwrap_or_default()
}

fn options_with(archive: &Path) -> Vec<String> {
    // An empty file stands for a JVM that could not make one.
    if !archive.metadata().is_ok_and(|file| file.len() > 0) {
        return Vec::new();
    }
    let share = format!("-XX:SharedArchiveFile={}", archive.display());
    vec![share, "-Xlog:disable".to_owned(), "-Xlog:all=error:stderr".to_owned()]
}

/// Makes the archive if there is none yet, by starting and stopping a broker: some 10 s, once.
pub(crate) async fn make(jvm: &Jvm) -> Result<(), Error> {
    let archive = path(jvm)?;
    if archive.exists() {
        return Ok(());
    }
    let _lock = jars::lock(&jars::cache_root()?, jvm.kafka_version()).await?;
    if archive.exists() {
        return Ok(());
    }
    let part = archive.with_extension("part");
    // Not every JVM can do this, and none has to: without an archive all works as well, only later.
    let made = match train(jvm, &part).await {
        Ok(()) if part.exists() => Ok(()),
        _ => File::create(&part).map(drop),
    };
    made.and_then(|()| fs::rename(&part, &archive)).doing(|| format!("keeping {}", archive.display()))
}

async fn train(jvm: &Jvm, part: &Path) -> Result<(), Error> {
    let plan = Plan {
        version: jvm.kafka_version(),
        runtime: Runtime::Jvm(jvm.clone()),
        nodes: 1,
        heap_mib: 512,
        configs: Properties::new(),
        java_options: vec![
            format!("-XX:ArchiveClassesAtExit={}", part.display()),
            "-Xlog:disable".to_owned(), // one warning for each class from before Java 6
        ],
        start_timeout: Duration::from_secs(120),
    };
    Started::start(plan).await?.stop_node(1).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_an_archive_that_holds_something_is_used() {
        let scratch = Scratch::new().unwrap();
        let archive = scratch.path().join("classes.jsa");
        assert_eq!(options_with(&archive), [""; 0], "there is none");
        fs::write(&archive, "").unwrap();
        assert_eq!(options_with(&archive), [""; 0], "this JVM cannot make one");
        fs::write(&archive, "classes").unwrap();
        assert!(options_with(&archive)[0].ends_with("classes.jsa"));
    }
}
