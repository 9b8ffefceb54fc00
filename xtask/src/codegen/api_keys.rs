//! The `ApiKey` enum, from the requests.

use std::fmt::Write;

use super::header;
use super::spec::{Kind, Message};

pub(crate) fn file(messages: &[Message]) -> String {
    let mut requests: Vec<&Message> =
        messages.iter().filter(|message| message.kind == Kind::Request).collect();
    requests.sort_by_key(|request| request.api_key);
    let mut out = header();
    out.push_str("use crate::api::{ApiSpec, VersionRange};\n\n");
    out.push_str(
        "/// Which request is meant: the first field of each request, with Kafka's names and numbers.\n///\n\
         /// All that a broker's listener speaks; what only brokers and controllers say to each other is not here.\n\
         #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]\n#[repr(i16)]\n#[non_exhaustive]\n\
         pub enum ApiKey {\n",
    );
    for request in &requests {
        let _ = writeln!(out, "/// Key {}, versions {}.", key(request), stable(request));
        let _ = writeln!(out, "{} = {},", base(request), key(request));
    }
    out.push_str(
        "}\n\nimpl ApiKey {\n/// All keys, in the order of their numbers.\npub const ALL: &[ApiKey] = &[\n",
    );
    for request in &requests {
        let _ = writeln!(out, "ApiKey::{},", base(request));
    }
    out.push_str("];\n\n");
    out.push_str("pub(crate) fn from_code(code: i16) -> Option<ApiKey> {\nSome(match code {\n");
    for request in &requests {
        let _ = writeln!(out, "{} => ApiKey::{},", key(request), base(request));
    }
    out.push_str("_ => return None,\n})\n}\n\npub(crate) fn spec(self) -> ApiSpec {\nmatch self {\n");
    for request in &requests {
        let _ = writeln!(
            out,
            "ApiKey::{0} => ApiSpec {{ name: \"{0}\", versions: VersionRange {{ min: {1}, max: {2} }}, \
             flexible_since: {3:?} }},",
            base(request),
            request.valid.first,
            last_stable(request),
            request.flexible_since(),
        );
    }
    out.push_str("}\n}\n}\n");
    out
}

fn key(request: &Message) -> i16 {
    request.api_key.unwrap_or(-1)
}

fn base(request: &Message) -> &str {
    request.name.trim_end_matches("Request")
}

fn last_stable(request: &Message) -> i16 {
    request.valid.last - i16::from(request.last_is_unstable)
}

fn stable(request: &Message) -> String {
    let stable = format!("{}-{}", request.valid.first, last_stable(request));
    if request.last_is_unstable { format!("{stable} ({} is not stable)", request.valid.last) } else { stable }
}
