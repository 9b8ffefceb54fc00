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

/// What ends a record of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// The end of a line, as Unix (LF) or as Windows (CR LF) writes it.
    Line,
    /// This byte, and nothing else.
    Byte(u8),
}

impl Delimiter {
    /// The last byte of it.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Line => b'\n',
            Self::Byte(byte) => byte,
        }
    }

    /// The records of a chunk, without what ends them.
    pub(crate) fn split(self, chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
        let last = self.byte();
        let strip = move |record: &'_ [u8]| record.strip_suffix(&[last]).map_or(record.len(), <[u8]>::len);
        chunk.split_inclusive(move |byte| *byte == last).map(move |record| match self {
            Self::Line if record.ends_with(b"\r\n") => &record[..record.len() - 2],
            _ => &record[..strip(record)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of `input`, given in pieces of `size` bytes.
    fn read(delimiter: Delimiter, input: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut chunker = Chunker::new(delimiter.byte());
        let mut read = Vec::new();
        let mut take = |chunk: Vec<u8>| read.extend(delimiter.split(&chunk).map(<[u8]>::to_vec));
        for piece in input.chunks(size) {
            take(chunker.push(piece).unwrap());
        }
        take(chunker.finish());
        read
    }

    #[test]
    fn lines_are_the_same_however_the_input_is_cut() {
        let input = b"one\n\n\xff\x00two\r\n\r\nr\rs\r\r\nlast\r";
        for size in 1..=input.len() {
            let expected = [&b"one"[..], b"", b"\xff\x00two", b"", b"r\rs\r", b"last\r"];
            assert_eq!(read(Delimiter::Line, input, size), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_delimiter_that_was_asked_for_takes_nothing_else_away() {
        assert_eq!(read(Delimiter::Byte(b'\n'), b"a\r\nb", 2), [&b"a\r"[..], b"b"]);
        assert_eq!(read(Delimiter::Byte(0), b"a\r\n\0\0b", 2), [&b"a\r\n"[..], b"", b"b"]);
    }

    #[test]
    fn an_end_of_line_at_the_end_begins_no_further_line() {
        assert_eq!(read(Delimiter::Line, b"a\n", 1), [b"a"]);
        assert_eq!(read(Delimiter::Line, b"\n", 1), [b""]);
        assert_eq!(read(Delimiter::Line, b"", 1), Vec::<Vec<u8>>::new());
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
