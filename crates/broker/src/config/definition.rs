//! How a configuration key is defined and checked (Java: `ConfigDef`).

use milena_records::{Codec, Compression};

/// One key of Kafka's configuration.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Option<&'static str>,
    pub(crate) valid: Valid,
}

/// The type of a value; the numbers are those of `DescribeConfigsResponse.ConfigType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    /// Never told to anybody.
    Password = 9,
}

/// Which values of the type are allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// From zero to this.
    Fraction(f64),
    NonEmpty,
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these, each at most once.
    SomeOf(&'static [&'static str]),
    /// `*`, or a list of partition:broker.
    ThrottledReplicas,
    /// `latest`, `earliest`, or `by_duration:` and a duration such as PT10M.
    OffsetReset,
    Level(Compression),
}

impl Definition {
    pub(crate) const fn new(name: &'static str, kind: Kind, default: &'static str, valid: Valid) -> Self {
        Self { name, kind, default: Some(default), valid }
    }

    /// Checks a value as `ConfigDef.parse` and its validators do.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let trimmed = value.trim();
        let refuse = |what: &str| Err(format!("{}={value}: {what}", self.name));
        let is_of_kind = match self.kind {
            Kind::Boolean => parse_boolean(trimmed).is_some(),
            Kind::Int => trimmed.parse::<i32>().is_ok(),
            Kind::Short => trimmed.parse::<i16>().is_ok(),
            Kind::Long => trimmed.parse::<i64>().is_ok(),
            Kind::Double => trimmed.parse::<f64>().is_ok(),
            Kind::String | Kind::List | Kind::Class | Kind::Password => true,
        };
        if !is_of_kind {
            return refuse(self.kind.expectation());
        }
        match self.valid {
            Valid::Any => Ok(()),
            Valid::AtLeast(min) => match trimmed.parse::<i64>() {
                Ok(number) if number >= min => Ok(()),
                _ => refuse(&format!("the least is {min}")),
            },
            Valid::Between(min, max) => match trimmed.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => refuse(&format!("give a number from {min} to {max}")),
            },
            Valid::Fraction(max) => match trimmed.parse::<f64>() {
                Ok(number) if (0.0..=max).contains(&number) => Ok(()),
                _ => refuse(&format!("give a fraction from 0 to {max}")),
            },
            Valid::NonEmpty if !trimmed.is_empty() => Ok(()),
            Valid::NonEmpty => refuse("it must not be empty"),
            Valid::OneOf(names) if names.contains(&trimmed) => Ok(()),
            Valid::OneOfAnyCase(names) if names.iter().any(|name| name.eq_ignore_ascii_case(trimmed)) => {
                Ok(())
            }
            Valid::OneOf(names) | Valid::OneOfAnyCase(names) => {
                refuse(&format!("give one of {}", names.join(", ")))
            }
            Valid::ThrottledReplicas if is_throttled_replicas(trimmed) => Ok(()),
            Valid::ThrottledReplicas => refuse("give * or a list of partition:broker"),
            Valid::OffsetReset => match trimmed.strip_prefix("by_duration:") {
                Some(duration) if is_duration(duration) => Ok(()),
                None if matches!(trimmed, "latest" | "earliest") => Ok(()),
                _ => refuse("give latest, earliest, or by_duration:PnDTnHnMn.nS"),
            },
            Valid::SomeOf(names) => {
                let given: Vec<_> =
                    if trimmed.is_empty() { vec![] } else { trimmed.split(',').map(str::trim).collect() };
                let is_repeated = (1..given.len()).any(|index| given[..index].contains(&given[index]));
                if is_repeated || given.iter().any(|name| !names.contains(name)) {
                    return refuse(&format!("give some of {}, each once", names.join(", ")));
                }
                Ok(())
            }
            Valid::Level(compression) => {
                let level = trimmed.parse::<i32>().map_err(|error| error.to_string())?;
                Codec::with_level(compression, level)
                    .map_or_else(|error| refuse(&error.to_string()), |_| Ok(()))
            }
        }
    }
}

