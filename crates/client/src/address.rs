//! `host:port`, as brokers are named.

use std::fmt;
use std::str::FromStr;

/// The port that is meant when none is given.
pub const DEFAULT_PORT: u16 = 9092;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name or IP address (an IPv6 address without its brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// An address from its parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Parses a comma-separated list as in `bootstrap.servers`; white space around entries and empty entries are passed over.
    ///
    /// # Errors
    /// An entry that is no address, or no entry at all.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, AddressError> {
        let addresses = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<Self>, _>>()?;
        if addresses.is_empty() {
            return Err(AddressError { entry: list.to_owned(), reason: "no address in the list" });
        }
        Ok(addresses)
    }
}

/// Text that is no broker address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is no broker address: {reason}; write host:port, for example localhost:9092")]
pub struct AddressError {
    entry: String,
    reason: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |reason| AddressError { entry: text.to_owned(), reason };
        // Kafka's own lists may carry the listener's protocol: PLAINTEXT://host:9092.
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) = bracketed.split_once(']').ok_or_else(|| error("`[` without `]`"))?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(error("text between `]` and the port")),
            }
        } else {
            match rest.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(error("an IPv6 address belongs in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        if host.is_empty() {
            return Err(error("the host is missing"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().map_err(|_| error("the port is no number from 1 to 65535"))?,
        };
        if port == 0 {
            return Err(error("the port is no number from 1 to 65535"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_kafka_writes_them() {
        let parse = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(parse("localhost:9093").unwrap(), "localhost:9093");
        assert_eq!(parse("kafka").unwrap(), "kafka:9092");
        assert_eq!(parse("[::1]:9094").unwrap(), "[::1]:9094");
        assert_eq!(parse("[::1]").unwrap(), "[::1]:9092");
        assert_eq!(parse("PLAINTEXT://k:1").unwrap(), "k:1");
        for bad in ["", ":9092", "a:b", "a:0", "a:70000", "::1:9092", "[::1", "[::1]x:1"] {
            assert!(parse(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_list_passes_over_white_space_and_empty_entries() {
        let list = Address::parse_list(" a:1, b:2,,").unwrap();
        assert_eq!(list, [Address::new("a", 1), Address::new("b", 2)]);
        let error = Address::parse_list(" , ").unwrap_err().to_string();
        assert!(error.contains("no address in the list"), "{error}");
    }
}
