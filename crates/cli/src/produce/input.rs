//! Input, read by a thread of its own: neither a read of a terminal nor the opening of a FIFO can be interrupted.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::mpsc::{self, Receiver};

use super::chunks::{Chunker, LINE_BYTES_MAX};
use crate::failure::Failure;

/// Bytes asked for at once.
const READ_BYTES: usize = 256 * 1024;
/// Chunks of lines that wait to be sent.
const CHUNKS_MAX: usize = 4;

/// Whole lines, or why there are no more.
pub(crate) type Chunk = io::Result<Vec<u8>>;

/// An input that is about to be read.
pub(crate) struct Input {
    /// For messages: the file's name, or `stdin`.
    pub(crate) name: String,
    /// How many bytes there are, where that is known.
    pub(crate) size: Option<u64>,
    source: Source,
}

enum Source {
    Stdin,
    File(File),
    /// Opened by the thread that reads it: a FIFO that nobody writes to lets its opener wait, and signals with it.
    Special(PathBuf),
}

impl Input {
    /// A file, or the standard input for `None` and `-`.
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| path.as_path() != Path::new("-")) else {
            return Ok(Self { name: "stdin".to_owned(), size: None, source: Source::Stdin });
        };
        let name = path.display().to_string();
        let cannot = |error: io::Error| Failure::Usage(format!("cannot read {name}: {error}"));
        let metadata = fs::metadata(path).map_err(cannot)?;
        if metadata.is_dir() {
            return Err(Failure::Usage(format!(
                "cannot read {name}: it is a directory; name a file, or - for standard input"
            )));
        }
        if !metadata.is_file() {
            return Ok(Self { name, size: None, source: Source::Special(path.clone()) });
        }
        let file = File::open(path).map_err(cannot)?;
        Ok(Self { name, size: Some(metadata.len()), source: Source::File(file) })
    }

    /// Begins to read. The thread ends with the input, or when nobody receives any more.
    pub(crate) fn read(self, delimiter: u8) -> Receiver<Chunk> {
        tracing::debug!(input = self.name, "reading");
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        thread::spawn(move || {
            let send = |chunk: Chunk| sender.blocking_send(chunk).is_ok();
            let read =
                |mut reader: Box<dyn Read>| read_chunks(&mut *reader, delimiter, |chunk| send(Ok(chunk)));
            if let Err(error) = self.source.reader().and_then(read) {
                send(Err(error));
            }
        });
        receiver
    }
}

impl Source {
    fn reader(self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(file) => Box::new(file),
            Self::Special(path) => Box::new(File::open(path)?),
        })
    }
}

/// Gives chunks of whole lines to `take` until the input ends or `take` says that it is enough.
fn read_chunks(
    reader: &mut dyn Read,
    delimiter: u8,
    mut take: impl FnMut(Vec<u8>) -> bool,
) -> io::Result<()> {
    let mut chunker = Chunker::new(delimiter);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let too_long =
            |_| io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes; see --delimiter"));
        let chunk = chunker.push(&buffer[..count]).map_err(too_long)?;
        if !chunk.is_empty() && !take(chunk) {
            return Ok(());
        }
    }
    let last = chunker.finish();
    if !last.is_empty() {
        take(last);
    }
    Ok(())
}
