use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milena_protocol::{ByteStr, Uuid};

use crate::canned::Canned;

/// Topics that were asked for; every name is one.
#[derive(Default)]
pub(crate) struct Topics {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    names: HashMap<Uuid, ByteStr>,
    /// `None` for a topic without records.
    canned: HashMap<ByteStr, Option<Arc<Canned>>>,
}

const USUAL_PARTITIONS: i32 = 6;

/// How many partitions a topic with this name has.
pub(crate) fn partition_count(name: &str) -> i32 {
    let number = name.rsplit_once("-x").and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(USUAL_PARTITIONS)
}

impl Topics {
    /// The id of a topic: made of its name, so that it is the same in every run.
    pub(crate) fn id(&self, name: &ByteStr) -> Uuid {
        let hash = |seed: u64| {
            name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        };
        let halves = [hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142)].map(u64::to_be_bytes);
        let id = Uuid(halves.concat().try_into().expect("two halves of 8 bytes"));
        self.lock().names.insert(id, name.clone());
        id
    }

    pub(crate) fn name(&self, id: &Uuid) -> ByteStr {
        self.lock().names.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> Vec<ByteStr> {
        self.lock().names.values().cloned().collect()
    }

    /// What a topic's name says that it has.
    pub(crate) fn canned(&self, name: &ByteStr) -> Option<Arc<Canned>> {
        let make = || Canned::of_topic(name).map(Arc::new);
        self.lock().canned.entry(name.clone()).or_insert_with(make).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
