//! The `read` function of a struct: one expression per field, in the order of the definition.

use std::fmt::Write;

use super::encode::method;
use super::naming;
use super::spec::{Condition, Field, Shape, Struct, Type};
use super::structs::{default_value, is_option};

pub(crate) fn function(item: &Struct, is_flexible: bool) -> String {
    let tagged = item.tagged_fields();
    let mut fields = String::new();
    for field in &item.fields {
        let value =
            if field.tag.is_some() { default_value(field, item.versions) } else { untagged(item, field) };
        let _ = writeln!(fields, "{}: {value},", naming::snake(&field.name));
    }
    let body = match (tagged.as_slice(), is_flexible) {
        (_, false) => format!("Ok(Self {{\n{fields}}})\n"),
        ([], true) => {
            format!("Ok(Self {{\n{fields}unknown_tagged_fields: input.unknown_tagged_fields()?,\n}})\n")
        }
        (tagged, true) => {
            let read = tagged_fields(item, tagged);
            format!(
                "let mut this = Self {{\n{fields}unknown_tagged_fields: Vec::new(),\n}};\n{read}Ok(this)\n"
            )
        }
    };
    let version = if item.depends_on_version() { "version" } else { "_version" };
    format!("fn read(input: &mut Decoder, {version}: i16) -> Result<Self, DecodeError> {{\n{body}}}\n")
}

fn untagged(item: &Struct, field: &Field) -> String {
    let read = read_expression(item, field);
    match field.versions.condition(item.versions) {
        Condition::Always => read,
        Condition::When(present, _) => {
            format!("if {present} {{ {read} }} else {{ {} }}", default_value(field, item.versions))
        }
        Condition::Never => default_value(field, item.versions),
    }
}

fn tagged_fields(item: &Struct, tagged: &[&Field]) -> String {
    let mut arms = String::new();
    for field in tagged {
        let (tag, name) = (field.tag.unwrap_or_default(), naming::snake(&field.name));
        let guard = match field.versions.condition(item.versions) {
            Condition::When(present, _) => format!(" if {present}"),
            _ => String::new(),
        };
        let _ = writeln!(arms, "{tag}{guard} => this.{name} = {},", read_expression(item, field));
    }
    let is_elsewhere = |field: &&&Field| field.versions.condition(item.versions) != Condition::Always;
    let elsewhere: Vec<u32> = tagged.iter().filter(is_elsewhere).filter_map(|field| field.tag).collect();
    if let (Some(first), Some(last)) = (elsewhere.first(), elsewhere.last()) {
        let is_range = elsewhere.len() > 2 && (last - first) as usize == elsewhere.len() - 1;
        let listed = || elsewhere.iter().map(u32::to_string).collect::<Vec<_>>().join(" | ");
        let pattern = if is_range { format!("{first}..={last}") } else { listed() };
        let _ = writeln!(arms, "{pattern} => return Err(input.tag_of_other_version(tag)),");
    }
    format!(
        "let mut tags = input.tagged_fields()?;\n\
         while let Some(tag) = tags.next(input)? {{\nmatch tag {{\n{arms}\
         _ => this.unknown_tagged_fields.push(input.unknown_tagged_field(tag)),\n}}\n}}\n"
    )
}

fn read_expression(item: &Struct, field: &Field) -> String {
    let present = field.versions.within(item.versions);
    if !is_option(field, item.versions) {
        return plain(field);
    }
    let nullable = nullable(field);
    match field.nullable.condition(present) {
        Condition::When(is_nullable, _) => {
            format!("if {is_nullable} {{ {nullable} }} else {{ Some({}) }}", plain(field))
        }
        _ => nullable,
    }
}

fn plain(field: &Field) -> String {
    let name = naming::snake(&field.name);
    match &field.shape {
        Shape::Array(_) => format!("input.array(\"{name}\", version)?"),
        Shape::Single(Type::Struct(structure)) => format!("{structure}::read(input, version)?"),
        Shape::Single(single) => format!("input.{}(\"{name}\")?", method(single).0),
    }
}

fn nullable(field: &Field) -> String {
    let name = naming::snake(&field.name);
    match &field.shape {
        Shape::Array(_) => format!("input.nullable_array(\"{name}\", version)?"),
        Shape::Single(Type::Struct(_)) => format!("input.nullable_struct(\"{name}\", version)?"),
        Shape::Single(single) => format!("input.nullable_{}(\"{name}\")?", method(single).0),
    }
}
