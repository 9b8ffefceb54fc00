use std::collections::BTreeMap;
use std::fmt;

use super::catalog::{self, Alias, Definition, Effect, Kind};
use super::properties::Property;
use super::{ConfigError, ConfigErrors, ConfigWarning, Origin, Properties, Secret};

/// Properties whose names and values are valid, one by one.
///
/// Whether they go together is checked where they are used: [`producer`](Self::producer),
/// [`consumer`](Self::consumer), [`admin`](Self::admin), [`common`](Self::common). So one file may serve
/// several clients.
#[derive(Clone)]
pub struct ClientProperties {
    /// By canonical name.
    values: BTreeMap<&'static str, Given>,
    warnings: Vec<ConfigWarning>,
}

/// A property that was given.
#[derive(Clone)]
struct Given {
    /// The value of the canonical property, without blanks around it unless it is secret.
    value: Secret,
    /// The name that was used.
    key: String,
    origin: Origin,
}

impl Given {
    /// Whether `other` was given in the same way.
    fn is_repeated_by(&self, other: &Self) -> bool {
        let is_flag = |given: &Self| matches!(given.origin, Origin::Flag(_));
        self.key == other.key && is_flag(self) == is_flag(other)
    }
}

impl Properties {
    /// Checks every name and value, and lets later layers override earlier ones.
    ///
    /// # Errors
    /// Everything that is wrong, with the place and what to write instead.
    pub fn resolve(&self) -> Result<ClientProperties, ConfigErrors> {
        let mut resolved = ClientProperties { values: BTreeMap::new(), warnings: Vec::new() };
        let mut errors = Vec::new();
        for layer in self.layers() {
            resolved.add_layer(layer, &mut errors);
        }
        ConfigErrors::check(errors)?;
        Ok(resolved)
    }
}

impl ClientProperties {
    fn add_layer(&mut self, layer: &[Property], errors: &mut Vec<ConfigError>) {
        let mut given = BTreeMap::<&'static str, Given>::new();
        for property in layer {
            match check(property, &mut self.warnings) {
                Ok(Some((name, new))) => match given.get(name) {
                    // The same name twice: the last one counts, as in Java.
                    Some(old) if old.value != new.value && !old.is_repeated_by(&new) => {
                        errors.push(two_names(old, &new));
                    }
                    _ => {
                        given.insert(name, new);
                    }
                },
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        self.values.extend(given);
    }

    /// What was said, but has no effect, or another one than it seems.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// Whether a property was given, by its canonical name or an alias.
    pub fn is_set(&self, name: &str) -> bool {
        let canonical = catalog::find(name).map_or(name, |(definition, _)| definition.name);
        self.values.contains_key(canonical)
    }

    /// What was given for TLS and SASL beside the protocol, as it was spelled.
    pub(crate) fn security_keys(&self) -> impl Iterator<Item = &str> {
        let is_security = |name: &str| name.starts_with("ssl.") || name.starts_with("sasl.");
        self.values.iter().filter(move |(name, _)| is_security(name)).map(|(_, given)| given.key.as_str())
    }

    /// The value of a property that was given, by its canonical name.
    pub(super) fn given(&self, name: &str) -> Option<&Secret> {
        self.values.get(name).map(|given| &given.value)
    }
}

/// The canonical name and value of a property, or `None` if it has no effect.
fn check(
    property: &Property,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Option<(&'static str, Given)>, ConfigError> {
    let Property { key, value, origin } = property;
    let Some((definition, alias)) = catalog::find(key) else {
        return check_prefix(property, warnings);
    };
    let value = canonical_value(definition, alias, value);
    if !definition.kind.accepts(&value) {
        return Err(invalid_value(property, definition));
    }
    let unsupported =
        |instead| ConfigError::Unsupported { key: key.clone(), origin: origin.clone(), instead };
    match definition.effect {
        Effect::Ignored(why) => {
            warnings.push(ConfigWarning::new(key, why));
            return Ok(None);
        }
        Effect::Unsupported(instead) => return Err(unsupported(instead)),
        Effect::Only(only, instead) if !same_value(definition.kind, &value, only) => {
            return Err(unsupported(instead));
        }
        Effect::Only(..) | Effect::Applies => {}
    }
    let given = Given { value: Secret::new(value), key: key.clone(), origin: origin.clone() };
    Ok(Some((definition.name, given)))
}

fn canonical_value(definition: &Definition, alias: Option<&Alias>, value: &Secret) -> String {
    if definition.is_secret() {
        return value.expose().to_owned();
    }
    let value = value.expose().trim();
    alias.map_or_else(|| value.to_owned(), |alias| alias.convert(value))
}

fn same_value(kind: Kind, a: &str, b: &str) -> bool {
    match kind {
        Kind::Boolean => catalog::parse_boolean(a) == catalog::parse_boolean(b),
        _ => a == b,
    }
}

/// Names that are free after a prefix.
fn check_prefix(
    property: &Property,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Option<(&'static str, Given)>, ConfigError> {
    let Property { key, origin, .. } = property;
    if key.starts_with("metrics.context.") {
        warnings.push(ConfigWarning::new(key, "has no effect: metrics have no context beside their tags"));
        return Ok(None);
    }
    if key.starts_with("config.providers.") {
        let instead = "values are not fetched from elsewhere: put them into the file, or add them in code";
        return Err(ConfigError::Unsupported { key: key.clone(), origin: origin.clone(), instead });
    }
    let nearest = super::suggest::nearest(key);
    Err(ConfigError::UnknownKey { key: key.clone(), origin: origin.clone(), nearest })
}

fn invalid_value(property: &Property, definition: &Definition) -> ConfigError {
    let value = property.value.expose().trim();
    ConfigError::InvalidValue {
        key: property.key.clone(),
        origin: property.origin.clone(),
        value: definition.may_show(value).then(|| value.to_owned()),
        accepted: definition.kind.to_string(),
    }
}

fn two_names(first: &Given, second: &Given) -> ConfigError {
    ConfigError::TwoNames {
        first: first.key.clone(),
        first_origin: first.origin.clone(),
        second: second.key.clone(),
        second_origin: second.origin.clone(),
    }
}

/// Values show only where the property is not secret.
impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, given) in &self.values {
            match given.value.expose() {
                value if catalog::definition(name).may_show(value) => map.entry(name, &value),
                _ => map.entry(name, &given.value),
            };
        }
        map.finish()
    }
}
