use std::error::Error;
use std::fmt;

use super::Origin;

/// What is wrong with a configuration. No variant holds the value of a property that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// Text that is not `key=value`.
    #[error("{origin}: {problem}")]
    Malformed {
        /// Where.
        origin: Origin,
        /// What is wrong; not the text, for it may hold a secret.
        problem: String,
    },
    /// A name that is no property.
    #[error("{origin}: unknown property `{key}`{}", meant(*.nearest))]
    UnknownKey {
        /// The name.
        key: String,
        /// Where.
        origin: Origin,
        /// The valid name that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A value that the property cannot have.
    #[error("{} {}, but {accepted} is required", placed(.key, .origin), shown(.value.as_deref()))]
    InvalidValue {
        /// The property, as it was spelled.
        key: String,
        /// Where.
        origin: Origin,
        /// The value; `None` if it may be secret.
        value: Option<String>,
        /// What the property can be.
        accepted: String,
    },
    /// One property under two names, with different values.
    #[error(
        "{} and {} are one property, but have different values; keep one of them",
        one_of_two(.first, .first_origin),
        one_of_two(.second, .second_origin)
    )]
    TwoNames {
        /// One name.
        first: String,
        /// Where.
        first_origin: Origin,
        /// The other.
        second: String,
        /// Where.
        second_origin: Origin,
    },
    /// A property of another client that has no meaning here, and whose absence matters.
    #[error("{} is not supported: {instead}", placed(.key, .origin))]
    Unsupported {
        /// The property, as it was spelled.
        key: String,
        /// Where.
        origin: Origin,
        /// Why, and what to use instead.
        instead: &'static str,
    },
    /// Properties that contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Who wrote `--bootstrap` knows it by that name.
fn placed(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Flag(name) => name.clone(),
        origin => format!("{origin}: `{key}`"),
    }
}

fn one_of_two(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Flag(name) => name.clone(),
        Origin::Option => format!("-X {key}"),
        origin => format!("`{key}` ({origin})"),
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "has a value that is not shown".to_owned(), |value| format!("is `{value}`"))
}

fn meant(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Everything that is wrong with a configuration: at least one error.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` without errors.
    pub(super) fn check(errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// One error a line.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl Error for ConfigErrors {}

/// Something in a configuration that has no effect, or another one than it seems.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The property, as it was spelled.
    pub key: String,
    /// What about it.
    pub message: String,
}

impl ConfigWarning {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.message)
    }
}
