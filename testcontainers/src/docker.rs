//! Processes of a cluster in containers.
//!
//! A container runs the same supervisor as this machine would, on this machine's network and in the same directory,
//! so that a cluster need not know where its processes are. The supervisor connects back to us: when the connection
//! ends, because the handle was dropped or our process died, it kills Kafka, and the container removes itself.

use std::io::Write;
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use testcontainers::core::Mount;
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};
use tokio::net::TcpListener;

use crate::error::Doing;
use crate::jvm::{self, JavaRun};
use crate::supervisor::{self, Launch, Supervised};
use crate::{Error, KafkaVersion};

/// Where Kafka's own image, and each that takes its place, has the jars.
const CLASSPATH: &str = "/opt/kafka/libs/*";

/// How long a container that runs may take to connect back.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Lets the supervisor, which speaks over standard input and output, speak over a connection to us.
///
/// It waits for a line before it begins: by then we know that the engine has nothing more to ask about the container.
const CONNECT_BACK: &str = "exec 0<>/dev/tcp/127.0.0.1/$1 1>&0 && shift && read -r _ || exit 1\n";

/// A Docker image with a Kafka in it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    name: String,
    tag: String,
}

impl Image {
    /// `image` is `name:tag`; the version's image otherwise.
    pub(crate) fn new(version: KafkaVersion, image: Option<&str>) -> Result<Self, Error> {
        let image =
            image.map(str::to_owned).or_else(|| version.image()).ok_or_else(|| Error::Unsuitable {
                what: format!(
                    "Kafka has no Docker image of {version}, and {} names none",
                    version.image_variable()
                ),
                hint: "name one with image(..), or use Source::Jvm",
            })?;
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image.as_str(), "latest"),
        };
        Ok(Self { name: name.to_owned(), tag: tag.to_owned() })
    }

    /// The command line of a run inside the container, up to and with the class.
    pub(crate) fn java(run: &JavaRun<'_>) -> Vec<String> {
        let mut command = vec!["java".to_owned()];
        command.extend(jvm::arguments(run, CLASSPATH));
        command
    }

    pub(crate) async fn start(&self, launch: &Launch) -> Result<Supervised, Error> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.doing(|| "listening for a container".to_owned())?;
        let port = listener.local_addr().doing(|| "listening for a container".to_owned())?.port();

        let directory = launch.directory.display().to_string();
        // The directory itself is the supervisor's to remove, and could not be if it were the mount.
        let mounted = launch.directory.parent().unwrap_or(&launch.directory).display().to_string();
        let script = format!("{CONNECT_BACK}{}", supervisor::SCRIPT);
        let mut command = vec!["-c".to_owned(), script, "supervisor".to_owned(), port.to_string()];
        command.extend([launch.log.display().to_string(), directory]);
        command.extend(launch.command.iter().cloned());

        let container = GenericImage::new(&self.name, &self.tag)
            .with_entrypoint("bash")
            .with_cmd(command)
            .with_network("host")
            .with_mount(Mount::bind_mount(mounted.clone(), mounted))
            .with_user(owner_of(launch)?)
            .with_host_config_modifier(|config| config.auto_remove = Some(true))
            .start()
            .await
            .map_err(|error| Error::Docker(format!("starting {}:{}: {error}", self.name, self.tag)))?;
        // Its destructor removes the container, and needs a runtime for that. Ours removes itself.
        mem::forget(container);

        let accept = tokio::time::timeout(CONNECT_TIMEOUT, listener.accept()).await;
        let (stream, _) = accept
            .map_err(|_| {
                Error::Docker(format!("{}:{} did not connect back: has it bash?", self.name, self.tag))
            })?
            .doing(|| "accepting a container's connection".to_owned())?;
        connect(stream).doing(|| "talking to a container's supervisor".to_owned())
    }
}

fn connect(stream: tokio::net::TcpStream) -> std::io::Result<Supervised> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let mut control = Control(stream.try_clone()?);
    control.0.write_all(b"begin\n")?;
    Ok(Supervised::connected(Box::new(control), Box::new(stream)))
}

/// The sending half of a connection: dropped, it ends.
struct Control(TcpStream);

impl Write for Control {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The other end may have gone first.
        drop(self.0.shutdown(Shutdown::Write));
    }
}

/// Whoever runs the test owns what the container writes, and can remove it.
#[cfg(unix)]
fn owner_of(launch: &Launch) -> Result<String, Error> {
    use std::os::unix::fs::MetadataExt;
    let directory =
        launch.directory.metadata().doing(|| format!("reading {}", launch.directory.display()))?;
    Ok(format!("{}:{}", directory.uid(), directory.gid()))
}

#[cfg(not(unix))]
fn owner_of(_launch: &Launch) -> Result<String, Error> {
    Err(Error::Unavailable {
        reasons: "docker: containers share this machine's network, so this is for Linux".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_are_split_at_their_tag() {
        let parts = |image| {
            let image = Image::new(KafkaVersion::V4_3_1, image).unwrap();
            (image.name, image.tag)
        };
        assert_eq!(parts(None), ("apache/kafka".to_owned(), "4.3.1".to_owned()));
        assert_eq!(parts(Some("mine")), ("mine".to_owned(), "latest".to_owned()));
        assert_eq!(parts(Some("host:5000/mine")), ("host:5000/mine".to_owned(), "latest".to_owned()));
        assert_eq!(parts(Some("host:5000/mine:1")), ("host:5000/mine".to_owned(), "1".to_owned()));
    }

    #[test]
    fn old_kafka_needs_an_image_by_name() {
        let error = Image::new(KafkaVersion::V2_8_2, None).unwrap_err().to_string();
        assert!(error.contains("no Docker image of 2.8.2"), "{error}");
    }
}
