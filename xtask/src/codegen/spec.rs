//! Kafka's message definitions as data. Their format is told in `common/message/README.md` of Kafka's sources.

use std::fmt;

use serde_json::Value;

type Result<T> = std::result::Result<T, String>;

/// A closed range of versions; empty when `first > last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Request,
    Response,
    Data,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) api_key: Option<i16>,
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
    /// Whether the last version may still change (`latestVersionUnstable`).
    pub(crate) last_is_unstable: bool,
    pub(crate) on_broker_listener: bool,
    /// The message itself first, then the structs inside it, each once.
    pub(crate) structs: Vec<Struct>,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    /// The versions of the message in which this struct can occur.
    pub(crate) versions: Versions,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) ignorable: bool,
    pub(crate) default: Default,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Single(Type),
    Array(Type),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    ErrorCode,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
}

/// The value of a field that a version does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Default {
    /// Zero, false, or empty.
    Zero,
    Null,
    True,
    Number(i64),
}

impl Message {
    /// Reads a definition; `None` for headers and for messages without a valid version.
    pub(crate) fn parse(json: &Value) -> Result<Option<Message>> {
        let kind = match text(json, "type")? {
            "request" => Kind::Request,
            "response" => Kind::Response,
            "data" => Kind::Data,
            _ => return Ok(None),
        };
        let valid = Versions::parse(text(json, "validVersions")?)?;
        if valid.is_empty() {
            return Ok(None);
        }
        let name = text(json, "name")?.to_owned();
        let flexible = Versions::parse(text(json, "flexibleVersions")?)?.within(valid);
        let mut structs = Vec::new();
        collect_struct(&name, json, valid, &mut structs)?;
        for common in items(json, "commonStructs") {
            // A common struct may be used by several fields, so any version of the message may have it.
            collect_struct(text(common, "name")?, common, valid, &mut structs)?;
        }
        let api_key = json.get("apiKey").and_then(Value::as_i64);
        let listeners = items(json, "listeners");
        Ok(Some(Message {
            kind,
            api_key: api_key.map(i16::try_from).transpose().map_err(|error| error.to_string())?,
            valid,
            flexible,
            last_is_unstable: json.get("latestVersionUnstable").and_then(Value::as_bool).unwrap_or(false),
            on_broker_listener: listeners.iter().any(|listener| listener.as_str() == Some("broker")),
            structs,
            name,
        }))
    }

    /// The first flexible version, where there is one.
    pub(crate) fn flexible_since(&self) -> Option<i16> {
        (!self.flexible.is_empty()).then_some(self.flexible.first)
    }
}

/// Adds a struct, then those which its fields define in place.
fn collect_struct(name: &str, json: &Value, versions: Versions, structs: &mut Vec<Struct>) -> Result<()> {
    if structs.iter().any(|known| known.name == name) {
        return Err(format!("struct {name} is defined twice"));
    }
    let position = structs.len();
    structs.push(Struct { name: name.to_owned(), versions, fields: Vec::new() });
    let mut fields = Vec::new();
    for json in items(json, "fields") {
        let field = Field::parse(json).map_err(|error| format!("{name}: {error}"))?;
        let versions = field.versions.within(versions);
        if versions.is_empty() {
            continue; // It went away before the oldest version that is still valid.
        }
        if json.get("fields").is_some() {
            let inner = field.element().struct_name().ok_or("fields below a field that is no struct")?;
            collect_struct(inner, json, versions, structs)?;
        }
        fields.push(field);
    }
    structs[position].fields = fields;
    Ok(())
}

impl Struct {
    /// Whether reading and writing look at the version, for themselves or for what is inside.
    pub(crate) fn depends_on_version(&self) -> bool {
        self.fields.iter().any(|field| {
            let present = field.versions.within(self.versions);
            matches!(field.shape, Shape::Array(_) | Shape::Single(Type::Struct(_)))
                || present != self.versions
                || matches!(field.nullable.condition(present), Condition::When(..))
        })
    }

    /// The fields that have a tag, in the order of their tags.
    pub(crate) fn tagged_fields(&self) -> Vec<&Field> {
        let mut tagged: Vec<&Field> = self.fields.iter().filter(|field| field.tag.is_some()).collect();
        tagged.sort_by_key(|field| field.tag);
        tagged
    }
}

