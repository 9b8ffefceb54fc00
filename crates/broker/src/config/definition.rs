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

    /// Checks a value as `ConfigDef.parse` and its validators do; the message is Kafka's.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let invalid =
            |what: &str| Err(format!("Invalid value {value} for configuration {}: {what}", self.name));
        let trimmed = value.trim();
        match self.kind {
            Kind::Boolean if parse_boolean(trimmed).is_none() => {
                return invalid("Expected value to be either true or false");
            }
            Kind::Int if trimmed.parse::<i32>().is_err() => return invalid("Not a number of type INT"),
            Kind::Long if trimmed.parse::<i64>().is_err() => return invalid("Not a number of type LONG"),
            Kind::Double if trimmed.parse::<f64>().is_err() => return invalid("Not a number of type DOUBLE"),
            _ => {}
        }
        match self.valid {
            Valid::Any => Ok(()),
            Valid::AtLeast(min) => match trimmed.parse::<i64>() {
                Ok(number) if number >= min => Ok(()),
                _ => invalid(&format!("Value must be at least {min}")),
            },
            Valid::ZeroToOne => match trimmed.parse::<f64>() {
                Ok(number) if number < 0.0 => invalid("Value must be at least 0"),
                Ok(number) if number <= 1.0 => Ok(()),
                _ => invalid("Value must be no more than 1"),
            },
            Valid::OneOf(names) if names.contains(&trimmed) => Ok(()),
            Valid::OneOf(names) => invalid(&format!("String must be one of: {}", names.join(", "))),
            Valid::SomeOf(names) => self.check_list(trimmed, names),
            Valid::Level(compression) => {
                let level = trimmed.parse::<i32>().map_err(|error| error.to_string())?;
                match Codec::with_level(compression, level) {
                    Ok(_) => Ok(()),
                    Err(error) => invalid(&error.to_string()),
                }
            }
        }
    }

    fn check_list(&self, value: &str, names: &[&str]) -> Result<(), String> {
        let given = split_list(value);
        if given.is_empty() {
            let valid = names.join(", ");
            return Err(format!(
                "Configuration '{}' must not be empty. Valid values include: [{valid}]",
                self.name
            ));
        }
        if (1..given.len()).any(|index| given[..index].contains(&given[index])) {
            return Err(format!("Configuration '{}' values must not be duplicated.", self.name));
        }
        match given.iter().find(|name| !names.contains(name)) {
            Some(unknown) => Err(format!(
                "Invalid value {unknown} for configuration {}: String must be one of: {}",
                self.name,
                names.join(", ")
            )),
            None => Ok(()),
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
    fn messages_are_those_of_kafka() {
        assert_eq!(
            error(Kind::Int, Valid::Any, "many"),
            "Invalid value many for configuration some.key: Not a number of type INT"
        );
        assert_eq!(
            error(Kind::Long, Valid::AtLeast(-1), "-2"),
            "Invalid value -2 for configuration some.key: Value must be at least -1"
        );
        assert_eq!(
            error(Kind::List, Valid::SomeOf(&["compact", "delete"]), "delete,none"),
            "Invalid value none for configuration some.key: String must be one of: compact, delete"
        );
        assert_eq!(
            error(Kind::Boolean, Valid::Any, "yes"),
            "Invalid value yes for configuration some.key: Expected value to be either true or false"
        );
    }

    #[test]
    fn lists_have_no_duplicates_and_some_value() {
        assert!(error(Kind::List, Valid::SomeOf(&["a"]), "a,a").contains("must not be duplicated"));
        assert!(error(Kind::List, Valid::SomeOf(&["a"]), " , ").contains("must not be empty"));
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
