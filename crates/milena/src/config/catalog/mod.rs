//! Every property that is known: Kafka's (4.3.1), librdkafka's (2.15), and what each can be.

mod definition;
mod kafka;
mod kind;
mod librdkafka;

pub use definition::{Clients, Definition, Effect, Importance, Role};
pub use kind::Kind;
pub(super) use kind::{list, parse_boolean};
pub(super) use librdkafka::Alias;

/// All properties with a meaning of their own; aliases are not among them.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    kafka::DEFINITIONS.iter().chain(librdkafka::DEFINITIONS)
}

/// All names that a property can be given under, aliases included.
pub fn names() -> impl Iterator<Item = &'static str> {
    let aliases = librdkafka::ALIASES.iter().map(|alias| alias.name);
    definitions().map(|definition| definition.name).chain(aliases)
}

/// The definition of a name, and the alias if it is one.
pub(super) fn find(name: &str) -> Option<(&'static Definition, Option<&'static Alias>)> {
    if let Some(alias) = librdkafka::ALIASES.iter().find(|alias| alias.name == name) {
        return Some((definition(alias.canonical), Some(alias)));
    }
    definitions().find(|definition| definition.name == name).map(|definition| (definition, None))
}

/// The definition of a canonical name.
pub(super) fn definition(name: &str) -> &'static Definition {
    definitions()
        .find(|definition| definition.name == name)
        .expect("names in this crate are in the catalog; a test reads each of them")
}
