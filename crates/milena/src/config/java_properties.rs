//! The text format of `java.util.Properties`.

use std::iter::Peekable;
use std::str::Chars;

/// A key and value, with the line (from 1) that they begin on.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// A line that is not in the format. It does not show the line's text: there may be a password in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// Reads all keys and values, in order, repeated ones included.
///
/// A line is `key=value`, `key:value` or `key value`; `#` and `!` begin a comment; a backslash at the
/// end of a line continues it on the next; `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes, and a
/// backslash before anything else stands for nothing. All as Java's `Properties.load`, but that half a
/// UTF-16 character is refused.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, Malformed> {
    let mut lines = NaturalLines::new(text);
    let mut parsed = Vec::new();
    // What the lines so far that end with a backslash give, and where they began.
    let mut logical = String::new();
    let mut began = 0;
    while let Some((number, line)) = lines.next() {
        let line = line.trim_start_matches(BLANK);
        if logical.is_empty() {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            began = number;
        }
        logical.push_str(line);
        if is_continued(&logical) {
            logical.pop();
            if !lines.is_at_end() {
                continue;
            }
        }
        parsed.push(read(&std::mem::take(&mut logical), began)?);
    }
    if !logical.is_empty() {
        parsed.push(read(&logical, began)?);
    }
    Ok(parsed)
}

fn read(logical: &str, number: usize) -> Result<Line, Malformed> {
    let (key, value) = split(logical).map_err(|problem| Malformed { line: number, problem })?;
    Ok(Line { number, key, value })
}

/// White space within a line, in Java's eyes.
const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

/// Whether the line ends with a backslash that is not itself escaped.
fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1
}

/// Lines that end with `\n`, `\r` or `\r\n`, numbered from 1.
struct NaturalLines<'t> {
    rest: Option<&'t str>,
    number: usize,
}

impl<'t> NaturalLines<'t> {
    fn new(text: &'t str) -> Self {
        Self { rest: Some(text), number: 0 }
    }

    /// Whether nothing follows, not even blanks.
    fn is_at_end(&self) -> bool {
        self.rest.unwrap_or_default().is_empty()
    }
}

impl<'t> Iterator for NaturalLines<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        self.number += 1;
        let (line, after) = match rest.find(['\n', '\r']) {
            None => (rest, None),
            Some(end) if rest[end..].starts_with("\r\n") => (&rest[..end], Some(&rest[end + 2..])),
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
        };
        self.rest = after;
        Some((self.number, line))
    }
}

/// Parts a logical line at the first separator that is not escaped, and resolves the escapes.
fn split(line: &str) -> Result<(String, String), &'static str> {
    let mut characters = line.chars().peekable();
    let key = unescape(&mut characters, |c| matches!(c, '=' | ':') || BLANK.contains(&c))?;
    skip_blank(&mut characters);
    if characters.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blank(&mut characters);
    }
    let value = unescape(&mut characters, |_| false)?;
    Ok((key, value))
}

fn skip_blank(characters: &mut Peekable<Chars<'_>>) {
    while characters.next_if(|c| BLANK.contains(c)).is_some() {}
}

/// Reads up to, and not including, an unescaped character that is the end.
fn unescape(
    characters: &mut Peekable<Chars<'_>>,
    is_end: impl Fn(char) -> bool,
) -> Result<String, &'static str> {
    // In UTF-16, for two escapes may be the halves of one character.
    let mut units = Vec::new();
    while let Some(c) = characters.next_if(|&c| !is_end(c)) {
        let literal = match c {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    units.push(code_unit(characters)?);
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(literal.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_| "\\u escapes give half a character")
}

fn code_unit(characters: &mut Peekable<Chars<'_>>) -> Result<u16, &'static str> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = characters.next().and_then(|c| c.to_digit(16));
        unit = (unit << 4) | digit.ok_or("\\u is not followed by four hexadecimal digits")?;
    }
    // Fits: four hexadecimal digits.
    Ok(unit as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the golden file's spelling stands for; `None` if there is half a character in it, as there may
    /// be in a text of Java.
    fn unescape_golden(text: &str) -> Option<String> {
        let mut parts = text.split('~');
        let first = parts.next().unwrap_or_default();
        let mut units: Vec<u16> = first.encode_utf16().collect();
        for part in parts.filter(|part| !part.is_empty()) {
            units.push(u16::from_str_radix(&part[..4], 16).unwrap());
            units.extend(part[4..].encode_utf16());
        }
        String::from_utf16(&units).ok()
    }

    #[test]
    fn texts_are_read_as_java_reads_them() {
        let golden = include_str!("golden/properties.txt");
        for line in golden.lines().filter(|line| !line.starts_with("# ")) {
            let (text, javas) = line.rsplit_once(" ->").unwrap();
            let ours = parse(&unescape_golden(text).unwrap())
                .ok()
                .map(|lines| lines.into_iter().flat_map(|line| [line.key, line.value]).collect::<Vec<_>>());
            let javas: Option<Vec<String>> = match javas {
                " malformed" => None,
                javas => javas.split(' ').skip(1).map(unescape_golden).collect(),
            };
            assert_eq!(ours, javas, "{line}");
        }
    }

    #[test]
    fn lines_are_counted_through_comments_and_continuations() {
        let text = "# comment\r\n\r\na=1\\\n  2\n! other\rb=3";
        let lines: Vec<_> = parse(text).unwrap().into_iter().map(|line| (line.number, line.key)).collect();
        assert_eq!(lines, [(3, "a".to_owned()), (6, "b".to_owned())]);
    }

    #[test]
    fn half_a_character_is_malformed_and_told_by_its_line() {
        let malformed = |text| parse(text).map(|lines| lines.len()).unwrap_err();
        assert_eq!(
            malformed("a=1\nb=\\uD83D"),
            Malformed { line: 2, problem: "\\u escapes give half a character" }
        );
        assert_eq!(malformed("b=\\u12g4").line, 1);
    }
}