impl Kind {
    fn expectation(self) -> &'static str {
        match self {
            Self::Boolean => "give true or false",
            Self::Short => "give a whole number of 16 bits",
            Self::String | Self::Class | Self::Password => "give a text",
            Self::Int => "give a whole number of 32 bits",
            Self::Long => "give a whole number of 64 bits",
            Self::Double => "give a number",
            Self::List => "give a list separated by commas",
        }
    }
}

/// Whether it is a duration of ISO 8601 in days and smaller units, not negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let units_follow = |text: &str, units: &str| {
        let mut left = units;
        let mut parts = text.split_inclusive(|char: char| char.is_ascii_alphabetic());
        parts.all(|part| {
            let Some(unit) = part.chars().next_back() else { return false };
            let number = &part[..part.len() - unit.len_utf8()];
            let Some(place) = left.find(unit) else { return false };
            left = &left[place + 1..];
            number.parse::<f64>().is_ok_and(|number| number >= 0.0)
        })
    };
    let has_parts = !days.is_empty() || time.is_some();
    has_parts
        && units_follow(days, "D")
        && time.is_none_or(|time| !time.is_empty() && units_follow(time, "HMS"))
}

fn is_throttled_replicas(value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |part: &str| {
        part.split_once(':').is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    value == "*" || split_list(value).into_iter().all(is_pair)
}

/// The parts of a comma-separated value.
pub(crate) fn split_list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

pub(crate) fn parse_boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The name in `known` that is most like `name`, for error messages.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|candidate| edit_distance(name, candidate))
}

fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, from) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (column, to) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, valid: Valid, value: &str) -> String {
        Definition::new("some.key", kind, "", valid).check(value).expect_err("must be refused")
    }

    #[test]
    fn messages_say_what_is_possible() {
        assert_eq!(error(Kind::Int, Valid::Any, "many"), "some.key=many: give a whole number of 32 bits");
        assert_eq!(error(Kind::Long, Valid::AtLeast(-1), "-2"), "some.key=-2: the least is -1");
        assert_eq!(error(Kind::Boolean, Valid::Any, "yes"), "some.key=yes: give true or false");
        assert_eq!(
            error(Kind::Double, Valid::Fraction(1.0), "1.5"),
            "some.key=1.5: give a fraction from 0 to 1"
        );
        assert_eq!(error(Kind::String, Valid::OneOf(&["a", "b"]), "c"), "some.key=c: give one of a, b");
    }

    #[test]
    fn lists_have_known_values_each_once() {
        for value in ["a,a", " , ", "a,c"] {
            assert!(
                error(Kind::List, Valid::SomeOf(&["a", "b"]), value)
                    .ends_with("give some of a, b, each once")
            );
        }
        let list = Definition::new("l", Kind::List, "", Valid::SomeOf(&["a", "b"]));
        assert_eq!(list.check(""), Ok(()));
    }

    #[test]
    fn throttled_replicas_and_offset_resets_have_a_form() {
        let throttled = Definition::new("t", Kind::List, "", Valid::ThrottledReplicas);
        assert!(["", "*", "0:1", "0:1,2:3"].iter().all(|value| throttled.check(value).is_ok()));
        assert!(["1", "0:x", "*,0:1"].iter().all(|value| throttled.check(value).is_err()));
        let reset = Definition::new("r", Kind::String, "latest", Valid::OffsetReset);
        let good = ["latest", "earliest", "by_duration:PT10M", "by_duration:P1DT2H3M4.5S"];
        assert!(good.iter().all(|value| reset.check(value).is_ok()));
        let bad = [
            "never",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:PT-1S",
            "by_duration:PT1S2M",
        ];
        assert!(bad.iter().all(|value| reset.check(value).is_err()));
    }

    #[test]
    fn levels_are_those_of_the_codec() {
        let level = Definition::new("l", Kind::Int, "3", Valid::Level(Compression::Zstd));
        assert!(level.check("22").is_ok());
        assert!(level.check("23").is_err());
    }

    #[test]
    fn nearest_finds_a_misspelt_name() {
        let names = ["retention.ms", "retention.bytes", "segment.bytes"];
        assert_eq!(nearest("retension.ms", names.into_iter()), Some("retention.ms"));
    }
}
