use std::fmt;

/// A password, key or token: it never shows itself.
///
/// Neither `Debug` nor an error prints it, and there is no `Display`; only [`expose`](Self::expose) gives
/// the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from now on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// `[hidden]`, as Java's `Password` prints.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
