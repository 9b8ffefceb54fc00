use std::fmt;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Key => "key",
            Part::Value => "value",
        })
    }
}

/// What a [`Serializer`](crate::Serializer) is told beside the value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SerializeContext<'c> {
    /// The topic that the record goes to.
    pub topic: &'c str,
    /// Which part of the record the value becomes.
    pub part: Part,
}

impl<'c> SerializeContext<'c> {
    /// For the key of a record to `topic`.
    pub fn key(topic: &'c str) -> Self {
        Self { topic, part: Part::Key }
    }

    /// For the value of a record to `topic`.
    pub fn value(topic: &'c str) -> Self {
        Self { topic, part: Part::Value }
    }
}

/// What a [`Deserializer`](crate::Deserializer) is told beside the bytes.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct DeserializeContext<'c> {
    /// The topic that the record came from.
    pub topic: &'c str,
    /// Which part of the record the bytes are.
    pub part: Part,
    /// The record's headers.
    pub headers: &'c dyn HeaderSource,
}

impl<'c> DeserializeContext<'c> {
    /// For the key of a record of `topic`, without headers.
    pub fn key(topic: &'c str) -> Self {
        Self { topic, part: Part::Key, headers: &NoHeaders }
    }

    /// For the value of a record of `topic`, without headers.
    pub fn value(topic: &'c str) -> Self {
        Self { topic, part: Part::Value, headers: &NoHeaders }
    }

    /// The same with the record's headers.
    pub fn with_headers(self, headers: &'c dyn HeaderSource) -> Self {
        Self { headers, ..self }
    }

    /// The value of the last header named `key`: `None` without such a header, `Some(None)` when its
    /// value is null. (The last one counts, as with Java's `Headers.lastHeader`.)
    pub fn header(&self, key: &str) -> Option<Option<&'c [u8]>> {
        let mut last = None;
        self.headers.visit(&mut |name, value| {
            if name == key.as_bytes() {
                last = Some(value);
            }
        });
        last
    }
}

impl fmt::Debug for DeserializeContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeserializeContext")
            .field("topic", &self.topic)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

/// A record's headers, read only if a deserializer asks for them.
///
/// Keys are bytes: Kafka's protocol says UTF-8, yet nobody checks, and one bad header must not stop
/// the reading. A key may occur several times.
pub trait HeaderSource {
    /// Calls `visitor` with each header's key and value, in order.
    fn visit<'h>(&'h self, visitor: &mut dyn FnMut(&'h [u8], Option<&'h [u8]>));
}

/// The headers of a record that has none.
struct NoHeaders;

impl HeaderSource for NoHeaders {
    fn visit<'h>(&'h self, _: &mut dyn FnMut(&'h [u8], Option<&'h [u8]>)) {}
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> HeaderSource for Vec<(K, Option<V>)> {
    fn visit<'h>(&'h self, visitor: &mut dyn FnMut(&'h [u8], Option<&'h [u8]>)) {
        for (key, value) in self {
            visitor(key.as_ref(), value.as_ref().map(AsRef::as_ref));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_counts_and_null_differs_from_absent() {
        let headers = vec![("v", Some("1")), ("v", Some("2")), ("gone", Some("x")), ("gone", None)];
        let context = DeserializeContext::value("orders").with_headers(&headers);
        assert_eq!(context.header("v"), Some(Some(&b"2"[..])));
        assert_eq!(context.header("gone"), Some(None));
        assert_eq!(context.header("other"), None);
    }

    #[test]
    fn a_header_key_that_is_not_utf8_is_passed_over() {
        let headers = vec![(&b"\xff"[..], Some(&b"1"[..])), (&b"v"[..], Some(&b"2"[..]))];
        let context = DeserializeContext::key("orders").with_headers(&headers);
        assert_eq!(context.header("v"), Some(Some(&b"2"[..])));
    }
}
