//! The brokers that partitions are fetched from: their fetch loops, what these wait for, and what they have in flight.

use std::collections::{BTreeMap, BTreeSet};

use milena_client::TopicPartition;

use super::Subscription;
use crate::core::ahead::Ahead;
use crate::core::fetching::{FetchId, Lane};
use crate::core::partition::Partition;
use crate::error::RecvError;

/// A fetch loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoopId {
    pub(crate) node_id: i32,
    pub(crate) lane: Lane,
}

/// A broker that partitions are fetched from.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) partitions: BTreeSet<TopicPartition>,
    main: LaneState,
    /// None until there was something that could not wait for the main lane.
    detour: Option<LaneState>,
    /// Turns the order of partitions, so that each comes first in its turn: a broker exceeds its limits only for the first one
    /// that has records (KIP-74).
    pub(super) turn: usize,
    /// How far ahead of the application it is asked.
    pub(super) ahead: Ahead,
    /// The error last told of this broker.
    pub(super) told: Option<RecvError>,
}

/// What one fetch loop does.
#[derive(Debug, Default)]
struct LaneState {
    waiting: Waiting,
    /// There is one at most, but for the moment in which a fetch loop takes over from one that was stopped.
    in_flight: BTreeMap<FetchId, Flight>,
}

/// A fetch without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// Bytes that are reserved for its answer.
    pub(super) reserved: usize,
    /// Whether the broker may hold the answer back for longer than anybody should wait.
    pub(super) is_long_poll: bool,
}

/// What a fetch loop that sends nothing waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waiting {
    No,
    /// No partition is to be fetched. So it is from the start: a loop may still run from the time when the broker was last in use.
    #[default]
    Work,
    /// Too much waits for the application already: there is no room for so many bytes.
    Room {
        wanted: usize,
    },
}

impl Node {
    fn new(answer_bytes_min: usize) -> Self {
        Self {
            partitions: BTreeSet::new(),
            main: LaneState::default(),
            detour: None,
            turn: 0,
            ahead: Ahead::new(answer_bytes_min),
            told: None,
        }
    }

    fn lane(&mut self, lane: Lane) -> Option<&mut LaneState> {
        match lane {
            Lane::Main => Some(&mut self.main),
            Lane::Detour => self.detour.as_mut(),
        }
    }

    /// Whether the main lane is occupied with a fetch that may take long, so that others need a detour.
    pub(super) fn is_long_polling(&self) -> bool {
        self.main.in_flight.values().any(|flight| flight.is_long_poll)
    }

    /// Whether partitions are on a detour just now, which the main lane would like to have.
    pub(super) fn is_detouring(&self) -> bool {
        self.detour.as_ref().is_some_and(|detour| !detour.in_flight.is_empty())
    }

    pub(super) fn start_flight(&mut self, lane: Lane, fetch_id: FetchId, flight: Flight) {
        if let Some(lane) = self.lane(lane) {
            lane.in_flight.insert(fetch_id, flight);
        }
    }

    fn end_flight(&mut self, fetch_id: FetchId) -> Option<Flight> {
        let on_main = self.main.in_flight.remove(&fetch_id);
        on_main.or_else(|| self.detour.as_mut()?.in_flight.remove(&fetch_id))
    }

    fn flights(&self) -> impl Iterator<Item = &Flight> {
        let detour = self.detour.iter().flat_map(|detour| detour.in_flight.values());
        self.main.in_flight.values().chain(detour)
    }

    fn lanes(&mut self) -> impl Iterator<Item = (Lane, &mut LaneState)> {
        let detour = self.detour.as_mut().map(|detour| (Lane::Detour, detour));
        std::iter::once((Lane::Main, &mut self.main)).chain(detour)
    }
}

impl Subscription {
    /// The fetch loops that are to run.
    pub(super) fn loops(&self) -> BTreeSet<LoopId> {
        let lanes = |node: &Node| [Some(Lane::Main), node.detour.as_ref().map(|_| Lane::Detour)];
        let ids = |(node_id, node): (&i32, &Node)| {
            let node_id = *node_id;
            lanes(node).into_iter().flatten().map(move |lane| LoopId { node_id, lane })
        };
        self.nodes.iter().flat_map(ids).collect()
    }

