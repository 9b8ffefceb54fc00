//! Where the processes of a cluster run.

use crate::Error;
use crate::error::Doing;
use crate::jvm::{JavaRun, Jvm};
use crate::supervisor::{Launch, Supervised};

/// What runs Java classes for a cluster.
#[derive(Clone, Debug)]
pub(crate) enum Runtime {
    /// This machine's Java, with jars fetched by Maven.
    Jvm(Jvm),
    /// A container for each process.
    #[cfg(feature = "docker")]
    Docker(crate::docker::Image),
}

impl Runtime {
    /// The command line of a run, with the program's arguments.
    pub(crate) fn command(&self, run: &JavaRun<'_>, arguments: &[&str]) -> Vec<String> {
        let mut command = match self {
            Self::Jvm(jvm) => {
                let mut command = vec![jvm.program().display().to_string()];
                command.extend(jvm.arguments(run, &jvm.classpath()));
                command
            }
            #[cfg(feature = "docker")]
            Self::Docker(_) => crate::docker::Image::java(run),
        };
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        command
    }

    /// Starts a process of the cluster.
    pub(crate) async fn start(&self, launch: &Launch) -> Result<Supervised, Error> {
        match self {
            Self::Jvm(_) => Supervised::start(launch).doing(|| format!("starting {}", launch.command[0])),
            #[cfg(feature = "docker")]
            Self::Docker(image) => image.start(launch).await,
        }
    }
}
