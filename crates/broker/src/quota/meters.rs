//! The meters of those who are limited.

use std::collections::BTreeMap;

use milena_protocol::ByteStr;

use super::{Kind, Limit, Windows};

/// The most meters; whoever has not used its own for longest loses it for a new one, and begins again with nothing used.
const METERS_MAX: usize = 1_000;

/// A meter that nobody has used for so long is forgotten (Java: `INACTIVE_SENSOR_EXPIRATION_TIME_SECONDS`).
const IDLE_MS_MAX: i64 = 3_600_000;

/// Whose meter it is, of which kind: user and client id, none where it is shared by all of them.
pub(crate) type MeterOf = (Kind, Option<ByteStr>, Option<ByteStr>);

/// Meters of one sort, by whose they are.
#[derive(Debug)]
pub(crate) struct Meters<K, M> {
    pub(crate) windows: Windows,
    meters: BTreeMap<K, Metered<M>>,
}

#[derive(Debug)]
struct Metered<M> {
    meter: M,
    used_ms: i64,
}

impl Limit {
    /// The meter that a client of this limit is measured by.
    pub(crate) fn meter_of(&self, kind: Kind, user: &str, client_id: &str) -> MeterOf {
        (kind, self.by_user.then(|| user.into()), self.by_client.then(|| client_id.into()))
    }
}

impl<K: Ord + Clone, M: Default> Meters<K, M> {
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows, meters: BTreeMap::new() }
    }

    /// The meter of `whose`, a new one if there is none.
    pub(crate) fn of(&mut self, whose: K, now_ms: i64) -> &mut M {
        if self.meters.len() >= METERS_MAX && !self.meters.contains_key(&whose) {
            self.make_room(now_ms);
        }
        let metered =
            self.meters.entry(whose).or_insert_with(|| Metered { meter: M::default(), used_ms: now_ms });
        metered.used_ms = now_ms;
        &mut metered.meter
    }

    /// Forgets all, as when the node restarts.
    pub(crate) fn clear(&mut self) {
        self.meters.clear();
    }

    fn make_room(&mut self, now_ms: i64) {
        self.meters.retain(|_, metered| now_ms - metered.used_ms < IDLE_MS_MAX);
        if self.meters.len() < METERS_MAX {
            return;
        }
        let idlest = self.meters.iter().min_by_key(|(_, metered)| metered.used_ms);
        if let Some(idlest) = idlest.map(|(whose, _)| whose.clone()) {
            self.meters.remove(&idlest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_the_limit_and_the_idlest_goes() {
        let mut meters: Meters<usize, usize> = Meters::new(Windows { samples: 2, window_ms: 1000 });
        for whose in 0..METERS_MAX {
            *meters.of(whose, whose as i64) = whose + 1;
        }
        *meters.of(0, 5000) += 1;
        meters.of(METERS_MAX, 5000);
        assert_eq!(meters.meters.len(), METERS_MAX);
        assert_eq!((*meters.of(0, 5000), meters.meters.contains_key(&1)), (2, false));
        meters.of(METERS_MAX + 1, IDLE_MS_MAX + 4000);
        assert_eq!(meters.meters.len(), 3, "nobody else has used any for an hour");
    }
}
