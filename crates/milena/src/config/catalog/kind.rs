use std::fmt;

use milena_client::Address;
use milena_producer::partitioner::Partitioning;

use crate::config::choices::{Assignor, OffsetReset};
use crate::config::jaas::JaasConfig;

/// What values a property can have. `Display` says it in words, for error messages.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A whole number within bounds, or one special number outside.
    IntegerOr(i64, i64, i64),
    /// A number within bounds.
    Decimal(f64, f64),
    /// `true` or `false`.
    Boolean,
    /// Any text.
    Text,
    /// Any text but the empty one.
    NonEmptyText,
    /// Texts separated by commas.
    List,
    /// One of these, exactly.
    OneOf(&'static [&'static str]),
    /// One of these, in upper or lower case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Brokers, `host:port`, separated by commas; a repeated one is refused.
    Addresses,
    /// The URL of a service, without user and password.
    Url,
    /// Kafka's and librdkafka's forms of `auto.offset.reset`.
    OffsetReset,
    /// The name of a partitioner.
    Partitioner,
    /// The names of assignors, separated by commas.
    Assignors,
    /// A secret text: never shown.
    Secret,
    /// A JAAS entry, which is secret.
    Jaas,
    /// The name of a Java class.
    Class,
}

/// The largest of Java's `int`.
pub(super) const INT_MAX: i64 = i32::MAX as i64;
pub(super) const LONG_MAX: i64 = i64::MAX;

impl Kind {
    /// Whether `value`, without surrounding blanks, is one of them.
    pub fn accepts(&self, value: &str) -> bool {
        match *self {
            Kind::Integer(min, max) => value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::IntegerOr(min, max, other) => {
                value.parse().is_ok_and(|n| (min..=max).contains(&n) || n == other)
            }
            Kind::Decimal(min, max) => value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::Boolean => parse_boolean(value).is_some(),
            Kind::Text | Kind::List | Kind::Secret | Kind::Class => true,
            Kind::NonEmptyText => !value.is_empty(),
            Kind::OneOf(values) => values.contains(&value),
            Kind::OneOfIgnoringCase(values) => values.iter().any(|other| other.eq_ignore_ascii_case(value)),
            Kind::Addresses => accepts_addresses(value),
            Kind::Url => accepts_url(value),
            Kind::OffsetReset => value.parse::<OffsetReset>().is_ok(),
            Kind::Partitioner => value.parse::<Partitioning>().is_ok(),
            Kind::Assignors => {
                let mut names = list(value).peekable();
                names.peek().is_some() && names.all(|name| Assignor::find(name).is_some())
            }
            Kind::Jaas => value.parse::<JaasConfig>().is_ok(),
        }
    }
}

/// What has an `@` is a URL with a user in it.
fn accepts_addresses(value: &str) -> bool {
    let Ok(mut addresses) = Address::parse_list(value) else { return false };
    let count = addresses.len();
    addresses.sort();
    addresses.dedup();
    addresses.len() == count && !value.contains('@')
}

fn accepts_url(value: &str) -> bool {
    value.split_once("://").is_some_and(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        matches!(scheme, "http" | "https" | "file") && !authority.contains('@')
    })
}

/// The entries of a comma-separated list, without blanks around them; empty ones are passed over.
pub(in crate::config) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Java's `true` and `false` in any case, and librdkafka's other words for them.
pub(in crate::config) fn parse_boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Integer(min, max) => write_range(f, "an integer", min, max),
            Kind::IntegerOr(min, max, other) => {
                write_range(f, "an integer", min, max)?;
                write!(f, ", or {other}")
            }
            Kind::Decimal(min, max) if max >= LONG_MAX as f64 => write!(f, "a number of at least {min}"),
            Kind::Decimal(min, max) => write!(f, "a number from {min} to {max}"),
            Kind::Boolean => f.write_str("true or false"),
            Kind::Text => f.write_str("text"),
            Kind::NonEmptyText => f.write_str("text that is not empty"),
            Kind::List => f.write_str("a list separated by commas"),
            Kind::OneOf(values) | Kind::OneOfIgnoringCase(values) => match values.split_last() {
                Some((last, [])) => f.write_str(last),
                Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
                None => f.write_str("nothing"),
            },
            Kind::Addresses => {
                f.write_str("a list of different addresses host:port, separated by commas,")
            }
            Kind::Url => f.write_str("a URL http:, https: or file:, without user and password in it,"),
            Kind::OffsetReset => {
                f.write_str("earliest, latest, none or by_duration:PnDTnHnMnS (such as by_duration:PT6H)")
            }
            Kind::Partitioner => f.write_str(
                "murmur2_random, murmur2, consistent_random, consistent, fnv1a_random, fnv1a, md5_random, md5, \
                 random or round_robin (a partitioner of your own is given in code)",
            ),
            Kind::Assignors => f.write_str(
                "a list of range, roundrobin, sticky and cooperative-sticky (an assignor of your own is given in code)",
            ),
            Kind::Secret => f.write_str("a secret"),
            Kind::Jaas => f.write_str("an entry `LoginModule required option=\"value\" ...;`"),
            Kind::Class => f.write_str("the name of a Java class"),
        }
    }
}

fn write_range(f: &mut fmt::Formatter<'_>, what: &str, min: i64, max: i64) -> fmt::Result {
    match (min, max) {
        (i64::MIN, LONG_MAX) => f.write_str(what),
        (_, INT_MAX | LONG_MAX) if min > i64::from(i32::MIN) => write!(f, "{what} of at least {min}"),
        _ => write!(f, "{what} from {min} to {max}"),
    }
}
