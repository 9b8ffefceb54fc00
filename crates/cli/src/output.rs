//! Standard output: buffered, and quiet when its reader goes away.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::failure::Failure;

/// Bytes collected before they are written, unless [`Output::flush`] comes first.
const BUFFER_BYTES: usize = 64 * 1024;

/// Standard output of a command that prints much.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self { writer: BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()) }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(failure)
    }

    /// Brings everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(failure)
    }
}

/// Prints a line at once.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(failure)
}

fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Operation(format!("cannot write the output: {error}")),
    }
}
