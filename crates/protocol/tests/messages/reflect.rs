//! The fields of all messages by name, for filling them with anything and for looking at all their values.
//!
//! The implementations of [`Reflect`] are generated beside the messages.

use std::fmt::Write;

use bytes::Bytes;
use milena_protocol::{
    ByteStr, DecodeError, Decoder, EncodeError, Encoder, ErrorCode, Message, Records, UnknownTaggedField,
    Uuid, VersionRange,
};
use serde_json::{Map, Value as Json};

/// A struct that can show its fields.
pub(crate) trait Reflect {
    /// Shows each field that the version has.
    fn visit(&mut self, fields: &mut dyn Fields, version: i16);
}

/// Something that looks at the fields of a struct, one after another.
pub(crate) trait Fields {
    /// A field that may be null where `is_nullable`.
    fn nullable(&mut self, name: &'static str, is_nullable: bool, value: &mut dyn Value);

    /// A field that cannot be null.
    fn field(&mut self, name: &'static str, value: &mut dyn Value) {
        self.nullable(name, false, value);
    }
}

/// The value of a field.
pub(crate) trait Value {
    /// The value as Golden.java prints it.
    fn json(&mut self, version: i16) -> Json;
    /// Sets anything.
    fn fill(&mut self, random: &mut Random, is_nullable: bool, version: i16);
}

/// A message of any type.
pub(crate) trait AnyMessage: Value {
    fn encode(&self, version: i16) -> Result<Bytes, EncodeError>;
}

/// What is known of a type of message.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) versions: VersionRange,
    pub(crate) flexible_since: Option<i16>,
    pub(crate) default: fn() -> Box<dyn AnyMessage>,
    /// Decodes a message that takes all the bytes.
    pub(crate) decode: fn(Bytes, i16) -> Result<Box<dyn AnyMessage>, DecodeError>,
}

impl Entry {
    pub(crate) const fn of<M: Message + Reflect>() -> Entry {
        Entry {
            name: M::NAME,
            versions: M::VERSIONS,
            flexible_since: M::FLEXIBLE_SINCE,
            default: || Box::new(M::default()),
            decode: |bytes, version| {
                let mut input = Decoder::new(bytes);
                let message = M::decode(&mut input, version)?;
                input.finish()?;
                Ok(Box::new(message))
            },
        }
    }

    /// A message with anything in it.
    pub(crate) fn random(&self, random: &mut Random, version: i16) -> Box<dyn AnyMessage> {
        let mut message = (self.default)();
        message.fill(random, false, version);
        message
    }
}

impl<M: Message + Reflect> AnyMessage for M {
    fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut out = Encoder::new();
        Message::encode(self, &mut out, version)?;
        Ok(out.into_bytes())
    }
}

struct ToJson {
    members: Map<String, Json>,
    version: i16,
}

impl Fields for ToJson {
    fn nullable(&mut self, name: &'static str, _is_nullable: bool, value: &mut dyn Value) {
        self.members.insert(name.to_owned(), value.json(self.version));
    }
}

struct Fill<'a> {
    random: &'a mut Random,
    version: i16,
}

impl Fields for Fill<'_> {
    fn nullable(&mut self, _name: &'static str, is_nullable: bool, value: &mut dyn Value) {
        value.fill(self.random, is_nullable, self.version);
    }
}

impl<T: Reflect> Value for T {
    fn json(&mut self, version: i16) -> Json {
        let mut fields = ToJson { members: Map::new(), version };
        self.visit(&mut fields, version);
        Json::Object(fields.members)
    }

    fn fill(&mut self, random: &mut Random, _is_nullable: bool, version: i16) {
        self.visit(&mut Fill { random, version }, version);
    }
}

impl<T: Value + Default> Value for Option<T> {
    fn json(&mut self, version: i16) -> Json {
        self.as_mut().map_or(Json::Null, |value| value.json(version))
    }

    fn fill(&mut self, random: &mut Random, is_nullable: bool, version: i16) {
        *self = if is_nullable && random.below(3) == 0 { None } else { Some(filled(random, version)) };
    }
}

impl<T: Value + Default> Value for Vec<T> {
    fn json(&mut self, version: i16) -> Json {
        self.iter_mut().map(|element| element.json(version)).collect()
    }

    fn fill(&mut self, random: &mut Random, _is_nullable: bool, version: i16) {
        *self = (0..random.below(4)).map(|_| filled(random, version)).collect();
    }
}

impl Value for Vec<UnknownTaggedField> {
    fn json(&mut self, _version: i16) -> Json {
        self.iter().map(|field| Json::from(vec![Json::from(field.tag), hexadecimal(&field.data)])).collect()
    }

    /// No definition goes as far as these tags.
    fn fill(&mut self, random: &mut Random, _is_nullable: bool, _version: i16) {
        let tags = [100, 1000, 1_000_000].into_iter().take(random.below(8).saturating_sub(4) as usize);
        *self = tags.map(|tag| UnknownTaggedField { tag, data: random.bytes() }).collect();
    }
}

fn filled<T: Value + Default>(random: &mut Random, version: i16) -> T {
    let mut value = T::default();
    value.fill(random, false, version);
    value
}

macro_rules! plain_values {
    ($($type:ty: $value:ident => $json:expr, $random:ident => $fill:expr;)*) => {
        $(
            impl Value for $type {
                fn json(&mut self, _version: i16) -> Json {
                    let $value = self;
                    $json
                }

                fn fill(&mut self, $random: &mut Random, _is_nullable: bool, _version: i16) {
                    *self = $fill;
                }
            }
        )*
    };
}

plain_values! {
    bool: value => Json::from(*value), random => random.below(2) == 1;
    i8: value => Json::from(*value), random => random.next() as i8;
    i16: value => Json::from(*value), random => random.next() as i16;
    u16: value => Json::from(*value), random => random.next() as u16;
    i32: value => Json::from(*value), random => random.next() as i32;
    i64: value => Json::from(*value), random => random.next() as i64;
    f64: value => Json::from(*value), random => f64::from(random.next() as i32) / 8.0;
    ErrorCode: value => Json::from(value.code()), random => ErrorCode::from(random.below(200) as i16 - 1);
    Uuid: value => Json::from(value.to_string()), random => Uuid(random.sixteen());
    ByteStr: value => Json::from(value.as_str()), random => random.text();
    Bytes: value => hexadecimal(value), random => random.bytes();
    Records: value => hexadecimal(&value.clone().into_bytes()), random => Records::from(random.bytes());
}

fn hexadecimal(bytes: &[u8]) -> Json {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    Json::from(text)
}

/// The bytes behind hexadecimal digits.
pub(crate) fn unhexadecimal(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// A deterministic source of anything (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn sixteen(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }

    fn text(&mut self) -> ByteStr {
        let alphabet: Vec<char> = "aZ0 .-é√💠".chars().collect();
        (0..self.length())
            .map(|_| alphabet[self.below(alphabet.len() as u64) as usize])
            .collect::<String>()
            .into()
    }

    fn bytes(&mut self) -> Bytes {
        (0..self.length()).map(|_| self.next() as u8).collect()
    }

    /// Mostly short; now and then a length that takes two bytes.
    fn length(&mut self) -> u64 {
        if self.below(30) == 0 { 120 + self.below(40) } else { self.below(12) }
    }
}
