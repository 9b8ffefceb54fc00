//! One file per message: its structs, their defaults, and their codecs (see [`encode`] and [`decode`]).

use std::fmt::Write;

use super::spec::{Default, Field, Kind, Message, Shape, Struct, Type, Versions};
use super::{decode, encode, header, naming};

/// Fields that `Debug` does not print: passwords, tokens, and values of settings that may hold either.
const SECRETS: [(&str, &str); 11] = [
    ("SaslAuthenticateRequest", "AuthBytes"),
    ("SaslAuthenticateResponse", "AuthBytes"),
    ("CreateDelegationTokenResponse", "Hmac"),
    ("RenewDelegationTokenRequest", "Hmac"),
    ("ExpireDelegationTokenRequest", "Hmac"),
    ("DescribedDelegationToken", "Hmac"),
    ("ScramCredentialUpsertion", "Salt"),
    ("ScramCredentialUpsertion", "SaltedPassword"),
    ("AlterableConfig", "Value"),
    ("DescribeConfigsResourceResult", "Value"),
    ("DescribeConfigsSynonym", "Value"),
];

/// The file of a message.
pub(crate) fn file(message: &Message) -> String {
    let mut out = header();
    let _ = writeln!(out, "//! `{}`{}, {}.\n", message.name, key_of(message), versions_of(message));
    out.push_str("use crate::codec::*;\n\n");
    for (position, item) in message.structs.iter().enumerate() {
        let is_flexible = !message.flexible.within(item.versions).is_empty();
        definition(&mut out, message, item, position == 0, is_flexible);
        default(&mut out, item, is_flexible);
        debug(&mut out, item, is_flexible);
        let _ = writeln!(out, "impl Wire for {} {{", item.name);
        out.push_str(&encode::function(item, is_flexible));
        out.push('\n');
        out.push_str(&decode::function(item, is_flexible));
        out.push_str("}\n\n");
    }
    traits(&mut out, message);
    out
}

/// `mod.rs`: all messages, each module public for the structs inside its message.
pub(crate) fn index(messages: &[Message]) -> String {
    let mut out = header();
    out.push_str("//! Kafka's messages, one module for each, with Kafka's names.\n\n");
    for message in messages {
        let _ = writeln!(out, "pub mod {};", naming::snake(&message.name));
    }
    out.push_str("\npub(crate) mod api_key;\n\n");
    for message in messages {
        let _ = writeln!(out, "pub use {}::{};", naming::snake(&message.name), message.name);
    }
    out
}

fn key_of(message: &Message) -> String {
    message.api_key.map(|key| format!(", API key {key}")).unwrap_or_default()
}

fn versions_of(message: &Message) -> String {
    let flexible = match message.flexible_since() {
        Some(first) if first == message.valid.first => " (all flexible)".to_owned(),
        Some(first) => format!(" (flexible from {first})"),
        None => String::new(),
    };
    format!("versions {}{flexible}", message.valid)
}

fn definition(out: &mut String, message: &Message, item: &Struct, is_message: bool, is_flexible: bool) {
    let place = if is_message { versions_of(message) } else { format!("part of [`{}`]", message.name) };
    let _ = writeln!(
        out,
        "/// `{}`{}, {place}.",
        item.name,
        if is_message { key_of(message) } else { String::new() }
    );
    let mut derives = vec!["Clone", "PartialEq"];
    if !has_secrets(item) {
        derives.push("Debug");
    }
    if item.fields.iter().all(|field| has_derived_default(field, item.versions)) {
        derives.push("Default");
    }
    derives.sort_unstable();
    let _ = writeln!(out, "#[derive({})]\npub struct {} {{", derives.join(", "), item.name);
    for field in &item.fields {
        let _ = writeln!(out, "{}", documentation(field));
        let _ = writeln!(out, "pub {}: {},", naming::snake(&field.name), rust_type(field, item.versions));
    }
    if is_flexible {
        out.push_str("/// Tagged fields that this version of the definitions does not know.\n");
        out.push_str("pub unknown_tagged_fields: Vec<UnknownTaggedField>,\n");
    }
    out.push_str("}\n\n");
}

fn documentation(field: &Field) -> String {
    let mut facts = vec![format!("/// `{}`, versions {}", field.name, field.versions)];
    if let Some(tag) = field.tag {
        facts.push(format!("tag {tag}"));
    }
    if field.nullable == field.versions {
        facts.push("nullable".into());
    } else if !field.nullable.is_empty() {
        facts.push(format!("nullable in {}", field.nullable));
    }
    match field.default {
        Default::Zero => {}
        Default::Null => facts.push("default null".into()),
        Default::True => facts.push("default true".into()),
        Default::Number(number) => facts.push(format!("default {number}")),
    }
    if field.ignorable {
        facts.push("ignorable".into());
    }
    facts.join(", ") + "."
}

/// Whether the field is an `Option`: it may be null in some version in which the struct occurs.
pub(crate) fn is_option(field: &Field, versions: Versions) -> bool {
    !field.nullable.within(versions).is_empty()
}

