//! Where reading begins. Pure.

use std::str::FromStr;

use crate::timestamp;

/// Where to begin in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the first record there is.
    Beginning,
    /// At what is written from now on.
    End,
    /// At this offset.
    Offset(i64),
    /// That many records before the end.
    Tail(i64),
    /// At the first record of that time, in milliseconds since 1970, or later.
    Timestamp(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = match text {
            "beginning" | "earliest" => Some(Self::Beginning),
            "end" | "latest" => Some(Self::End),
            _ => match (text.strip_prefix('-'), text.strip_prefix('@')) {
                (Some(count), _) => number(count).map(Self::Tail),
                (_, Some(time)) => timestamp::parse(time).map(Self::Timestamp),
                _ => number(text).map(Self::Offset).or_else(|| timestamp::parse(text).map(Self::Timestamp)),
            },
        };
        start.ok_or_else(|| {
            "write beginning, end, an offset (42), a number of last records (-10), or a time (2026-11-23T10:00:00Z, \
             @1763892000000)"
                .to_owned()
        })
    }
}

/// Digits only: neither `+1` nor `-1`.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_told_apart() {
        for (text, start) in [
            ("beginning", Start::Beginning),
            ("earliest", Start::Beginning),
            ("end", Start::End),
            ("latest", Start::End),
            ("0", Start::Offset(0)),
            ("42", Start::Offset(42)),
            ("-10", Start::Tail(10)),
            ("@1763892000000", Start::Timestamp(1_763_892_000_000)),
            ("2025-11-23T10:00:00Z", Start::Timestamp(1_763_892_000_000)),
            ("2025-11-23", Start::Timestamp(1_763_856_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(start), "{text}");
        }
    }

    #[test]
    fn other_words_are_refused_with_what_is_possible() {
        for text in ["", "first", "-", "--5", "-x", "+3", "@", "99999999999999999999"] {
            let error = text.parse::<Start>().unwrap_err();
            assert!(error.contains("beginning, end, an offset"), "{text}: {error}");
        }
    }
}
