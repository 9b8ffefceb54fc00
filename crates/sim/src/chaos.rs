//! Makes things go wrong, as the plan says, and puts everything right in the end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milena_broker::{Fault, FaultBuilder};
use milena_client::env::Task;
use milena_history::Note;

use crate::clock::{self, ms};
use crate::net::{Rule, Scope};
use crate::plan::{Act, ApiFault, FAULTS_MIN, Lie, NODES};
use crate::world::World;

/// Carries out a plan's acts.
pub(crate) struct Chaos {
    world: Arc<World>,
    /// How many have taken effect.
    fired: Arc<AtomicU64>,
    /// What lasts for a while.
    lasting: Vec<Task>,
    outages: Outages,
}

/// Which nodes are down, or about to be: two outages of one node at once would undo each other.
#[derive(Clone, Default)]
struct Outages {
    nodes: Arc<Mutex<BTreeSet<i32>>>,
}

impl Outages {
    /// False if the node is down already.
    fn begin(&self, act: &Act) -> bool {
        act.outage().is_none_or(|node| self.nodes().insert(node))
    }

    fn end(&self, act: &Act) {
        act.outage().inspect(|node| {
            self.nodes().remove(node);
        });
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chaos {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), fired: Arc::default(), lasting: Vec::new(), outages: Outages::default() }
    }

    /// Does what the plan says, and then more of it until enough has happened; then ends all of it. Returns how many faults took
    /// effect.
    pub(crate) async fn run(mut self) -> u64 {
        let acts = self.world.plan.chaos.clone();
        let started = clock::now();
        for (at, act) in &acts {
            let elapsed = clock::now() - started;
            clock::sleep(at.saturating_sub(elapsed)).await;
            self.perform(act.clone());
        }
        clock::sleep(self.world.plan.period.saturating_sub(clock::now() - started)).await;
        // Rules that nothing has come across have not fired; leaders can always be moved.
        for node in (1..=NODES as i32).cycle().take(20) {
            if self.fired.load(Ordering::Relaxed) >= FAULTS_MIN {
                break;
            }
            self.perform(Act::MoveLeader { topic: 0, partition: node as u64, node });
            clock::sleep(ms(50)).await;
        }
        for task in std::mem::take(&mut self.lasting) {
            task.join().await;
        }
        heal(&self.world).await;
        self.fired.load(Ordering::Relaxed)
    }

    fn perform(&mut self, act: Act) {
        let (world, fired) = (self.world.clone(), self.fired.clone());
        world.recorder.trace(|| format!("chaos {act:?}"));
        self.lasting.retain(|task| !task.is_finished());
        let outages = self.outages.clone();
        self.lasting.push(self.world.env.spawn(async move {
            if !outages.begin(&act) {
                return;
            }
            if perform(&world, act.clone()).await {
                fired.fetch_add(1, Ordering::Relaxed);
            }
            outages.end(&act);
        }));
    }
}

/// Ends everything that may still be wrong.
async fn heal(world: &World) {
    world.recorder.trace(|| "chaos ends".to_owned());
    let faults = world.cluster.faults();
    faults.clear();
    for node in 1..=NODES as i32 {
        faults.unfreeze(node);
        faults.resume_reading(node);
        faults.restart(node).await.expect("nodes without sockets have ports that nobody takes");
    }
    for (topic, partition) in world.partitions() {
        if world.cluster.leader(&topic, partition).is_none() {
            faults.move_leader(&topic, partition, 1);
        }
        faults.set_isr(&topic, partition, &[1, 2, 3]);
    }
    world.network.heal();
}