impl Field {
    fn parse(json: &Value) -> Result<Field> {
        let name = text(json, "name")?;
        let optional = |key| json.get(key).and_then(Value::as_str);
        let versions = Versions::parse(text(json, "versions")?)?;
        let shape = Shape::parse(name, text(json, "type")?)?;
        let tagged = optional("taggedVersions").map_or(Ok(Versions::NONE), Versions::parse)?;
        if !tagged.is_empty() && tagged != versions {
            return Err(format!("{name}: tagged in some of its versions only, which is not supported"));
        }
        let tag = json.get("tag").and_then(Value::as_u64);
        let default = Default::parse(json.get("default")).map_err(|error| format!("{name}: {error}"))?;
        let field = Field {
            name: name.to_owned(),
            shape,
            versions,
            nullable: optional("nullableVersions").map_or(Ok(Versions::NONE), Versions::parse)?,
            tag: tag.map(u32::try_from).transpose().map_err(|error| error.to_string())?,
            ignorable: json.get("ignorable").and_then(Value::as_bool).unwrap_or(false),
            default,
        };
        field.check()?;
        Ok(field)
    }

    /// Refuses what Kafka's definitions do not use and the generated code would get wrong.
    fn check(&self) -> Result<()> {
        let is_struct = matches!(self.shape, Shape::Single(Type::Struct(_)));
        if self.tag.is_some() && is_struct && !self.nullable.is_empty() {
            return Err(format!("{}: nullable tagged structs are not supported", self.name));
        }
        if self.tag.is_some() && self.shape == Shape::Single(Type::Records) {
            return Err(format!("{}: tagged records are not supported", self.name));
        }
        Ok(())
    }

    /// The type of the field, or of its elements.
    pub(crate) fn element(&self) -> &Type {
        match &self.shape {
            Shape::Single(element) | Shape::Array(element) => element,
        }
    }
}

impl Shape {
    fn parse(field: &str, text: &str) -> Result<Shape> {
        match text.strip_prefix("[]") {
            Some(element) => Ok(Shape::Array(Type::parse(field, element)?)),
            None => Ok(Shape::Single(Type::parse(field, text)?)),
        }
    }
}

impl Type {
    fn parse(field: &str, text: &str) -> Result<Type> {
        Ok(match text {
            "bool" => Type::Bool,
            "int8" => Type::I8,
            "int16" if field.ends_with("ErrorCode") => Type::ErrorCode,
            "int16" => Type::I16,
            "uint16" => Type::U16,
            "int32" => Type::I32,
            "uint32" => Type::U32,
            "int64" => Type::I64,
            "float64" => Type::F64,
            "uuid" => Type::Uuid,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            name if name.starts_with(char::is_uppercase) => Type::Struct(name.to_owned()),
            _ => return Err(format!("{field}: unknown type `{text}`")),
        })
    }

    fn struct_name(&self) -> Option<&str> {
        match self {
            Type::Struct(name) => Some(name),
            _ => None,
        }
    }
}

impl Default {
    fn parse(json: Option<&Value>) -> Result<Default> {
        let text = match json {
            None => return Ok(Default::Zero),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        match text.to_lowercase().as_str() {
            "" | "false" => Ok(Default::Zero),
            "true" => Ok(Default::True),
            "null" => Ok(Default::Null),
            number => {
                let parsed = match number.strip_prefix("0x") {
                    Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
                    None => number.parse(),
                };
                match parsed {
                    Ok(0) => Ok(Default::Zero),
                    Ok(number) => Ok(Default::Number(number)),
                    Err(_) => Err(format!("cannot read the default `{text}`")),
                }
            }
        }
    }
}

impl Versions {
    pub(crate) const NONE: Versions = Versions { first: 0, last: -1 };

