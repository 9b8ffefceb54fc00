//! Which ways to a real Kafka this machine has.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{KafkaVersion, jars};

/// The variable that gives the bootstrap address of a Kafka that runs already: `"host:port,host:port"`.
pub const BOOTSTRAP_VARIABLE: &str = "MILENA_KAFKA_BOOTSTRAP";

/// The oldest Java that runs the newest Kafka.
const JAVA_MIN: u32 = 17;

/// Which ways to a real Kafka there are on this machine, found once by looking.
///
/// A test suite asks it before it leaves tests out, so that it can say plainly what was left out and why, and
/// does not leave anything out where that would go unnoticed:
///
/// ```
/// use milena_testcontainers::{Availability, Decision, Need};
///
/// let availability = Availability::detect();
/// match availability.decide(Need::Control) {
///     Decision::Run => println!("with a real Kafka:\n{availability}"),
///     Decision::LeaveOut(why) => println!("left out: tests that kill real brokers, because {why}"),
///     Decision::Refuse(why) => panic!("CI must not leave out tests on real brokers, but {why}"),
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Availability {
    address: Option<String>,
    java: Result<String, String>,
    javac: Result<(), String>,
    maven: Result<(), String>,
    docker: Result<(), String>,
    jars_fetched: bool,
    in_ci: bool,
}

/// What a test needs of a real Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// Any one: started, or given by its address.
    Any,
    /// Brokers that are started for it: of a certain configuration, or to be killed.
    Control,
    /// Brokers of this release that are started for it. Docker has an image of its own only from 3.7.0 on.
    Version(KafkaVersion),
    /// Java programs beside the brokers.
    Java,
}

/// What a test suite does about its tests on a real Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run them.
    Run,
    /// Leave them out, and say so; holds why.
    LeaveOut(String),
    /// Fail: they cannot run, and `CI` is set, so nobody would see that they were left out; holds why.
    Refuse(String),
}

impl Decision {
    /// By whether a need is met, or why not, and whether this is CI, where no test may be left out.
    #[must_use]
    pub fn of(met: Result<(), String>, in_ci: bool) -> Self {
        match (met, in_ci) {
            (Ok(()), _) => Self::Run,
            (Err(why), false) => Self::LeaveOut(why),
            (Err(why), true) => Self::Refuse(why),
        }
    }
}

impl Availability {
    /// Looks for an address in the environment, for Java and Maven, and for a Docker engine.
    ///
    /// Takes about 0.1 s, most of it in `java -version`.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            address: bootstrap_from_environment(),
            java: java_version(),
            javac: find_program("javac", "JAVA_HOME").map(drop),
            maven: find_program("mvn", "MAVEN_HOME").map(drop),
            docker: docker_engine(),
            jars_fetched: jars::fetched(KafkaVersion::LATEST),
            in_ci: env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false")),
        }
    }

    /// The address that [`BOOTSTRAP_VARIABLE`] gives.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether Kafka can run on this machine's JVM.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    pub fn jvm(&self) -> Result<(), String> {
        if !cfg!(unix) {
            return Err(
                "brokers on the JVM are supervised by a POSIX shell, so this is for Linux and macOS".into()
            );
        }
        self.java.clone()?;
        if self.jars_fetched { Ok(()) } else { self.maven.clone() }
    }

    /// Whether Java programs can be compiled, for [`Java::compile`](crate::Java::compile).
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    pub fn javac(&self) -> Result<(), String> {
        self.javac.clone()
    }

    /// Whether a Docker engine answers. That is all it takes, but for this crate's feature `docker`.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    pub fn docker(&self) -> Result<(), String> {
        self.docker.clone()
    }

    /// Whether tests that need this can run here.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    pub fn meets(&self, need: Need) -> Result<(), String> {
        let can_start = self.jvm().is_ok() || self.docker.is_ok();
        match need {
            Need::Any if can_start || self.address.is_some() => Ok(()),
            Need::Control if can_start => Ok(()),
            Need::Version(_) if self.jvm().is_ok() => Ok(()),
            Need::Version(version) if self.docker.is_ok() => version.image().map(drop).ok_or_else(|| {
                let jvm = self.jvm().err().unwrap_or_default();
                let variable = version.image_variable();
                format!("jvm: {jvm}; docker: there is no image of Kafka {version}, and {variable} names none")
            }),
            Need::Any | Need::Control | Need::Version(_) => Err(self.reasons()),
            Need::Java => self.jvm().and_then(|()| self.javac.clone()),
        }
    }

    /// What to do about the tests that need this: they are left out only where a person sees that they were.
    #[must_use]
    pub fn decide(&self, need: Need) -> Decision {
        Decision::of(self.meets(need), self.in_ci)
    }

    /// Whether `CI` is set (to anything but 0 and false): no test may be left out then.
    #[must_use]
    pub fn in_ci(&self) -> bool {
        self.in_ci
    }

    pub(crate) fn reasons(&self) -> String {
        let of = |way: &str, result: Result<(), String>| result.err().map(|why| format!("{way}: {why}"));
        [of("jvm", self.jvm()), of("docker", self.docker())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, way: &str, result: Result<String, String>| match result {
            Ok(what) => writeln!(f, "  {way:<8} yes: {what}"),
            Err(why) => writeln!(f, "  {way:<8} no: {why}"),
        };
        line(f, "address", self.address.clone().ok_or_else(|| format!("{BOOTSTRAP_VARIABLE} is not set")))?;
        line(f, "jvm", self.jvm().and_then(|()| Ok(format!("Java {}", self.java.clone()?))))?;
        line(f, "javac", self.javac.clone().map(|()| "Java programs can be compiled".to_owned()))?;
        line(f, "docker", self.docker.clone().map(|()| "the engine answers".to_owned()))
    }
}

