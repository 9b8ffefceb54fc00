//! Test glue of milena-protocol: the fields of each struct under their names, and the messages of the oracle.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::spec::{Condition, Field, Message, Struct};
use super::structs::is_option;
use super::{header, naming};

/// What the kafka-protocol crate 0.18 does not have.
const NOT_IN_ORACLE: [&str; 5] = [
    "ControlRecordTypeSchema",
    "StreamsGroupDescribeRequest",
    "StreamsGroupDescribeResponse",
    "StreamsGroupHeartbeatRequest",
    "StreamsGroupHeartbeatResponse",
];

pub(crate) fn files(messages: &[Message]) -> BTreeMap<String, String> {
    BTreeMap::from([("fields.rs".to_owned(), fields(messages)), ("oracle.rs".to_owned(), oracle(messages))])
}

fn fields(messages: &[Message]) -> String {
    let mut out = header();
    out.push_str("use milena_protocol::messages::*;\n\nuse crate::reflect::{Entry, Fields, Reflect};\n\n");
    out.push_str("/// All messages.\npub(crate) const MESSAGES: &[Entry] = &[\n");
    for message in messages {
        let _ = writeln!(out, "Entry::of::<{}>(),", message.name);
    }
    out.push_str("];\n\n");
    for message in messages {
        let module = naming::snake(&message.name);
        for item in &message.structs {
            let _ = writeln!(out, "impl Reflect for {module}::{} {{", item.name);
            let version = if looks_at_version(message, item) { "version" } else { "_version" };
            let _ = writeln!(out, "fn visit(&mut self, fields: &mut dyn Fields, {version}: i16) {{");
            for field in &item.fields {
                out.push_str(&when(field.versions.condition(item.versions), &visit(item, field)));
            }
            let flexible = message.flexible.within(item.versions);
            let unknown = "fields.field(\"unknownTaggedFields\", &mut self.unknown_tagged_fields);\n";
            out.push_str(&when(flexible.condition(item.versions), unknown));
            out.push_str("}\n}\n\n");
        }
    }
    out
}

fn looks_at_version(message: &Message, item: &Struct) -> bool {
    let is_flexible = message.flexible.within(item.versions).condition(item.versions);
    let depends = |field: &Field| {
        let present = field.versions.within(item.versions);
        let nullable = field.nullable.within(present);
        present != item.versions || !nullable.is_empty() && nullable != present
    };
    matches!(is_flexible, Condition::When(..)) || item.fields.iter().any(depends)
}

fn visit(item: &Struct, field: &Field) -> String {
    let (name, member) = (naming::camel(&field.name), naming::snake(&field.name));
    if !is_option(field, item.versions) {
        return format!("fields.field(\"{name}\", &mut self.{member});\n");
    }
    let is_nullable = match field.nullable.condition(field.versions.within(item.versions)) {
        Condition::When(condition, _) => condition,
        condition => (condition == Condition::Always).to_string(),
    };
    format!("fields.nullable(\"{name}\", {is_nullable}, &mut self.{member});\n")
}

fn when(condition: Condition, statement: &str) -> String {
    match condition {
        Condition::Always => statement.to_owned(),
        Condition::Never => String::new(),
        Condition::When(condition, _) => format!("if {condition} {{\n{statement}}}\n"),
    }
}

fn oracle(messages: &[Message]) -> String {
    let mut out = header();
    out.push_str("use kafka_protocol::messages::*;\n\nuse crate::oracle::Oracle;\n\n");
    out.push_str("/// The messages that the oracle has.\npub(crate) const ORACLES: &[(&str, Oracle)] = &[\n");
    for message in messages.iter().filter(|message| !NOT_IN_ORACLE.contains(&message.name.as_str())) {
        let _ = writeln!(out, "(\"{0}\", Oracle::of::<{0}>()),", message.name);
    }
    out.push_str("];\n");
    out
}