    pub(super) fn set_waiting(&mut self, id: LoopId, waiting: Waiting) {
        if let Some(lane) = self.nodes.get_mut(&id.node_id).and_then(|node| node.lane(id.lane)) {
            lane.waiting = waiting;
        }
    }

    /// A broker's fetch loop may find something to do: a partition that `wants_fetch`, or room.
    pub(super) fn wake_node(&mut self, node_id: Option<i32>, wants_fetch: bool) {
        let Some(node_id) = node_id else { return };
        self.wake_lane(LoopId { node_id, lane: Lane::Main });
        let Some(node) = self.nodes.get_mut(&node_id).filter(|node| wants_fetch && node.is_long_polling())
        else {
            return;
        };
        if node.detour.is_none() {
            node.detour = Some(LaneState::default());
            self.loops_changed = true;
            self.effects.manager = true;
        }
        self.wake_lane(LoopId { node_id, lane: Lane::Detour });
    }

    fn wake_lane(&mut self, id: LoopId) {
        if let Some(lane) = self.nodes.get_mut(&id.node_id).and_then(|node| node.lane(id.lane))
            && std::mem::replace(&mut lane.waiting, Waiting::No) != Waiting::No
        {
            self.effects.loops.push(id);
        }
    }

    /// Bytes became free: wakes those who waited for them.
    pub(super) fn wake_waiting_nodes(&mut self) {
        if !self.paused_buffers.is_empty() {
            return self.wake_nodes_that_want_room();
        }
        let nodes = self.nodes.len();
        for (node_id, node) in &mut self.nodes {
            let node_max = node.ahead.bytes();
            for (lane, state) in node.lanes() {
                if let Waiting::Room { wanted } = state.waiting
                    && self.budget.available(*node_id, wanted, nodes, node_max).is_some()
                {
                    state.waiting = Waiting::No;
                    self.effects.loops.push(LoopId { node_id: *node_id, lane });
                }
            }
        }
    }

    /// Paused partitions have something buffered, which can make room for whoever waits for some.
    pub(super) fn wake_nodes_that_want_room(&mut self) {
        for (node_id, node) in &mut self.nodes {
            for (lane, state) in node.lanes() {
                if matches!(state.waiting, Waiting::Room { .. }) {
                    state.waiting = Waiting::No;
                    self.effects.loops.push(LoopId { node_id: *node_id, lane });
                }
            }
        }
    }

    pub(super) fn join_node(&mut self, name: &TopicPartition, node_id: Option<i32>) {
        let Some(node_id) = node_id else { return };
        let node = self.nodes.entry(node_id).or_insert_with(|| Node::new(self.config.answer_bytes_min));
        if node.partitions.is_empty() {
            self.loops_changed = true;
            self.effects.manager = true;
        }
        node.partitions.insert(name.clone());
        let fetching = self.partitions.get(name).and_then(Partition::fetching);
        let wants_fetch = fetching.is_some_and(|fetching| fetching.wants_fetch());
        self.wake_node(Some(node_id), wants_fetch);
    }

    pub(super) fn leave_node(&mut self, name: &TopicPartition, node_id: Option<i32>) {
        let Some(node_id) = node_id else { return };
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        node.partitions.remove(name);
        if node.partitions.is_empty() {
            // Its fetch loops end; nobody waits for what is in flight.
            for flight in node.flights() {
                self.budget.release(node_id, flight.reserved);
            }
            self.nodes.remove(&node_id);
            self.loops_changed = true;
            self.effects.manager = true;
        }
    }

    /// Moves a partition between brokers after something that may have changed where it is fetched.
    pub(super) fn follow_node(&mut self, name: &TopicPartition, before: Option<i32>) {
        let partition = self.partitions.get(name);
        let after = partition.and_then(Partition::fetch_node);
        if before != after {
            let preferred = partition.and_then(Partition::preferred_replica);
            self.effects.preferred_replicas.push((name.clone(), preferred));
            self.leave_node(name, before);
            self.join_node(name, after);
        }
    }

    /// Gives the reservation for an answer back, unless that was done when the broker was left.
    pub(super) fn end_flight(&mut self, node_id: i32, fetch_id: FetchId) {
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        if let Some(flight) = node.end_flight(fetch_id) {
            self.budget.release(node_id, flight.reserved);
        }
    }
}
