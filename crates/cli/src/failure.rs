//! How a command ends when it does not end well, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use milena::{BuildError, ConnectError};

use crate::interrupt::Signal;

/// Why a command stopped. What is printed says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operation failed, wholly or in part.
    Operation(String),
    /// The command line or a property is wrong.
    Usage(String),
    /// No broker answered.
    Unreachable(String),
    /// Stopped by a signal, after what was begun was brought to an end.
    Interrupted(Signal),
    /// Whoever read the output has enough of it, as `head` does: an ordinary end.
    OutputClosed,
}

impl Failure {
    pub(crate) fn operation(error: impl fmt::Display) -> Self {
        Self::Operation(error.to_string())
    }

    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// The exit code, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Operation(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }

    /// Says what happened, where there is something to say, and ends the process.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Operation(message) | Self::Usage(message) | Self::Unreachable(message) => {
                message.lines().for_each(|line| eprintln!("{}", error_line(line)));
            }
            Self::Interrupted(_) | Self::OutputClosed => {}
        }
        ExitCode::from(self.exit_code())
    }
}

/// What is said of a command line that has to be refused; for tests.
#[cfg(test)]
pub(crate) fn usage<T>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Usage(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// Something that went wrong, as all commands say it.
pub(crate) fn error_line(text: impl fmt::Display) -> String {
    format!("{} {text}", console::style("error:").red().bold().for_stderr())
}

/// Something that is tried again.
pub(crate) fn warning_line(text: impl fmt::Display) -> String {
    format!("{} {text}", console::style("warning:").yellow().bold().for_stderr())
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Cluster(error) => Self::Unreachable(format!(
                "no broker answered: {error} (-b/--bootstrap names the brokers; `milena broker` starts one here)"
            )),
            error => Self::usage(error),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::usage(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_the_help_documents() {
        let help = crate::args::EXIT_CODES;
        for (failure, meaning) in [
            (Failure::OutputClosed, "done"),
            (Failure::operation(""), "failed"),
            (Failure::usage(""), "command line"),
            (Failure::Unreachable(String::new()), "no broker"),
            (Failure::Interrupted(Signal::Interrupt), "any other command ended by Ctrl-C"),
            (Failure::Interrupted(Signal::Terminate), "SIGTERM"),
        ] {
            let code = failure.exit_code().to_string();
            let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{code} ")));
            assert!(line.is_some_and(|line| line.contains(meaning)), "{code}: {line:?}");
        }
    }
}
