//! Input, read by a thread of its own: a read of a terminal cannot be interrupted.

use std::fs::File;
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
    reader: Box<dyn Read + Send>,
}

impl Input {
    /// A file, or the standard input for `None` and `-`.
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, Failure> {
        match path.filter(|path| path.as_path() != Path::new("-")) {
            None => Ok(Self { name: "stdin".to_owned(), size: None, reader: Box::new(io::stdin()) }),
            Some(path) => {
                let name = path.display().to_string();
                let cannot = |error: io::Error| Failure::Usage(format!("cannot read {name}: {error}"));
                let file = File::open(path).map_err(cannot)?;
                let metadata = file.metadata().map_err(cannot)?;
                let size = metadata.is_file().then_some(metadata.len());
                Ok(Self { name, size, reader: Box::new(file) })
            }
        }
    }

    /// Begins to read. The thread ends with the input, or when nobody receives any more.
    pub(crate) fn read(self, delimiter: u8) -> Receiver<Chunk> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let mut reader = self.reader;
        thread::spawn(move || {
            let send = |chunk: Chunk| sender.blocking_send(chunk).is_ok();
            if let Err(error) = read_chunks(&mut *reader, delimiter, |chunk| send(Ok(chunk))) {
                send(Err(error));
            }
        });
        receiver
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
