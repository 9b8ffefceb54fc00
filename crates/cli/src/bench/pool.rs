//! The records that benchmarks send: made before the clock starts, and the same in every run and for every client that is
//! compared. Pure.
//!
//! Event `i` comes from SplitMix64 seeded with `42 << 32 | i`, drawn in the order in which its parts are written below.

use milena::HeaderRef;

use crate::random::SplitMix64;

/// How many different events there are.
const POOL: usize = 10_000;

const EVENTS: [&str; 8] =
    ["page_view", "add_to_cart", "checkout", "search", "login", "logout", "purchase", "impression"];
const CATEGORIES: [&str; 8] =
    ["books", "garden", "electronics", "toys", "grocery", "fashion", "sports", "music"];
/// Where the events' times begin, in milliseconds since 1970, and over how much time they are spread.
const TIME_BEGIN_MS: u64 = 1_763_848_700_000;
const TIME_SPREAD_MS: u64 = 10_000_000;

/// A user event: a key of 16 bytes, a JSON value cut to size, five headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) key: String,
    pub(super) value: String,
    headers: [(&'static str, String); 5],
}

impl Event {
    fn new(index: u64, size: usize) -> Self {
        let mut random = SplitMix64::new(42 << 32 | index);
        let key = format!("{:016x}", random.next());
        let event = random.pick(&EVENTS);
        let time_ms = TIME_BEGIN_MS + random.next() % TIME_SPREAD_MS;
        let value = value(&mut random, event, time_ms, size);
        let headers = [
            ("trace_id", format!("{:016x}{:016x}", random.next(), random.next())),
            ("schema_ver", "3".to_owned()),
            ("event_type", event.to_owned()),
            ("timestamp", time_ms.to_string()),
            ("source", "web-frontend".to_owned()),
        ];
        Self { key, value, headers }
    }

    pub(super) fn headers(&self) -> [HeaderRef<'_>; 5] {
        self.headers.each_ref().map(|(name, value)| HeaderRef { key: name, value: Some(value.as_bytes()) })
    }

    /// Bytes of key and value.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// A JSON object with as many items as it takes, cut off at `size` bytes.
fn value(random: &mut SplitMix64, event: &str, time_ms: u64, size: usize) -> String {
    let (user, session) = (random.next() & 0xffff_ffff, random.next());
    let mut value = format!(
        r#"{{"user_id":"u-{user:08x}","event":"{event}","ts":{time_ms},"session":"{session:016x}","items":["#
    );
    while value.len() < size {
        let (sku, quantity, price, category) = (random.next(), random.next(), random.next(), random.next());
        value += &format!(
            r#"{{"sku":"SKU-{:06}","qty":{},"price":{}.{:02},"cat":"{}"}},"#,
            sku % 1_000_000,
            quantity % 9 + 1,
            price % 500,
            (price >> 32) % 100,
            CATEGORIES[(category % 8) as usize],
        );
    }
    value.truncate(size);
    value
}

/// What a record of an event takes alone in a batch, at least.
pub(super) fn record_bytes(size: usize, with_headers: bool) -> usize {
    let event = Event::new(0, size);
    let headers = event.headers.iter().map(|(name, value)| name.len() + value.len());
    event.size() + if with_headers { headers.sum() } else { 0 }
}

/// What the pool may take: fewer events are made if values are very large.
const POOL_BYTES_MAX: usize = 256 << 20;

/// The events, with values of `size` bytes.
pub(super) fn pool(size: usize) -> Vec<Event> {
    let count = POOL.min(POOL_BYTES_MAX / size.max(1)).max(1);
    (0..count as u64).map(|index| Event::new(index, size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over everything in a pool.
    fn hash(size: usize) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |text: &str| {
            for byte in text.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        for event in pool(size) {
            add(&event.key);
            add(&event.value);
            event.headers.iter().for_each(|(name, value)| {
                add(name);
                add(value);
            });
        }
        hash
    }

    #[test]
    fn the_pool_is_the_one_that_other_clients_are_measured_with() {
        assert_eq!(hash(100), 0x6c5e_895d_adad_c904);
        assert_eq!(hash(1_000), 0x9312_f35a_28a2_2bee);
    }

    #[test]
    fn values_are_cut_to_size_and_keys_have_16_bytes() {
        let event = Event::new(7, 100);
        assert_eq!((event.key.as_str(), event.value.len(), event.size()), ("2c582b9e1961250f", 100, 116));
    }
}
