//! A string that shares the buffer that it was received in.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// An immutable UTF-8 string over shared bytes: a clone counts a reference and copies nothing.
///
/// A decoded string is a slice of its frame and keeps the whole frame alive; keep a [`detached`](Self::detached)
/// copy where a short string is to live long.
#[derive(Clone, Default)]
pub struct ByteStr(ByteString);

impl ByteStr {
    /// The empty string.
    pub const fn new() -> Self {
        ByteStr(ByteString::new())
    }

    /// A string that lives as long as the program; nothing is copied.
    pub const fn from_static(text: &'static str) -> Self {
        ByteStr(ByteString::from_static(text))
    }

    /// The string itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A copy in memory of its own, which does not keep a received frame alive.
    pub fn detached(&self) -> Self {
        ByteStr::from(self.as_str())
    }

    /// The bytes, shared.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// Received bytes as a string; what is not UTF-8 is replaced by U+FFFD, as Java's `String` does.
    pub(crate) fn from_received(bytes: Bytes) -> Self {
        match ByteString::try_from(bytes.clone()) {
            Ok(text) => ByteStr(text),
            Err(_) => ByteStr::from(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

impl Deref for ByteStr {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ByteStr {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for ByteStr {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for ByteStr {
    fn from(text: String) -> Self {
        ByteStr(text.into())
    }
}

/// Copies.
impl From<&str> for ByteStr {
    fn from(text: &str) -> Self {
        ByteStr(text.into())
    }
}

/// Copies.
impl From<&String> for ByteStr {
    fn from(text: &String) -> Self {
        ByteStr(text.as_str().into())
    }
}

/// Copies.
impl From<ByteStr> for String {
    fn from(text: ByteStr) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for ByteStr {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ByteStr {}

impl PartialEq<str> for ByteStr {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ByteStr {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for ByteStr {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<ByteStr> for str {
    fn eq(&self, other: &ByteStr) -> bool {
        self == other.as_str()
    }
}

impl PartialOrd for ByteStr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByteStr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for ByteStr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for ByteStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for ByteStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_map_keyed_by_it_is_asked_with_a_str() {
        let map = HashMap::from([(ByteStr::from("orders"), 1)]);
        assert_eq!(map.get("orders"), Some(&1));
    }

    #[test]
    fn a_clone_shares_and_a_detached_copy_does_not() {
        let text = ByteStr::from("orders".to_owned());
        assert_eq!(text.clone().as_ptr(), text.as_ptr());
        assert_ne!(text.detached().as_ptr(), text.as_ptr());
        assert_eq!(text.detached(), text);
    }

    #[test]
    fn it_sorts_and_prints_as_a_str() {
        let mut texts = ["b", "a"].map(ByteStr::from);
        texts.sort();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(format!("{0} {0:?} {0:>8}", ByteStr::from("a\"b")), "a\"b \"a\\\"b\"      a\"b");
    }
}