pub(crate) fn bootstrap_from_environment() -> Option<String> {
    env::var(BOOTSTRAP_VARIABLE).ok().filter(|address| !address.trim().is_empty())
}

/// A program in `$HOME_VARIABLE/bin` or on the `PATH`.
pub(crate) fn find_program(name: &str, home_variable: &str) -> Result<PathBuf, String> {
    let home = env::var_os(home_variable).map(|home| Path::new(&home).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    home.into_iter()
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(name).with_extension(env::consts::EXE_EXTENSION))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            let package = if name == "mvn" { "Maven" } else { "a JDK of version 17 or later" };
            format!("{name} is neither in ${home_variable}/bin nor on the PATH; install {package}")
        })
}

pub(crate) fn java() -> Result<PathBuf, String> {
    find_program("java", "JAVA_HOME")
}

/// The version of the Java that would be used, if it is new enough.
pub(crate) fn java_version() -> Result<String, String> {
    let java = java()?;
    let output = Command::new(&java)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} -version: {error}", java.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.split('"').nth(1).unwrap_or("unknown").to_owned();
    if major(&version) < JAVA_MIN {
        return Err(format!("{} is version {version}; install Java {JAVA_MIN} or later", java.display()));
    }
    Ok(version)
}

/// `17.0.15` is 17; `1.8.0_362` is 8, though it never matters here that it is not 1.
fn major(version: &str) -> u32 {
    version.split(['.', '-', '+']).next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

#[cfg(unix)]
fn docker_engine() -> Result<(), String> {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    let host = env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let Some(socket) = host.strip_prefix("unix://") else {
        return Err(format!(
            "DOCKER_HOST is {host}; brokers listen on 127.0.0.1, so it must be this machine's engine"
        ));
    };
    let ping = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.starts_with(b"HTTP/1.") && status.ends_with(b" 200"))
    };
    match ping() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("what listens at {socket} is not a Docker engine")),
        Err(error) => Err(format!("no engine at {socket} ({error}); start one, or set DOCKER_HOST")),
    }
}

#[cfg(not(unix))]
fn docker_engine() -> Result<(), String> {
    Err("containers share this machine's network, so this is for Linux".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Availability {
        Availability {
            address: None,
            java: Err("java is missing".into()),
            javac: Err("javac is missing".into()),
            maven: Err("mvn is missing".into()),
            docker: Err("docker is missing".into()),
            jars_fetched: false,
            in_ci: false,
        }
    }

    #[test]
    fn tests_are_left_out_only_where_a_person_sees_it() {
        for need in [Need::Any, Need::Control, Need::Version(KafkaVersion::V2_1_1), Need::Java] {
            let Decision::LeaveOut(why) = nothing().decide(need) else {
                panic!("a person sees it: left out")
            };
            assert!(why.contains("java is missing"), "{why}");
            let in_ci = Availability { in_ci: true, ..nothing() };
            assert!(matches!(in_ci.decide(need), Decision::Refuse(_)));
        }
    }

    #[test]
    fn an_address_serves_only_tests_that_need_no_control() {
        let address = Availability { address: Some("127.0.0.1:9092".into()), ..nothing() };
        assert_eq!(address.decide(Need::Any), Decision::Run);
        assert!(address.meets(Need::Control).is_err());
        let docker = Availability { docker: Ok(()), ..nothing() };
        assert_eq!(docker.decide(Need::Control), Decision::Run);
        assert!(docker.meets(Need::Java).is_err());
    }

    #[test]
    fn docker_serves_only_releases_that_have_an_image() {
        let docker = Availability { docker: Ok(()), ..nothing() };
        assert_eq!(docker.decide(Need::Version(KafkaVersion::V4_1_2)), Decision::Run);
        let Decision::LeaveOut(why) = docker.decide(Need::Version(KafkaVersion::V2_8_2)) else {
            panic!("there is no image")
        };
        assert!(why.contains("MILENA_KAFKA_IMAGE_2_8_2") && why.contains("java is missing"), "{why}");
    }

    #[cfg(unix)]
    #[test]
    fn jars_that_were_fetched_need_no_maven() {
        let java_only = Availability { java: Ok("17.0.15".into()), ..nothing() };
        assert_eq!(java_only.jvm(), Err("mvn is missing".into()));
        let with_jars = Availability { jars_fetched: true, ..java_only };
        assert_eq!(with_jars.jvm(), Ok(()));
        assert_eq!(with_jars.decide(Need::Control), Decision::Run);
    }

    #[test]
    fn missing_program_says_where_it_was_looked_for() {
        let why = find_program("no-such-program", "NO_SUCH_HOME").unwrap_err();
        assert!(why.contains("$NO_SUCH_HOME/bin nor on the PATH"), "{why}");
    }

    #[test]
    fn old_java_is_recognised() {
        assert_eq!(
            [major("17.0.15"), major("1.8.0_362"), major("21"), major("25-ea"), major("?")],
            [17, 1, 21, 25, 0]
        );
    }
}