    fn parse(text: &str) -> Result<Versions> {
        let number =
            |text: &str| text.parse::<i16>().map_err(|_| format!("cannot read the versions `{text}`"));
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Versions { first: number(first)?, last: i16::MAX });
        }
        match text.split_once('-') {
            Some((first, last)) => Ok(Versions { first: number(first)?, last: number(last)? }),
            None => Ok(Versions { first: number(text)?, last: number(text)? }),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// What both have.
    pub(crate) fn within(self, other: Versions) -> Versions {
        let common = Versions { first: self.first.max(other.first), last: self.last.min(other.last) };
        if common.is_empty() { Versions::NONE } else { common }
    }

    /// The Rust condition on `version` for being in `self`, when it is known to be in `known`.
    pub(crate) fn condition(self, known: Versions) -> Condition {
        let here = self.within(known);
        if here.is_empty() {
            Condition::Never
        } else if here == known {
            Condition::Always
        } else if here.first == known.first {
            Condition::When(format!("version <= {}", here.last), format!("version > {}", here.last))
        } else if here.last == known.last {
            Condition::When(format!("version >= {}", here.first), format!("version < {}", here.first))
        } else if here.first == here.last {
            Condition::When(format!("version == {}", here.first), format!("version != {}", here.first))
        } else {
            let range = format!("({}..={}).contains(&version)", here.first, here.last);
            Condition::When(range.clone(), format!("!{range}"))
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Versions { first, last: i16::MAX } => write!(f, "{first}+"),
            Versions { first, last } if first == last => write!(f, "{first}"),
            Versions { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// When a field is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Always,
    Never,
    /// The expression, and its opposite.
    When(String, String),
}

fn text<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json.get(key).and_then(Value::as_str).ok_or_else(|| format!("no `{key}`"))
}

fn items<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn versions(text: &str) -> Versions {
        Versions::parse(text).unwrap()
    }

    fn condition(field: &str, known: &str) -> Condition {
        versions(field).condition(versions(known))
    }

    #[test]
    fn versions_are_read_as_kafka_writes_them() {
        for text in ["3", "3-5", "3+"] {
            assert_eq!(versions(text).to_string(), text);
        }
        assert!(versions("none").is_empty());
        assert!(versions("3-5").within(versions("6+")).is_empty());
        assert!(Versions::parse("x").is_err());
    }

    #[test]
    fn a_field_is_guarded_only_where_some_known_version_lacks_it() {
        let when = |present: &str, absent: &str| Condition::When(present.to_owned(), absent.to_owned());
        assert_eq!(condition("0+", "4-18"), Condition::Always);
        assert_eq!(condition("0-3", "4-18"), Condition::Never);
        assert_eq!(condition("12+", "4-18"), when("version >= 12", "version < 12"));
        assert_eq!(condition("0-12", "4-18"), when("version <= 12", "version > 12"));
        assert_eq!(condition("7", "4-18"), when("version == 7", "version != 7"));
        let between = "(7..=12).contains(&version)";
        assert_eq!(condition("7-12", "4-18"), when(between, &format!("!{between}")));
    }

    #[test]
    fn defaults_are_read_in_all_their_forms() {
        let default = |json: Value| Default::parse(Some(&json)).unwrap();
        assert_eq!(Default::parse(None), Ok(Default::Zero));
        assert_eq!(default(json!("0x7fffffff")), Default::Number(0x7fff_ffff));
        assert_eq!(default(json!("-2147483648")), Default::Number(-2_147_483_648));
        assert_eq!(default(json!("null")), Default::Null);
        assert_eq!(default(json!(true)), Default::True);
        assert_eq!(default(json!("")), Default::Zero);
        assert!(Default::parse(Some(&json!("some text"))).is_err());
    }

    /// A request with this field.
    fn parse(field: &Value) -> Result<Option<Message>> {
        Message::parse(&json!({
            "type": "request", "name": "TestRequest", "apiKey": 7, "listeners": ["controller"],
            "validVersions": "2-5", "flexibleVersions": "4+", "fields": [field],
        }))
    }

    #[test]
    fn structs_are_collected_and_fields_of_dropped_versions_are_not() {
        let inner = json!([
            { "name": "Kept", "type": "int16", "versions": "0+" },
            { "name": "Dropped", "type": "int16", "versions": "0-1" },
        ]);
        let field = json!({ "name": "Things", "type": "[]Thing", "versions": "3+", "fields": inner });
        let message = parse(&field).unwrap().unwrap();
        assert_eq!((message.api_key, message.flexible_since()), (Some(7), Some(4)));
        let names: Vec<&str> = message.structs.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["TestRequest", "Thing"]);
        let thing = &message.structs[1];
        assert_eq!(thing.versions, Versions { first: 3, last: 5 });
        assert_eq!(thing.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["Kept"]);
    }

    #[test]
    fn what_the_generator_would_get_wrong_is_refused() {
        let tagged = |kind: &str| json!({ "name": "F", "type": kind, "versions": "4+", "taggedVersions": "4+", "tag": 0 });
        assert!(parse(&tagged("int8")).is_ok());
        assert!(parse(&tagged("records")).is_err());
        let mut nullable = tagged("Thing");
        nullable["nullableVersions"] = json!("4+");
        assert!(parse(&nullable).is_err());
        let mut in_part = tagged("int8");
        in_part["versions"] = json!("3+");
        assert!(parse(&in_part).is_err());
        assert!(parse(&json!({ "name": "F", "type": "int128", "versions": "0+" })).is_err());
    }
}