/// Does one thing, to its end. False if it had no effect on anything.
async fn perform(world: &World, act: Act) -> bool {
    let faults = world.cluster.faults();
    let restart = async |node: i32| {
        faults.restart(node).await.expect("nodes without sockets have ports that nobody takes");
    };
    match act {
        Act::Kill { node, down } => {
            faults.kill(node).await;
            clock::sleep(down).await;
            restart(node).await;
        }
        Act::Stop { node, down } => {
            faults.stop(node).await;
            clock::sleep(down).await;
            restart(node).await;
        }
        Act::KillUnnoticed { node, noticed_after, down } => {
            faults.kill_unnoticed(node).await;
            clock::sleep(noticed_after).await;
            faults.notice(node);
            clock::sleep(down.saturating_sub(noticed_after)).await;
            restart(node).await;
        }
        Act::Freeze { node, lasting } => {
            faults.freeze(node);
            clock::sleep(lasting).await;
            faults.unfreeze(node);
        }
        Act::StopReading { node, lasting } => {
            faults.stop_reading(node);
            clock::sleep(lasting).await;
            faults.resume_reading(node);
        }
        Act::Disconnect { node } => {
            let connections = world.cluster.connections(node);
            faults.disconnect(node).await;
            return connections > 0;
        }
        Act::MoveLeader { topic, partition, node } => {
            let Some((topic, partition)) = world.partition(topic, partition) else { return false };
            return faults.move_leader(&topic, partition, node);
        }
        Act::LoseLeader { topic, partition, node, lasting } => {
            let Some((topic, partition)) = world.partition(topic, partition) else { return false };
            faults.lose_leader(&topic, partition);
            clock::sleep(lasting).await;
            faults.move_leader(&topic, partition, node);
        }
        Act::ShrinkIsr { topic, partition, lasting } => {
            let Some((topic, partition)) = world.partition(topic, partition) else { return false };
            let leader = world.cluster.leader(&topic, partition).unwrap_or(1);
            faults.set_isr(&topic, partition, &[leader]);
            clock::sleep(lasting).await;
            faults.set_isr(&topic, partition, &[1, 2, 3]);
        }
        Act::ExpireSessions { node } => {
            let sessions = world.cluster.fetch_sessions(node);
            faults.expire_fetch_sessions(node);
            return sessions > 0;
        }
        Act::TurnClock { by_ms } => faults.turn_clock(by_ms),
        Act::Api { api, fault, times, percent, lasting } => {
            let rule = faults.on(api).times(times).with_probability(percent as f64 / 100.0);
            return wait_for(add(rule, fault), lasting).await;
        }
        Act::Partition { api, topic, partition, error, times, lasting } => {
            let Some((topic, partition)) = world.partition(topic, partition) else { return false };
            let rule = faults.on(api).partition(&topic, partition).times(times).answer_with(error);
            return wait_for(rule, lasting).await;
        }
        Act::Lie { topic, partition, lie, lasting } => {
            let Some((topic, partition)) = world.partition(topic, partition) else { return false };
            let rule = match lie {
                Lie::HideTopic => faults.on_any().topic(&topic).always().hide_topic(),
                Lie::Leader(leader) => {
                    faults.on_any().partition(&topic, partition).always().report_leader(leader)
                }
                Lie::LeaderEpoch(leader_epoch) => {
                    faults.on_any().partition(&topic, partition).always().report_leader_epoch(leader_epoch)
                }
            };
            return wait_for(rule, lasting).await;
        }
        Act::Corrupt { topic, partition, position } => return corrupt(world, topic, partition, position),
        Act::Network { node, client, effect, lasting } => {
            let client = client.and_then(|client| client_name(world, client));
            let rule = world.network.impose(Rule { scope: Scope { client, node }, effect });
            clock::sleep(lasting).await;
            return world.network.lift(rule) > 0;
        }
        Act::Reset { node } => return world.network.reset(&Scope { client: None, node }) > 0,
        Act::HalfOpen { node } => {
            return world.network.half_open(&Scope { client: None, node: Some(node) }) > 0;
        }
        Act::Truncate { node, direction, keep_bytes } => {
            let scope = Scope { client: None, node: Some(node) };
            return world.network.truncate(&scope, direction, keep_bytes) > 0;
        }
    }
    true
}

fn add(rule: FaultBuilder, fault: ApiFault) -> Fault {
    match fault {
        ApiFault::Answer(error) => rule.answer_with(error),
        ApiFault::CloseBeforeWork => rule.close_before_work(),
        ApiFault::LoseAnswer => rule.lose_answer(),
        ApiFault::TruncateAnswer => rule.truncate_answer(),
        ApiFault::DelayWork(delay) => rule.delay_work(delay),
        ApiFault::DelayAnswer(delay) => rule.delay_answer(delay),
        ApiFault::Twice => rule.deliver_twice(),
    }
}

async fn wait_for(rule: Fault, lasting: Duration) -> bool {
    clock::sleep(lasting).await;
    rule.remove();
    rule.fired() > 0
}

fn client_name(world: &World, number: usize) -> Option<String> {
    let producers = world.plan.producers.iter().map(|producer| producer.name.as_str());
    let mut names: Vec<_> = producers.collect();
    names.extend(world.plan.consumers.iter().map(|consumer| consumer.name.as_str()));
    names.get(number % names.len()).map(|name| (*name).to_owned())
}

/// Damages a stored batch, and notes that its records cannot be read.
fn corrupt(world: &World, topic: usize, partition: u64, position: u64) -> bool {
    let Some((topic, partition)) = world.partition(topic, partition) else { return false };
    let Some(log) = world.cluster.log(&topic, partition) else { return false };
    let Some(index) = position.checked_rem(log.batches.len() as u64) else { return false };
    let batch = &log.batches[index as usize];
    // Damaged twice, it would be whole again.
    if batch.records().is_err() {
        return false;
    }
    let (from, to) = (batch.base_offset, batch.last_offset + 1);
    world.recorder.note(Note::Unreadable { topic: topic.clone(), partition, from, to });
    world.cluster.faults().corrupt_batch(&topic, partition, from)
}
