//! The `write` function of a struct: one statement per field, in the order of the definition.

use std::fmt::Write;

use super::naming;
use super::spec::{Condition, Default, Field, Shape, Struct, Type};
use super::structs::{default_value, is_option};

pub(crate) fn function(item: &Struct, is_flexible: bool) -> String {
    let mut body = String::new();
    // Neighbours under the same condition share its block.
    let mut block: Option<(String, String)> = None;
    for field in &item.fields {
        let Some((condition, statement)) = only_where_present(item, field) else {
            close(&mut body, block.take());
            match field.tag {
                None => untagged(&mut body, item, field),
                Some(_) => refuse_where_absent(&mut body, item, field),
            }
            continue;
        };
        match &mut block {
            Some((open, statements)) if *open == condition => statements.push_str(&statement),
            _ => close(&mut body, block.replace((condition, statement))),
        }
    }
    close(&mut body, block);
    body.push_str(&if is_flexible { tagged_fields(item) } else { "Ok(())\n".to_owned() });
    let version = if item.depends_on_version() { "version" } else { "_version" };
    format!("fn write(&self, out: &mut Encoder, {version}: i16) -> Result<(), EncodeError> {{\n{body}}}\n")
}

fn close(body: &mut String, block: Option<(String, String)>) {
    if let Some((condition, statements)) = block {
        let _ = writeln!(body, "if {condition} {{\n{statements}}}");
    }
}

/// The condition and the statement of a field that versions without it leave out silently.
fn only_where_present(item: &Struct, field: &Field) -> Option<(String, String)> {
    match field.versions.condition(item.versions) {
        Condition::When(present, _) if field.ignorable && field.tag.is_none() => {
            Some((present, write_statement(item, field)))
        }
        _ => None,
    }
}

fn untagged(body: &mut String, item: &Struct, field: &Field) {
    let statement = write_statement(item, field);
    match field.versions.condition(item.versions) {
        Condition::When(present, _) => {
            let _ = writeln!(body, "if {present} {{\n{statement}}} {}", refusal(item, field, "else if "));
        }
        _ => body.push_str(&statement),
    }
}

/// A tagged field is written behind the others, but a version that lacks it is refused as for any field.
fn refuse_where_absent(body: &mut String, item: &Struct, field: &Field) {
    if let (Condition::When(_, absent), false) = (field.versions.condition(item.versions), field.ignorable) {
        let _ = writeln!(body, "{}", refusal(item, field, &format!("if {absent} && ")));
    }
}

fn refusal(item: &Struct, field: &Field, condition: &str) -> String {
    let (name, is_set) = (naming::snake(&field.name), differs_from_default(item, field));
    format!("{condition}{is_set} {{\nreturn Err(out.absent(\"{name}\"));\n}}")
}

/// The end of the struct: in versions that are not flexible nothing is written, as the refusals above leave nothing.
fn tagged_fields(item: &Struct) -> String {
    let tagged = item.tagged_fields();
    if tagged.is_empty() {
        return "out.unknown_tagged_fields(&self.unknown_tagged_fields)\n".to_owned();
    }
    let mut body = String::from("let mut tags = out.tagged_fields(&self.unknown_tagged_fields)?;\n");
    for field in tagged {
        let mut condition = differs_from_default(item, field);
        if let Condition::When(present, _) = field.versions.condition(item.versions) {
            condition = format!("{present} && {condition}");
        }
        let statement = write_statement(item, field);
        let write = match statement.strip_suffix("?;\n") {
            Some(fallible) => fallible.to_owned(),
            None => format!("{{\n{statement}Ok(())\n}}"),
        };
        let tag = field.tag.unwrap_or_default();
        let _ = writeln!(body, "if {condition} {{\ntags.field({tag}, |out| {write})?;\n}}");
    }
    body + "tags.finish()\n"
}

fn write_statement(item: &Struct, field: &Field) -> String {
    let name = naming::snake(&field.name);
    if !is_option(field, item.versions) {
        return match &field.shape {
            Shape::Array(_) => format!("out.array(\"{name}\", &self.{name}, version)?;\n"),
            Shape::Single(Type::Struct(_)) => format!("self.{name}.write(out, version)?;\n"),
            Shape::Single(single) => match method(single) {
                (method, true) => format!("out.{method}(\"{name}\", &self.{name})?;\n"),
                (method, false) => format!("out.{method}(self.{name});\n"),
            },
        };
    }
    let write = match &field.shape {
        Shape::Array(_) => format!("out.nullable_array(\"{name}\", self.{name}.as_deref(), version)?;\n"),
        Shape::Single(Type::Struct(_)) => format!("out.nullable_struct(self.{name}.as_ref(), version)?;\n"),
        Shape::Single(Type::String) => format!("out.nullable_string(\"{name}\", self.{name}.as_deref())?;\n"),
        Shape::Single(single) => {
            format!("out.nullable_{}(\"{name}\", self.{name}.as_ref())?;\n", method(single).0)
        }
    };
    let present = field.versions.within(item.versions);
    match field.nullable.condition(present) {
        Condition::When(_, not_nullable) => {
            format!(
                "if {not_nullable} && self.{name}.is_none() {{\nreturn Err(out.null(\"{name}\"));\n}}\n{write}"
            )
        }
        _ => write,
    }
}

/// The method of Encoder and Decoder for a type, and whether its length is variable.
pub(crate) fn method(single: &Type) -> (&'static str, bool) {
    match single {
        Type::Bool => ("bool", false),
        Type::I8 => ("i8", false),
        Type::I16 => ("i16", false),
        Type::U16 => ("u16", false),
        Type::I32 => ("i32", false),
        Type::U32 => ("u32", false),
        Type::I64 => ("i64", false),
        Type::F64 => ("f64", false),
        Type::ErrorCode => ("error_code", false),
        Type::Uuid => ("uuid", false),
        Type::String => ("string", true),
        Type::Bytes => ("bytes", true),
        Type::Records => ("records", true),
        Type::Struct(_) => ("struct", true),
    }
}

fn differs_from_default(item: &Struct, field: &Field) -> String {
    let name = format!("self.{}", naming::snake(&field.name));
    let has_length =
        matches!(&field.shape, Shape::Array(_) | Shape::Single(Type::String | Type::Bytes | Type::Records));
    let default = default_value(field, item.versions);
    match (&field.shape, &field.default) {
        _ if default == "None" => format!("{name}.is_some()"),
        _ if has_length && default.starts_with("Some(") => {
            format!("{name}.as_ref().is_none_or(|it| !it.is_empty())")
        }
        _ if has_length => format!("!{name}.is_empty()"),
        (Shape::Single(Type::Bool), Default::True) => format!("!{name}"),
        (Shape::Single(Type::Bool), _) => name,
        _ => format!("{name} != {default}"),
    }
}
