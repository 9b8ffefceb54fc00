use std::fmt;
use std::fs;
use std::path::Path;

use super::{ConfigError, Secret, catalog, java_properties};

/// Properties as text, in layers: what comes later overrides what came before.
///
/// ```
/// use milena::config::Properties;
///
/// let mut properties = Properties::new();
/// properties.add_text("client.properties", "bootstrap.servers=kafka:9092\nlinger.ms=20\n")?;
/// properties.add_options(["queue.buffering.max.ms=5"])?; // librdkafka's name for linger.ms: overrides the file
/// let client = properties.resolve()?;
/// assert_eq!(client.producer()?.linger.as_millis(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Properties {
    layers: Vec<Vec<Property>>,
}

/// One property, as it was given.
#[derive(Clone)]
pub(super) struct Property {
    pub(super) key: String,
    /// Whatever it is: before the key is known to be harmless, the value is not shown.
    pub(super) value: Secret,
    pub(super) origin: Origin,
}

/// Where a property was given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In a file.
    File {
        /// Its name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// As an option `key=value`, after `-X`.
    Option,
    /// As an option of the command line that has a name of its own; the name, such as `--bootstrap`.
    Flag(String),
    /// By the program.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Option => f.write_str("-X"),
            Origin::Flag(name) => f.write_str(name),
            Origin::Code => f.write_str("code"),
        }
    }
}

impl Properties {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer from a Java properties file. Text that is not UTF-8 is taken as Latin-1, as Java does.
    ///
    /// # Errors
    /// When the file cannot be read, or has a malformed escape.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), ConfigError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| ConfigError::Unreadable {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect());
        self.add_text(&path.display().to_string(), &text)
    }

    /// Adds a layer from text in the format of a Java properties file; `name` is for error messages.
    ///
    /// # Errors
    /// When it has a malformed escape.
    pub fn add_text(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let origin = |line| Origin::File { name: name.to_owned(), line };
        let lines = java_properties::parse(text).map_err(|malformed| ConfigError::Malformed {
            origin: origin(malformed.line),
            problem: malformed.problem.to_owned(),
        })?;
        let property = |line: java_properties::Line| Property {
            key: line.key,
            value: Secret::new(line.value),
            origin: origin(line.number),
        };
        self.layers.push(lines.into_iter().map(property).collect());
        Ok(())
    }

    /// Adds a layer from options `key=value`, taken literally: without escapes or comments.
    ///
    /// # Errors
    /// When one has no `=`.
    pub fn add_options<O: AsRef<str>>(
        &mut self,
        options: impl IntoIterator<Item = O>,
    ) -> Result<(), ConfigError> {
        let layer = options.into_iter().map(|option| {
            let (key, value) = option.as_ref().split_once('=').ok_or_else(|| no_equals(option.as_ref()))?;
            Ok(Property { key: key.trim().to_owned(), value: Secret::new(value), origin: Origin::Option })
        });
        self.layers.push(layer.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Adds what a command line has options of their own for: the option's name, the property, its value.
    ///
    /// They join the options before them ([`add_options`](Self::add_options)): when both give a property, with different values,
    /// neither wins, and [`resolve`](Self::resolve) says so.
    pub fn add_flags<'a>(&mut self, flags: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) {
        let flags = flags.into_iter().map(|(flag, key, value)| Property {
            key: key.to_owned(),
            value: Secret::new(value),
            origin: Origin::Flag(flag.to_owned()),
        });
        let is_of_options =
            |layer: &&mut Vec<Property>| layer.iter().all(|property| property.origin == Origin::Option);
        match self.layers.last_mut().filter(is_of_options) {
            Some(options) => options.extend(flags),
            None => self.layers.push(flags.collect()),
        }
    }

    /// Sets one property, in a layer of its own.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let property = Property { key: key.into(), value: Secret::new(value.into()), origin: Origin::Code };
        self.layers.push(vec![property]);
    }

    pub(super) fn layers(&self) -> &[Vec<Property>] {
        &self.layers
    }
}

/// Only the name of a property is safe to repeat.
fn no_equals(option: &str) -> ConfigError {
    let known = catalog::names().find(|name| *name == option.trim());
    let problem = match known {
        Some(name) => format!("`{name}` has no value; write {name}=VALUE"),
        None => "an option without `=`; write KEY=VALUE".to_owned(),
    };
    ConfigError::Malformed { origin: Origin::Option, problem }
}

/// All in one layer.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(properties: I) -> Self {
        let property = |(key, value): (K, V)| Property {
            key: key.into(),
            value: Secret::new(value.into()),
            origin: Origin::Code,
        };
        Self { layers: vec![properties.into_iter().map(property).collect()] }
    }
}

/// Values show only where the property is known not to be secret.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for Property { key, value, .. } in self.layers.iter().flatten() {
            match catalog::find(key) {
                Some((definition, _)) if definition.may_show(value.expose()) => {
                    map.entry(key, &value.expose())
                }
                _ => map.entry(key, value),
            };
        }
        map.finish()
    }
}
