//! The records that benchmarks send: made before the clock starts, and the same in every run and for every client that is
//! compared. Pure.

use milena::HeaderRef;
use milena_bench_events::{COUNT, Event, pool_of};

/// The headers of an event's record, from a pool that has them.
pub(super) fn headers(event: &Event) -> [HeaderRef<'_>; 5] {
    std::array::from_fn(|index| {
        let (name, value) = &event.headers[index];
        HeaderRef { key: name, value: Some(value.as_bytes()) }
    })
}

/// What a record of an event takes alone in a batch, at least.
pub(super) fn record_bytes(size: usize, with_headers: bool) -> usize {
    let event = Event::new(0, size);
    let headers = event.headers.iter().map(|(name, value)| name.len() + value.len());
    event.size() + if with_headers { headers.sum() } else { 0 }
}

/// What the pool may take: fewer events are made if values are very large.
const POOL_BYTES_MAX: usize = 256 << 20;

/// The events, with values of `size` bytes, and headers if they are sent.
pub(super) fn pool(size: usize, with_headers: bool) -> Vec<Event> {
    pool_of(COUNT.min(POOL_BYTES_MAX / size.max(1)).max(1), size, with_headers)
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
        for event in pool(size, true) {
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
