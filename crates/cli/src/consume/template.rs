//! Output by a template in the manner of printf; the letters are kcat's. Pure.

use crate::consume::ShownRecord;
use crate::escape::read_escape;
use crate::timestamp;

/// What the help says of templates.
pub(crate) const HELP: &str = "\
Prints each record by a template:
  %t topic      %p partition  %o offset
  %T timestamp in milliseconds            %D the same as 2026-11-23T10:00:00.000Z
  %k key        %K its length in bytes, -1 for null
  %s value      %S its length, -1 for null  %R its length as 4 bytes, big endian
  %h headers, as name=value,name=value    %% a percent sign
  and \\n, \\t, \\r, \\0, \\\\, \\xHH. Nothing is added at the end of a record.";

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    TimestampMs,
    Timestamp,
    Key,
    KeyLength,
    Value,
    ValueLength,
    ValueLengthBinary,
    Headers,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self { pieces: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find(['%', '\\']) {
            template.literal(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if rest.starts_with('\\') {
                let (byte, after) = read_escape(rest)?;
                template.literal(&[byte]);
                rest = after;
            } else {
                let mut chars = rest[1..].chars();
                match chars.next() {
                    Some('%') => template.literal(b"%"),
                    letter => template.pieces.push(field(letter)?),
                }
                rest = chars.as_str();
            }
        }
        template.literal(rest.as_bytes());
        Ok(template)
    }

    /// Appends to the literal at the end, so that `render` copies it in one go.
    fn literal(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(literal)) => literal.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push(Piece::Literal(bytes.to_vec())),
        }
    }

    /// Appends `record`; `null` stands for a key, value or header value that is null.
    pub(crate) fn render(&self, record: &ShownRecord<'_>, null: &[u8], out: &mut Vec<u8>) {
        let number = |out: &mut Vec<u8>, number: i64| out.extend_from_slice(number.to_string().as_bytes());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Topic => out.extend_from_slice(record.topic.as_bytes()),
                Piece::Partition => number(out, record.partition.into()),
                Piece::Offset => number(out, record.offset),
                Piece::TimestampMs => number(out, record.timestamp),
                Piece::Timestamp => out.extend_from_slice(timestamp::format(record.timestamp).as_bytes()),
                Piece::Key => out.extend_from_slice(record.key.unwrap_or(null)),
                Piece::KeyLength => number(out, length(record.key)),
                Piece::Value => out.extend_from_slice(record.value.unwrap_or(null)),
                Piece::ValueLength => number(out, length(record.value)),
                // A record's value is shorter than 2^31 bytes: its length is an i32 on the wire.
                Piece::ValueLengthBinary => {
                    out.extend_from_slice(&(length(record.value) as i32).to_be_bytes())
                }
                Piece::Headers => headers(record, null, out),
            }
        }
    }
}

fn field(letter: Option<char>) -> Result<Piece, String> {
    Ok(match letter {
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('T') => Piece::TimestampMs,
        Some('D') => Piece::Timestamp,
        Some('k') => Piece::Key,
        Some('K') => Piece::KeyLength,
        Some('s') => Piece::Value,
        Some('S') => Piece::ValueLength,
        Some('R') => Piece::ValueLengthBinary,
        Some('h') => Piece::Headers,
        Some(other) => {
            return Err(format!("`%{other}` is nothing; there are %t %p %o %T %D %k %K %s %S %R %h and %%"));
        }
        None => return Err("a lone `%` at the end; write `%%`".to_owned()),
    })
}

fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

fn headers(record: &ShownRecord<'_>, null: &[u8], out: &mut Vec<u8>) {
    for (index, (name, value)) in record.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value.unwrap_or(null));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>() -> ShownRecord<'a> {
        ShownRecord {
            topic: "orders",
            partition: 3,
            offset: 42,
            timestamp: 1_763_892_000_000,
            key: Some(b"u42"),
            value: Some(b"\xff\x00"),
            headers: vec![(b"a", Some(b"1")), (b"a", None)],
        }
    }

    fn render(template: &str, record: &ShownRecord<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        Template::parse(template).unwrap().render(record, b"NULL", &mut out);
        out
    }

    #[test]
    fn every_field_is_shown() {
        assert_eq!(render("%t-%p@%o", &record()), b"orders-3@42");
        assert_eq!(render("%T %D", &record()), b"1763892000000 2025-11-23T10:00:00.000Z");
        assert_eq!(render("%k/%K %S", &record()), b"u42/3 2");
        assert_eq!(render("%R%s", &record()), b"\x00\x00\x00\x02\xff\x00");
        assert_eq!(render("[%h]", &record()), b"[a=1,a=NULL]");
        assert_eq!(render("100%%\\t\\x41\\n", &record()), b"100%\tA\n");
    }

    #[test]
    fn null_has_length_minus_one_and_empty_has_zero() {
        let null = ShownRecord { key: None, value: None, ..record() };
        assert_eq!(render("%k %K %s %S", &null), b"NULL -1 NULL -1");
        assert_eq!(render("%R", &null), b"\xff\xff\xff\xff");
        let empty = ShownRecord { key: Some(b""), value: Some(b""), ..record() };
        assert_eq!(render("%k%K%s%S", &empty), b"00");
    }

    #[test]
    fn mistakes_in_a_template_are_named() {
        assert!(Template::parse("%q").unwrap_err().contains("`%q`"));
        assert!(Template::parse("50%").unwrap_err().contains("lone `%`"));
        assert!(Template::parse(r"\q").unwrap_err().contains(r"`\q`"));
    }

    #[test]
    fn the_help_names_every_field() {
        for letter in "tpoTDkKsSRh".chars() {
            assert!(field(Some(letter)).is_ok() && HELP.contains(&format!("%{letter} ")), "%{letter}");
        }
    }
}
