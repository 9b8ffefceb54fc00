//! One seed, from start to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena_history::{Event, History, Note, Violation, check};

use crate::chaos::Chaos;
use crate::clock::{ms, within};
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::work::producer::Ids;
use crate::work::{admin, consumer, isolation, producer, reader};
use crate::world::World;

/// Far longer than any run takes, on the virtual clock, unless it hangs.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// How long producers may take once all faults are healed.
const PRODUCERS_LIMIT: Duration = Duration::from_secs(300);

/// What came of a seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// How many records were sent.
    pub records: u64,
    /// How many faults took effect.
    pub faults: u64,
    /// How much virtual time went by.
    pub lasted: Duration,
    /// What the checkers found.
    pub violations: Vec<Violation>,
    /// Everything that happened to clients.
    pub history: History,
    /// Everything that happened, a line for each event; empty unless it was asked for.
    pub trace: String,
}

/// Runs a seed on this thread. With the same code, the same seed gives the same history and trace.
///
/// # Panics
/// Where the code that is simulated does.
pub fn run(seed: u64, has_trace: bool) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // No threads and no sockets are asked for.
    let runtime = runtime.expect("a runtime with a timer only needs nothing of the system");
    runtime.block_on(async {
        let recorder = Recorder::new(has_trace);
        let (mut records, mut faults) = (0, 0);
        let whole = async {
            let ids = Ids::default();
            faults = story(Plan::of_seed(seed), &recorder, &ids).await;
            records = ids.count();
        };
        if within(RUN_LIMIT, whole).await.is_none() {
            recorder.note(Note::Stuck { what: format!("the run, after {RUN_LIMIT:?}") });
        }
        let lasted = Duration::from_micros(recorder.at_us());
        let (history, trace) = recorder.finish();
        Run { seed, records, faults, lasted, violations: check(&history), history, trace }
    })
}

/// Everything that happens in a run; returns how many faults took effect.
async fn story(plan: Plan, recorder: &Recorder, ids: &Ids) -> u64 {
    recorder.event(Event::Meta {
        final_committed: Vec::new(),
        final_uncommitted: vec![reader::NAME.into()],
        eos: Vec::new(),
        idempotent: true,
        partitions_added: plan.growth.is_some(),
    });
    let world = World::start(plan, recorder.clone()).await.expect("plans make valid clusters");
    let world = Arc::new(world);
    let env = &world.env;
    let administering = env.spawn(admin::run(world.clone()));
    let no_more = Arc::new(AtomicBool::new(false));
    let consumers = world.plan.consumers.iter().cloned();
    let consumers: Vec<_> =
        consumers.map(|plan| env.spawn(consumer::run(world.clone(), plan, no_more.clone()))).collect();
    let producers = world.plan.producers.iter().cloned();
    let producers: Vec<_> =
        producers.map(|plan| env.spawn(producer::run(world.clone(), plan, ids.clone()))).collect();

    let faults = Chaos::new(&world).run().await;
    administering.join().await;
    let producing = async {
        for producer in producers {
            producer.join().await;
        }
    };
    if within(PRODUCERS_LIMIT, producing).await.is_none() {
        recorder.note(Note::Stuck { what: "the producers do not come to their end".to_owned() });
    }
    if world.plan.has_isolation {
        isolation::run(&world, ids).await;
    }
    // Requests that clients have given up may still be on their way through a node.
    crate::clock::sleep(ms(4_000)).await;
    no_more.store(true, Ordering::Relaxed);
    for consumer in consumers {
        consumer.join().await;
    }
    reader::run(&world).await;
    faults
}
