//! Where reading begins. Pure.

use std::fmt;
use std::str::FromStr;

use milena::config::choices::OffsetReset;

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

/// As `--from` takes it.
impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Offset(offset) => write!(f, "{offset}"),
            Self::Tail(count) => write!(f, "-{count}"),
            Self::Timestamp(milliseconds) => write!(f, "@{milliseconds}"),
        }
    }
}

/// Where to begin, by `--from` and by the `auto.offset.reset` that stands beside it; `now_ms` is the time.
pub(super) fn choose(from: Option<Start>, reset: Option<OffsetReset>, now_ms: i64) -> Result<Start, String> {
    let by_reset = match reset {
        None => return Ok(from.unwrap_or(Start::End)),
        Some(OffsetReset::Earliest) => Some(Start::Beginning),
        Some(OffsetReset::Latest) => Some(Start::End),
        Some(OffsetReset::ByDuration(ago)) => {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            Some(Start::Timestamp(now_ms.saturating_sub(ago_ms).max(0)))
        }
        Some(OffsetReset::None) => None,
    };
    match (from, by_reset) {
        (None, Some(start)) => Ok(start),
        (None, None) => Err("auto.offset.reset=none leaves open where to begin; add --from".to_owned()),
        // The other ones name a position; the reset is for when that is gone.
        (Some(from @ (Start::Beginning | Start::End)), Some(start)) if from != start => {
            Err(format!("--from {from} and -X auto.offset.reset begin at different places; keep one of them"))
        }
        (Some(from), _) => Ok(from),
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
    fn the_reset_says_where_to_begin_when_from_does_not_and_never_contradicts_it_in_silence() {
        use std::time::Duration;
        let (earliest, latest) = (Some(OffsetReset::Earliest), Some(OffsetReset::Latest));
        let ago = Some(OffsetReset::ByDuration(Duration::from_secs(2)));
        assert_eq!(choose(None, None, 0), Ok(Start::End));
        assert_eq!(choose(None, earliest, 0), Ok(Start::Beginning));
        assert_eq!(choose(None, latest, 0), Ok(Start::End));
        assert_eq!(choose(None, ago, 5_000), Ok(Start::Timestamp(3_000)));
        assert!(choose(None, Some(OffsetReset::None), 0).unwrap_err().contains("--from"));
        assert_eq!(choose(Some(Start::Offset(7)), latest, 0), Ok(Start::Offset(7)));
        assert_eq!(choose(Some(Start::Beginning), earliest, 0), Ok(Start::Beginning));
        assert_eq!(choose(Some(Start::End), Some(OffsetReset::None), 0), Ok(Start::End));
        for (from, reset) in [(Start::Beginning, latest), (Start::End, earliest), (Start::End, ago)] {
            let error = choose(Some(from), reset, 5_000).unwrap_err();
            assert!(
                error.contains(&format!("--from {from}")) && error.contains("auto.offset.reset"),
                "{error}"
            );
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
