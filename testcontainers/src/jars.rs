//! Kafka's jars, fetched once by Maven into a cache that processes share.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::availability::find_program;
use crate::error::Doing;
use crate::version::Quorum;
use crate::{Error, KafkaVersion};

/// The variable that names the directory where jars are kept.
///
/// Default: `milena/kafka` in `$XDG_CACHE_HOME`, or else in `~/.cache`.
pub const CACHE_VARIABLE: &str = "MILENA_KAFKA_CACHE";

/// Logs warnings to standard error; the loggers that Kafka's artifacts bring are shut out.
const LOGGER: &str = "1.7.36";
const OTHER_LOGGERS: &str = "slf4j-log4j12,slf4j-reload4j,log4j-slf4j-impl,log4j-slf4j2-impl,logback-classic";

/// The directory of a release's jars, complete.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    directory: PathBuf,
}

impl Jars {
    /// A wildcard that the JVM expands itself.
    pub(crate) fn classpath(&self) -> String {
        format!("{}/*", self.directory.display())
    }
}

/// Whether [`fetch`] would find the jars without Maven.
pub(crate) fn fetched(version: KafkaVersion) -> bool {
    cache_root().is_ok_and(|root| directory_of(&root, version).is_dir())
}

/// The jars of a release, fetched if no process of this user has done so before.
///
/// Of several processes one fetches while the others wait for its lock. The directory appears by a rename, so a
/// process that dies while fetching leaves nothing half done where it would be taken for whole.
pub(crate) async fn fetch(version: KafkaVersion) -> Result<Jars, Error> {
    fetch_into(&cache_root()?, version, find_program("mvn", "MAVEN_HOME")).await
}

async fn fetch_into(
    root: &Path,
    version: KafkaVersion,
    maven: Result<PathBuf, String>,
) -> Result<Jars, Error> {
    let directory = directory_of(root, version);
    if !directory.is_dir() {
        let _lock = lock(root, version).await?;
        if !directory.is_dir() {
            let missing =
                |why| format!("the jars of Kafka {version} are not in {}, and {why}", root.display());
            let maven = maven.map_err(|why| Error::Unavailable { reasons: missing(why) })?;
            let part = root.join(format!("{version}.part"));
            run_maven(&maven, version, &part).await?;
            fs::rename(part.join("libs"), &directory)
                .doing(|| format!("moving jars to {}", directory.display()))?;
            fs::remove_dir_all(&part).doing(|| format!("removing {}", part.display()))?;
        }
    }
    Ok(Jars { directory })
}

fn directory_of(root: &Path, version: KafkaVersion) -> PathBuf {
    root.join(version.as_str())
}

pub(crate) fn cache_root() -> Result<PathBuf, Error> {
    let var = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var(CACHE_VARIABLE)
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("milena/kafka")))
        .or_else(|| Some(env::home_dir()?.join(".cache/milena/kafka")))
        .ok_or_else(|| Error::Unsuitable {
            what: "there is no home directory to keep Kafka's jars in".to_owned(),
            hint: "set MILENA_KAFKA_CACHE to a directory that can be written",
        })
}

/// Held by the process that fills a release's part of the cache; released when the file is closed, also by the death
/// of the process.
pub(crate) async fn lock(root: &Path, version: KafkaVersion) -> Result<File, Error> {
    fs::create_dir_all(root).doing(|| format!("creating {}", root.display()))?;
    let path = root.join(format!("{version}.lock"));
    let wait = {
        let path = path.clone();
        move || File::create(path).and_then(|file| file.lock().map(|()| file))
    };
    let locked = tokio::task::spawn_blocking(wait).await.unwrap_or_else(|error| Err(error.into()));
    locked.doing(|| format!("locking {}", path.display()))
}

async fn run_maven(maven: &Path, version: KafkaVersion, part: &Path) -> Result<(), Error> {
    if part.exists() {
        fs::remove_dir_all(part).doing(|| format!("removing {}", part.display()))?;
    }
    fs::create_dir_all(part).doing(|| format!("creating {}", part.display()))?;
    let pom_path = part.join("pom.xml");
    fs::write(&pom_path, pom(version)).doing(|| format!("writing {}", pom_path.display()))?;

    let output = tokio::process::Command::new(maven)
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", part.join("libs").display()))
        .arg(format!("-DexcludeArtifactIds={OTHER_LOGGERS}"))
        .current_dir(part)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .doing(|| "running mvn".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&text).into_owned();
    Err(Error::Fetch { version, status: output.status.to_string(), output: output_text })
}

fn pom(version: KafkaVersion) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    let mut dependencies = dependency("org.apache.kafka", version.broker_artifact(), version.as_str());
    dependencies += &dependency("org.apache.kafka", "kafka-tools", version.as_str());
    if version.quorum() == Quorum::ZooKeeper && version < KafkaVersion::V2_8_2 {
        // Its own ZooKeeper, 3.4.13, cannot resolve addresses on a Java this new.
        dependencies += &dependency("org.apache.zookeeper", "zookeeper", "3.5.10");
    }
    dependencies += &dependency("org.slf4j", "slf4j-simple", LOGGER);
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>milena</groupId><artifactId>kafka-{version}</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{dependencies}  </dependencies>
</project>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn oldest_kafka_gets_a_zookeeper_that_runs_on_new_java() {
        assert!(
            pom(KafkaVersion::V2_1_1).contains("<artifactId>zookeeper</artifactId><version>3.5.10</version>")
        );
        assert!(pom(KafkaVersion::V2_1_1).contains("<artifactId>kafka_2.12</artifactId>"));
        assert!(!pom(KafkaVersion::V4_3_1).contains("zookeeper"));
    }

    /// A program in place of Maven, which gets the directory to fill in `$libs`.
    #[cfg(unix)]
    fn maven(scratch: &Scratch, script: &str) -> Result<PathBuf, String> {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch.path().join("mvn");
        let find_libs = r#"for a in "$@"; do case $a in -DoutputDirectory=*) libs=${a#*=} ;; esac; done"#;
        fs::write(&path, format!("#!/bin/sh\n{find_libs}\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Ok(path)
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn of_two_who_need_the_jars_one_fetches_them() {
        let scratch = Scratch::new().unwrap();
        let root = scratch.path().join("cache");
        let count = scratch.path().join("count");
        let maven = maven(
            &scratch,
            &format!("echo run >>{}; sleep 0.2; mkdir $libs; : >$libs/a.jar", count.display()),
        );
        let fetch = || fetch_into(&root, KafkaVersion::V4_3_1, maven.clone());
        let (one, other) = tokio::join!(fetch(), fetch());
        assert_eq!(one.unwrap().classpath(), other.unwrap().classpath());
        assert!(root.join("4.3.1/a.jar").exists());
        assert_eq!(fs::read_to_string(count).unwrap(), "run\n");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn failed_fetch_quotes_maven_and_leaves_no_jars_behind() {
        let scratch = Scratch::new().unwrap();
        let root = scratch.path().join("cache");
        let failing =
            maven(&scratch, "mkdir $libs; : >$libs/half.jar; echo no route to the repository; exit 1");
        let error = fetch_into(&root, KafkaVersion::V4_3_1, failing).await.unwrap_err().to_string();
        assert!(error.contains("no route to the repository"), "{error}");
        assert!(!root.join("4.3.1").exists());

        let working = maven(&scratch, "mkdir $libs; : >$libs/whole.jar");
        fetch_into(&root, KafkaVersion::V4_3_1, working).await.unwrap();
        assert!(root.join("4.3.1/whole.jar").exists() && !root.join("4.3.1/half.jar").exists());
    }
}
