//! Where reading begins when there is no position, and where it goes on when the position is gone. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What to do without a position, and when the position is not in the log any more. Kafka: `auto.offset.reset`.
///
/// Two things alone make a consumer reset: the broker says that the position is out of range, or the log was truncated below it
/// (KIP-320). No other error does, however often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetReset {
    /// Read from the first record there is.
    Earliest,
    /// Read what is written from now on. Kafka's default.
    Latest,
    /// Read from the first record that is not older than this; from now on if there is none (KIP-1106).
    ByDuration(Duration),
    /// Tell the application, which seeks.
    None,
}

/// What to ask a partition's leader for in place of an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetLookup {
    Earliest,
    /// The high watermark, or the last stable offset for `read_committed`.
    Latest,
    /// The first record with this timestamp, in milliseconds, or a later one; the end if there is none.
    Timestamp(i64),
    /// As `Timestamp`, that long before now.
    Ago(Duration),
}

impl OffsetReset {
    pub(crate) fn lookup(self) -> Option<OffsetLookup> {
        match self {
            Self::Earliest => Some(OffsetLookup::Earliest),
            Self::Latest => Some(OffsetLookup::Latest),
            Self::ByDuration(duration) => Some(OffsetLookup::Ago(duration)),
            Self::None => None,
        }
    }
}

/// Text that is no reset policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no auto.offset.reset; write earliest, latest, none, or by_duration: and a duration as in ISO 8601, for example by_duration:PT1H30M"
)]
pub struct ParseOffsetResetError(String);

/// Kafka's names, and librdkafka's other names for them: smallest and beginning, largest and end, error.
impl FromStr for OffsetReset {
    type Err = ParseOffsetResetError;

    fn from_str(text: &str) -> Result<Self, ParseOffsetResetError> {
        let policy = match text {
            "earliest" | "smallest" | "beginning" => Some(Self::Earliest),
            "latest" | "largest" | "end" => Some(Self::Latest),
            "none" | "error" => Some(Self::None),
            _ => text.strip_prefix("by_duration:").and_then(parse_iso_duration).map(Self::ByDuration),
        };
        policy.ok_or_else(|| ParseOffsetResetError(text.to_owned()))
    }
}

impl fmt::Display for OffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::None => f.write_str("none"),
            Self::ByDuration(duration) => {
                write!(f, "by_duration:PT{}", duration.as_secs())?;
                match duration.subsec_nanos() {
                    0 => {}
                    nanos => write!(f, ".{}", format!("{nanos:09}").trim_end_matches('0'))?,
                }
                f.write_str("S")
            }
        }
    }
}

/// Reads `PnDTnHnMn.nS` as Java's `Duration.parse` does, negative parts excluded (KIP-1106 refuses them).
fn parse_iso_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut seconds = 0u64;
    if !days.is_empty() {
        seconds = whole(days.strip_suffix(['D', 'd'])?)?.checked_mul(24 * 60 * 60)?;
    }
    let mut time = time;
    for (unit, unit_seconds) in [(['H', 'h'], 60 * 60), (['M', 'm'], 60)] {
        if let Some((number, rest)) = time.split_once(unit) {
            seconds = seconds.checked_add(whole(number)?.checked_mul(unit_seconds)?)?;
            time = rest;
        }
    }
    let mut nanos = 0;
    if !time.is_empty() {
        let number = time.strip_suffix(['S', 's'])?;
        let (whole_seconds, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
        seconds = seconds.checked_add(whole(whole_seconds)?)?;
        nanos = nanoseconds(fraction)?;
    }
    Some(Duration::new(seconds, nanos))
}

fn whole(digits: &str) -> Option<u64> {
    // `parse` takes a sign, which is not wanted here.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The fraction of a second that these digits after the point are.
fn nanoseconds(digits: &str) -> Option<u32> {
    if digits.is_empty() {
        return Some(0);
    }
    if digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_kafka_writes_them() {
        let parse = |text: &str| text.parse::<OffsetReset>();
        assert_eq!(parse("earliest"), Ok(OffsetReset::Earliest));
        assert_eq!(parse("latest"), Ok(OffsetReset::Latest));
        assert_eq!(parse("none"), Ok(OffsetReset::None));
        for (names, policy) in [
            (["smallest", "beginning"], OffsetReset::Earliest),
            (["largest", "end"], OffsetReset::Latest),
            (["error", "none"], OffsetReset::None),
        ] {
            assert_eq!(names.map(parse), [Ok(policy), Ok(policy)], "as librdkafka writes them");
        }
        let by_seconds = |seconds| Ok(OffsetReset::ByDuration(Duration::from_secs(seconds)));
        assert_eq!(parse("by_duration:P1D"), by_seconds(86_400));
        assert_eq!(parse("by_duration:P2DT3H4M5S"), by_seconds(2 * 86_400 + 3 * 3_600 + 4 * 60 + 5));
        assert_eq!(parse("by_duration:PT90M"), by_seconds(5_400));
        assert_eq!(parse("by_duration:PT0S"), by_seconds(0));
        for quarter in ["PT0.25S", "PT0,25S", "pt0.25s"] {
            let policy = OffsetReset::ByDuration(Duration::from_millis(250));
            assert_eq!(parse(&format!("by_duration:{quarter}")), Ok(policy));
        }
        for bad in [
            "Earliest",
            "by_duration",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1",
            "by_duration:PT-1S",
            "by_duration:P1DT",
            "by_duration:PT1S1M",
            "by_duration:PT1.0000000001S",
            "by_duration:P99999999999999999999D",
            "by_duration:PT+1S",
            "by_duration:PT.5S",
            "by_duration:6H",
            "by_duration:PT6",
            "by_duration:P6H",
            "by_duration:PT1D",
            "by_duration:-PT1H",
        ] {
            assert!(parse(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let durations =
            [0, 1, 1_000, 90_061_500].map(|ms| OffsetReset::ByDuration(Duration::from_millis(ms)));
        for policy in
            [OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::None].into_iter().chain(durations)
        {
            assert_eq!(policy.to_string().parse(), Ok(policy), "{policy}");
        }
    }
}
