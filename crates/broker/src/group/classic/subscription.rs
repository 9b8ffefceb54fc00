//! What a consumer says that it wants: the first part of every version of the consumer protocol's subscription (Java:
//! `ConsumerProtocol.deserializeConsumerProtocolSubscription`). Pure.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use milena_protocol::ByteStr;

/// Adds the topics of a subscription. `None` when it cannot be read.
///
/// ```text
///   version: i16 | count: i32 | count times: length: i16, name | ...
/// ```
pub(super) fn read_topics(subscription: &Bytes, topics: &mut BTreeSet<ByteStr>) -> Option<()> {
    let mut rest = &subscription[..];
    let version = rest.try_get_i16().ok()?;
    let count = rest.try_get_i32().ok()?;
    if version < 0 || count < 0 {
        return None;
    }
    for _ in 0..count {
        let len = usize::try_from(rest.try_get_i16().ok()?).ok()?;
        let (name, after) = rest.split_at_checked(len)?;
        topics.insert(ByteStr::from(std::str::from_utf8(name).ok()?));
        rest = after;
    }
    // User data follows; Java reads it, and so finds out when it is cut short.
    let user_data = rest.try_get_i32().ok()?;
    usize::try_from(user_data).map_or(Some(()), |len| rest.get(..len).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(subscription: &[u8]) -> Option<Vec<String>> {
        let mut topics = BTreeSet::new();
        read_topics(&Bytes::copy_from_slice(subscription), &mut topics)?;
        Some(topics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn topics_are_read_and_the_rest_is_left_alone() {
        let subscription = b"\x00\x03\x00\x00\x00\x02\x00\x01b\x00\x02aa\xff\xff\xff\xff and more";
        assert_eq!(topics(subscription), Some(vec!["aa".to_owned(), "b".to_owned()]));
        assert_eq!(topics(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01x"), Some(vec![]));
    }

    #[test]
    fn what_is_not_a_subscription_is_not_read() {
        let bad: [&[u8]; 8] = [
            b"",
            b"\x00\x00",
            b"\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff",
            b"\x00\x00\xff\xff\xff\xff",
            b"\x00\x00\x7f\xff\xff\xff\x00\x01a",
            b"\x00\x00\x00\x00\x00\x01\xff\xff",
            b"\x00\x00\x00\x00\x00\x01\x00\x01\xff\xff\xff\xff\xff",
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05x",
        ];
        for subscription in bad {
            assert_eq!(topics(subscription), None, "{subscription:?}");
        }
    }
}
