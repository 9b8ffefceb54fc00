//! The records that every benchmark sends, whichever client it measures: user events with a key of 16 bytes, a JSON value cut to
//! size, and five headers.
//!
//! They are made before a clock starts, and are the same in every run, language and client, `milena bench` among them: event `i` comes
//! from SplitMix64 seeded with `42 << 32 | i`, drawn in the order in which its parts are written here.

use std::fmt::Write;

/// How many different events there are.
pub const COUNT: usize = 10_000;

const KINDS: [&str; 8] =
    ["page_view", "add_to_cart", "checkout", "search", "login", "logout", "purchase", "impression"];
const CATEGORIES: [&str; 8] =
    ["books", "garden", "electronics", "toys", "grocery", "fashion", "sports", "music"];
/// Where the events' times begin, in milliseconds since 1970, and over how much time they are spread.
const TIME_BEGIN_MS: u64 = 1_763_848_700_000;
const TIME_SPREAD_MS: u64 = 10_000_000;

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 16 hexadecimal digits.
    pub key: String,
    /// As long as was asked for.
    pub value: String,
    /// Names and values: five, or none in a [`pool`] without headers.
    pub headers: Vec<(&'static str, String)>,
}

/// All events, with values of `size` bytes. With headers only if they are sent: they take more memory than small values.
pub fn pool(size: usize, with_headers: bool) -> Vec<Event> {
    pool_of(COUNT, size, with_headers)
}

/// The first `count` events of [`pool`].
pub fn pool_of(count: usize, size: usize, with_headers: bool) -> Vec<Event> {
    let event = |index| match with_headers {
        true => Event::new(index, size),
        false => Event::new(index, size).without_headers(),
    };
    (0..count as u64).map(event).collect()
}

impl Event {
    /// The event with this number, with a value of `size` bytes.
    pub fn new(index: u64, size: usize) -> Self {
        let mut random = SplitMix64(42 << 32 | index);
        let key = format!("{:016x}", random.next());
        let kind = KINDS[(random.next() % 8) as usize];
        let time_ms = TIME_BEGIN_MS + random.next() % TIME_SPREAD_MS;
        let value = value(&mut random, kind, time_ms, size);
        let headers = vec![
            ("trace_id", format!("{:016x}{:016x}", random.next(), random.next())),
            ("schema_ver", "3".to_owned()),
            ("event_type", kind.to_owned()),
            ("timestamp", time_ms.to_string()),
            ("source", "web-frontend".to_owned()),
        ];
        Self { key, value, headers }
    }

    fn without_headers(self) -> Self {
        Self { headers: Vec::new(), ..self }
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// A JSON object with as many items as it takes, cut off at `size` bytes.
fn value(random: &mut SplitMix64, kind: &str, time_ms: u64, size: usize) -> String {
    let (user, session) = (random.next() & 0xffff_ffff, random.next());
    let mut value = format!(
        r#"{{"user_id":"u-{user:08x}","event":"{kind}","ts":{time_ms},"session":"{session:016x}","items":["#
    );
    while value.len() < size {
        let (sku, quantity, price, category) = (random.next(), random.next(), random.next(), random.next());
        write!(
            value,
            r#"{{"sku":"SKU-{:06}","qty":{},"price":{}.{:02},"cat":"{}"}},"#,
            sku % 1_000_000,
            quantity % 9 + 1,
            price % 500,
            (price >> 32) % 100,
            CATEGORIES[(category % 8) as usize],
        )
        .expect("a string takes everything");
    }
    value.truncate(size);
    value
}

/// Steele, Lea, Flood 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over everything in a pool.
    fn hash(size: usize) -> u64 {
        let add = |hash: u64, text: &str| {
            text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        };
        pool(size, true).iter().fold(0xcbf2_9ce4_8422_2325, |hash, event| {
            let hash = add(add(hash, &event.key), &event.value);
            event.headers.iter().fold(hash, |hash, (name, value)| add(add(hash, name), value))
        })
    }

    #[test]
    fn the_events_never_change() {
        assert_eq!(hash(100), 0x6c5e_895d_adad_c904);
        assert_eq!(hash(1_000), 0x9312_f35a_28a2_2bee);
    }
}
