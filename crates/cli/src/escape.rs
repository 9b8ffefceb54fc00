//! Backslash escapes in separators and templates. Pure.

/// Reads text with `\n`, `\r`, `\t`, `\0`, `\\` and `\xHH` as bytes.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, after) = read_escape(&rest[at..])?;
        bytes.push(byte);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Reads the escape that `text` begins with, and gives what comes after it.
pub(crate) fn read_escape(text: &str) -> Result<(u8, &str), String> {
    let mut chars = text.chars();
    debug_assert_eq!(chars.next(), Some('\\'), "an escape begins with a backslash");
    let byte = match chars.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => b'\0',
        Some('\\') => b'\\',
        Some('x') => {
            let digits = chars.as_str().get(..2).unwrap_or_default();
            let are_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok().filter(|_| are_hexadecimal);
            let byte = byte.ok_or_else(|| format!("`\\x{digits}` needs two hexadecimal digits"))?;
            return Ok((byte, &chars.as_str()[2..]));
        }
        Some(other) => {
            return Err(format!("`\\{other}` is no escape; there are \\n, \\r, \\t, \\0, \\\\ and \\xHH"));
        }
        None => return Err("a lone `\\` at the end; write `\\\\`".to_owned()),
    };
    Ok((byte, chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unescape(r"a\tb\n\x00\xff\\").unwrap(), b"a\tb\n\x00\xff\\");
        assert_eq!(unescape("größe").unwrap(), "größe".as_bytes());
        assert_eq!(unescape("").unwrap(), b"");
    }

    #[test]
    fn what_is_no_escape_is_named() {
        assert!(unescape(r"\q").unwrap_err().contains(r"`\q`"));
        assert!(unescape(r"\x4").unwrap_err().contains("hexadecimal"));
        assert!(unescape(r"\x+4").unwrap_err().contains("hexadecimal"));
        assert!(unescape(r"\xé").unwrap_err().contains("hexadecimal"));
        assert!(unescape("a\\").unwrap_err().contains("lone"));
    }
}