fn rust_type(field: &Field, versions: Versions) -> String {
    let element = element_type(field.element());
    let plain = match field.shape {
        Shape::Single(_) => element.to_owned(),
        Shape::Array(_) => format!("Vec<{element}>"),
    };
    if is_option(field, versions) { format!("Option<{plain}>") } else { plain }
}

fn element_type(element: &Type) -> &str {
    match element {
        Type::Bool => "bool",
        Type::I8 => "i8",
        Type::I16 => "i16",
        Type::U16 => "u16",
        Type::I32 => "i32",
        Type::U32 => "u32",
        Type::I64 => "i64",
        Type::F64 => "f64",
        Type::ErrorCode => "ErrorCode",
        Type::Uuid => "Uuid",
        Type::String => "ByteStr",
        Type::Bytes => "Bytes",
        Type::Records => "Records",
        Type::Struct(name) => name,
    }
}

/// The default that Kafka declares.
pub(crate) fn default_value(field: &Field, versions: Versions) -> String {
    let is_records = field.shape == Shape::Single(Type::Records);
    let zero = match &field.shape {
        Shape::Array(_) => "Vec::new()".to_owned(),
        Shape::Single(single) => match (single, &field.default) {
            (_, Default::Number(number)) => number.to_string(),
            (Type::Bool, default) => (*default == Default::True).to_string(),
            (Type::F64, _) => "0.0".to_owned(),
            (Type::ErrorCode, _) => "ErrorCode::None".to_owned(),
            (Type::Uuid, _) => "Uuid::ZERO".to_owned(),
            (Type::String, _) => "ByteStr::new()".to_owned(),
            (Type::Bytes, _) => "Bytes::new()".to_owned(),
            (Type::Records | Type::Struct(_), _) => format!("{}::default()", element_type(single)),
            _ => "0".to_owned(),
        },
    };
    match is_option(field, versions) {
        true if is_records || field.default == Default::Null => "None".to_owned(),
        true => format!("Some({zero})"),
        false => zero,
    }
}

/// Whether `#[derive(Default)]` gives what Kafka declares.
fn has_derived_default(field: &Field, versions: Versions) -> bool {
    let is_null = field.default == Default::Null || field.shape == Shape::Single(Type::Records);
    if is_option(field, versions) { is_null } else { field.default == Default::Zero || is_null }
}

fn default(out: &mut String, item: &Struct, is_flexible: bool) {
    if item.fields.iter().all(|field| has_derived_default(field, item.versions)) {
        return;
    }
    let _ = writeln!(out, "impl Default for {} {{\nfn default() -> Self {{\nSelf {{", item.name);
    for field in &item.fields {
        let _ = writeln!(out, "{}: {},", naming::snake(&field.name), default_value(field, item.versions));
    }
    if is_flexible {
        out.push_str("unknown_tagged_fields: Vec::new(),\n");
    }
    out.push_str("}\n}\n}\n\n");
}

fn is_secret(item: &Struct, field: &Field) -> bool {
    SECRETS.contains(&(item.name.as_str(), field.name.as_str()))
}

/// Fails when a field in [`SECRETS`] is not there: it would be printed under its new name.
pub(crate) fn check_secrets(messages: &[Message]) -> Result<(), String> {
    let structs = || messages.iter().flat_map(|message| &message.structs);
    for (structure, name) in SECRETS {
        let is_there =
            |item: &Struct| item.name == structure && item.fields.iter().any(|field| field.name == name);
        if !structs().any(is_there) {
            return Err(format!("no field {name} in {structure}, which was to be kept secret"));
        }
    }
    Ok(())
}

fn has_secrets(item: &Struct) -> bool {
    item.fields.iter().any(|field| is_secret(item, field))
}

fn debug(out: &mut String, item: &Struct, is_flexible: bool) {
    if !has_secrets(item) {
        return;
    }
    let _ = writeln!(out, "impl fmt::Debug for {} {{", item.name);
    let _ = writeln!(out, "fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{");
    let _ = writeln!(out, "f.debug_struct(\"{}\")", item.name);
    for field in &item.fields {
        let name = naming::snake(&field.name);
        let value = if is_secret(item, field) { "Redacted".to_owned() } else { format!("self.{name}") };
        let _ = writeln!(out, ".field(\"{name}\", &{value})");
    }
    if is_flexible {
        out.push_str(".field(\"unknown_tagged_fields\", &self.unknown_tagged_fields)\n");
    }
    out.push_str(".finish()\n}\n}\n\n");
}

fn traits(out: &mut String, message: &Message) {
    let Message { name, valid, .. } = message;
    let _ = writeln!(out, "impl Message for {name} {{");
    let _ = writeln!(out, "const NAME: &'static str = \"{name}\";");
    let _ = writeln!(
        out,
        "const VERSIONS: VersionRange = VersionRange {{ min: {}, max: {} }};",
        valid.first, valid.last
    );
    let _ = writeln!(out, "const FLEXIBLE_SINCE: Option<i16> = {:?};\n}}", message.flexible_since());
    if message.kind == Kind::Request {
        let base = name.trim_end_matches("Request");
        let _ = writeln!(out, "\nimpl Request for {name} {{");
        let _ = writeln!(out, "const KEY: ApiKey = ApiKey::{base};");
        let _ = writeln!(out, "type Response = super::{base}Response;\n}}");
    }
}
