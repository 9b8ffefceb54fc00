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
    Long = 5,
    Double = 6,
    List = 7,
}

/// Which values of the type are allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Valid {
    Any,
    AtLeast(i64),
    /// A fraction.
    ZeroToOne,
    OneOf(&'static [&'static str]),
    /// A list of these, each at most once, and not empty.
    SomeOf(&'static [&'static str]),
    Level(Compression),
}

impl Definition {
    pub(crate) const fn new(name: &'static str, kind: Kind, default: &'static str, valid: Valid) -> Self {
        Self { name, kind, default: Some(default), valid }
    }

    /// A key that has no value unless one is given.
    pub(crate) const fn without_default(name: &'static str, kind: Kind, valid: Valid) -> Self {
        Self { name, kind, default: None, valid }
    }

    /// Checks a value as `ConfigDef.parse` and its validators do.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let trimmed = value.trim();
        let refuse = |what: &str| Err(format!("{}={value}: {what}", self.name));
        let is_of_kind = match self.kind {
            Kind::Boolean => parse_boolean(trimmed).is_some(),
            Kind::Int => trimmed.parse::<i32>().is_ok(),
            Kind::Long => trimmed.parse::<i64>().is_ok(),
            Kind::Double => trimmed.parse::<f64>().is_ok(),
            Kind::String | Kind::List => true,
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
            Valid::ZeroToOne => match trimmed.parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
                _ => refuse("give a fraction from 0 to 1"),
            },
            Valid::OneOf(names) if names.contains(&trimmed) => Ok(()),
            Valid::OneOf(names) => refuse(&format!("give one of {}", names.join(", "))),
            Valid::SomeOf(names) => {
                let given = split_list(trimmed);
                let is_repeated = (1..given.len()).any(|index| given[..index].contains(&given[index]));
                if given.is_empty() || is_repeated || given.iter().any(|name| !names.contains(name)) {
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
            Self::String => "give a text",
            Self::Int => "give a whole number of 32 bits",
            Self::Long => "give a whole number of 64 bits",
            Self::Double => "give a number",
            Self::List => "give a list separated by commas",
        }
    }
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
        assert_eq!(error(Kind::Double, Valid::ZeroToOne, "1.5"), "some.key=1.5: give a fraction from 0 to 1");
        assert_eq!(error(Kind::String, Valid::OneOf(&["a", "b"]), "c"), "some.key=c: give one of a, b");
    }

    #[test]
    fn lists_have_known_values_each_once_and_some() {
        for value in ["a,a", " , ", "a,c"] {
            assert!(
                error(Kind::List, Valid::SomeOf(&["a", "b"]), value)
                    .ends_with("give some of a, b, each once")
            );
        }
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
