use std::str::FromStr;
use std::time::Duration;

use super::catalog::{self, Role};
use super::{ClientProperties, Secret};

/// Reads checked properties as values of Rust, defaults included.
///
/// The names asked for are literals of this crate and the values were checked against the catalog, so
/// reading cannot fail; a test reads everything with all defaults.
#[derive(Clone, Copy)]
pub(super) struct Reader<'p> {
    properties: &'p ClientProperties,
    role: Role,
}

impl<'p> Reader<'p> {
    pub(super) fn new(properties: &'p ClientProperties, role: Role) -> Self {
        Self { properties, role }
    }

    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.properties.given(name).is_some()
    }

    /// The value or the default; `None` is Kafka's null.
    fn value(&self, name: &'static str) -> Option<&'p str> {
        let default = catalog::definition(name).default_for(self.role);
        self.properties.given(name).map(Secret::expose).or(default)
    }

    pub(super) fn required(&self, name: &'static str) -> &'p str {
        self.value(name).expect("the catalog has a default for what is read as required")
    }

    /// A value of any type that reads it from text.
    pub(super) fn parsed<T: FromStr>(&self, name: &'static str) -> T {
        let parsed = self.required(name).parse().ok();
        parsed.expect("the catalog accepted the value, and its kind is that of this type")
    }

    pub(super) fn parsed_if_set<T: FromStr>(&self, name: &'static str) -> Option<T> {
        let value = self.value(name)?.parse().ok();
        Some(value.expect("the catalog accepted the value, and its kind is that of this type"))
    }

    pub(super) fn flag(&self, name: &'static str) -> bool {
        catalog::parse_boolean(self.required(name)).expect("the catalog accepted the boolean")
    }

    pub(super) fn millis(&self, name: &'static str) -> Duration {
        Duration::from_millis(self.parsed(name))
    }

    pub(super) fn millis_if_set(&self, name: &'static str) -> Option<Duration> {
        self.parsed_if_set(name).map(Duration::from_millis)
    }

    pub(super) fn seconds(&self, name: &'static str) -> Duration {
        Duration::from_secs(self.parsed(name))
    }

    /// Milliseconds with a fraction.
    pub(super) fn fractional_millis(&self, name: &'static str) -> Duration {
        Duration::from_secs_f64(self.parsed::<f64>(name) / 1e3)
    }

    /// Text; the empty one counts as unset.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.value(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn secret(&self, name: &'static str) -> Option<Secret> {
        self.properties.given(name).cloned()
    }

    pub(super) fn list(&self, name: &'static str) -> impl Iterator<Item = &'p str> + use<'p> {
        catalog::list(self.value(name).unwrap_or_default())
    }

    /// Bytes, where a negative number leaves it to the operating system.
    pub(super) fn bytes_or_systems(&self, name: &'static str) -> Option<usize> {
        usize::try_from(self.parsed::<i64>(name)).ok()
    }
}
