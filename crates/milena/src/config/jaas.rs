use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

use super::Secret;

/// One entry of a JAAS configuration: what `sasl.jaas.config` holds.
///
/// `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="...";`
/// Of the module only its options matter here: the mechanism is `sasl.mechanism`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JaasConfig {
    /// The class named, such as `org.apache.kafka.common.security.scram.ScramLoginModule`.
    pub login_module: String,
    /// The options by name; all count as secrets.
    pub options: BTreeMap<String, Secret>,
}

impl JaasConfig {
    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&Secret> {
        self.options.get(name)
    }
}

/// Text that is no JAAS entry. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JAAS entry")]
pub struct MalformedJaas;

/// Java: `JaasConfig`, one entry, ended by a semicolon.
impl FromStr for JaasConfig {
    type Err = MalformedJaas;

    fn from_str(text: &str) -> Result<Self, MalformedJaas> {
        let mut characters = text.chars().peekable();
        let login_module = word(&mut characters).ok_or(MalformedJaas)?;
        let control_flag = word(&mut characters).ok_or(MalformedJaas)?;
        if !["required", "requisite", "sufficient", "optional"]
            .iter()
            .any(|flag| control_flag.eq_ignore_ascii_case(flag))
        {
            return Err(MalformedJaas);
        }
        let mut options = BTreeMap::new();
        loop {
            skip_blank(&mut characters);
            if characters.next_if_eq(&';').is_some() {
                break;
            }
            let name = word(&mut characters).ok_or(MalformedJaas)?;
            skip_blank(&mut characters);
            characters.next_if_eq(&'=').ok_or(MalformedJaas)?;
            let value = word(&mut characters).ok_or(MalformedJaas)?;
            options.insert(name, Secret::new(value));
        }
        skip_blank(&mut characters);
        match characters.next() {
            None => Ok(Self { login_module, options }),
            Some(_) => Err(MalformedJaas),
        }
    }
}

fn skip_blank(characters: &mut Peekable<Chars<'_>>) {
    while characters.next_if(|c| c.is_whitespace()).is_some() {}
}

/// A bare word, or text in double or single quotes with backslash escapes.
fn word(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    skip_blank(characters);
    if let Some(quote) = characters.next_if(|c| matches!(c, '"' | '\'')) {
        let mut text = String::new();
        loop {
            match characters.next()? {
                c if c == quote => return Some(text),
                '\\' => text.push(characters.next()?),
                c => text.push(c),
            }
        }
    }
    let mut text = String::new();
    while let Some(c) = characters.next_if(|&c| !c.is_whitespace() && !matches!(c, '=' | ';' | '"' | '\'')) {
        text.push(c);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_that_people_have_are_read() {
        let plain: JaasConfig = "org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"alice\" \
             password=\"s3;cr=e\\\"t\";"
            .parse()
            .unwrap();
        assert_eq!(plain.login_module, "org.apache.kafka.common.security.plain.PlainLoginModule");
        assert_eq!(plain.option("username").unwrap().expose(), "alice");
        assert_eq!(plain.option("password").unwrap().expose(), "s3;cr=e\"t");
        assert_eq!(plain.option("other"), None);

        let loose: JaasConfig = "\n M  REQUIRED a = b c='d e' ; \n".parse().unwrap();
        assert_eq!(loose.option("a").unwrap().expose(), "b");
        assert_eq!(loose.option("c").unwrap().expose(), "d e");
        assert!("M required;".parse::<JaasConfig>().unwrap().options.is_empty());
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let malformed = [
            "",
            "M",
            "M required",
            "M maybe;",
            "M required a;",
            "M required a=;",
            "M required a=b",
            "M required a=\"b;",
            "M required a=\"b\\",
            "M required a=b; N required;",
        ];
        for text in malformed {
            assert_eq!(text.parse::<JaasConfig>(), Err(MalformedJaas), "{text}");
        }
    }
}
