//! The administrator: creates topics and lets them grow while others work.

use std::sync::Arc;
use std::time::Duration;

use milena_admin::{Admin, NewPartitions, TopicSpec};
use milena_broker::ErrorCode;
use milena_history::Note;

use crate::clock::{self, ms};
use crate::world::World;

/// How often something is tried; by then all faults are healed.
const ATTEMPTS_MAX: u32 = 50;

/// Something to do.
#[derive(Debug)]
enum Job {
    Create(TopicSpec),
    /// To so many partitions.
    Grow(String, i32),
}

/// Does all that an administrator has to do in a run.
pub(crate) async fn run(world: Arc<World>) {
    let admin = Admin::new(world.client("admin", ms(1_500)));
    for topic in world.plan.topics.iter().filter(|topic| topic.by_admin) {
        let mut spec = TopicSpec::new(&*topic.name).partitions(topic.partitions).replication_factor(3);
        for (name, value) in &topic.configs {
            spec = spec.config(*name, *value);
        }
        insist(&world, &admin, Job::Create(spec)).await;
    }
    let Some((topic, at, total)) = world.plan.growth else { return };
    clock::sleep(at.saturating_sub(Duration::from_micros(world.recorder.at_us()))).await;
    let name = world.plan.topics[topic].name.to_string();
    insist(&world, &admin, Job::Grow(name, total)).await;
}

/// Tries until it is done.
async fn insist(world: &World, admin: &Admin, job: Job) {
    for _ in 0..ATTEMPTS_MAX {
        match attempt(world, admin, &job).await {
            Ok(()) => return world.recorder.note(Note::Text(format!("done: {job:?}"))),
            Err(error) => world.recorder.trace(|| format!("admin {job:?}: {error}")),
        }
        clock::sleep(ms(200)).await;
    }
    world.recorder.note(Note::Stuck { what: format!("{job:?}") });
}

async fn attempt(world: &World, admin: &Admin, job: &Job) -> Result<(), String> {
    match job {
        Job::Create(spec) => match admin.create_topic(spec.clone()).await {
            Ok(_) => Ok(()),
            // An earlier attempt did it, and its answer was lost.
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        Job::Grow(name, total) if world.cluster.partitions(name) == *total => Ok(()),
        Job::Grow(name, total) => {
            let grown = admin.create_partitions([NewPartitions::new(name, *total)]).await;
            grown.all().map(drop).map_err(|error| error.to_string())
        }
    }
}
