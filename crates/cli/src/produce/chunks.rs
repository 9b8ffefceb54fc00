//! From bytes to whole lines: input comes in pieces that end anywhere. Pure.

/// The longest line. Brokers take far shorter ones; without a bound, input without line ends would fill the memory.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// Collects input until it ends with a line.
#[derive(Debug)]
pub(crate) struct Chunker {
    delimiter: u8,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

/// A line longer than [`LINE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

impl Chunker {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, rest: Vec::new() }
    }

    /// Takes the next piece of input and gives all lines that are whole now, the last one's end included; empty if none is.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, LineTooLong> {
        let end = piece.iter().rposition(|byte| *byte == self.delimiter).map_or(0, |at| at + 1);
        let (whole, rest) = piece.split_at(end);
        let mut lines = Vec::new();
        if !whole.is_empty() {
            lines = std::mem::take(&mut self.rest);
            lines.extend_from_slice(whole);
        }
        if self.rest.len() + rest.len() > LINE_BYTES_MAX {
            return Err(LineTooLong);
        }
        self.rest.extend_from_slice(rest);
        Ok(lines)
    }

    /// The last line, if it has no end.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.rest
    }
}

/// The lines of a chunk, without their ends.
pub(crate) fn lines(chunk: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let chunk = chunk.strip_suffix(&[delimiter]).unwrap_or(chunk);
    chunk.split(move |byte| *byte == delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of `input`, given in pieces of `size` bytes.
    fn read(input: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut chunker = Chunker::new(b'\n');
        let mut read = Vec::new();
        let mut take = |chunk: Vec<u8>| {
            if !chunk.is_empty() {
                read.extend(lines(&chunk, b'\n').map(<[u8]>::to_vec));
            }
        };
        for piece in input.chunks(size) {
            take(chunker.push(piece).unwrap());
        }
        take(chunker.finish());
        read
    }

    #[test]
    fn lines_are_the_same_however_the_input_is_cut() {
        let input = b"one\n\n\xff\x00two\r\nlast";
        for size in 1..=input.len() {
            assert_eq!(read(input, size), [&b"one"[..], b"", b"\xff\x00two\r", b"last"], "pieces of {size}");
        }
    }

    #[test]
    fn an_end_of_line_at_the_end_begins_no_further_line() {
        assert_eq!(read(b"a\n", 1), [b"a"]);
        assert_eq!(read(b"\n", 1), [b""]);
        assert_eq!(read(b"", 1), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let mut chunker = Chunker::new(b'\n');
        let piece = vec![b'x'; LINE_BYTES_MAX / 4];
        let results: Vec<_> = (0..5).map(|_| chunker.push(&piece)).collect();
        assert_eq!(results[4], Err(LineTooLong));
        assert!(results[..4].iter().all(Result::is_ok));
    }
}
