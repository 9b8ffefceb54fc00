//! What a seed stands for: everything that is decided before the run begins.

mod chaos;
mod consumer;
mod producer;

use std::time::Duration;

use milena_history::Name;

pub(crate) use chaos::{Act, ApiFault, Lie};
pub(crate) use consumer::{ConsumerPlan, Reading};
pub(crate) use producer::{ProducerPlan, Watching};

use crate::clock::ms;
use crate::rng::Rng;

/// Every seed is a cluster of this many nodes.
pub(crate) const NODES: usize = 3;
/// Every seed sends at least this many records.
pub(crate) const RECORDS_MIN: u64 = 2_000;
/// In every seed at least this many faults take effect.
pub(crate) const FAULTS_MIN: u64 = 5;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) topics: Vec<TopicPlan>,
    pub(crate) producers: Vec<ProducerPlan>,
    pub(crate) consumers: Vec<ConsumerPlan>,
    /// One way between a client and a node, at least and at most.
    pub(crate) latency_ms: (u64, u64),
    /// How long faults happen.
    pub(crate) period: Duration,
    /// What goes wrong, when, in order.
    pub(crate) chaos: Vec<(Duration, Act)>,
    /// A topic gets more partitions: which, when, and how many it has then.
    pub(crate) growth: Option<(usize, Duration, i32)>,
    /// After all is healed one node is frozen, and the partitions of the others are watched.
    pub(crate) has_isolation: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TopicPlan {
    pub(crate) name: Name,
    pub(crate) partitions: i32,
    pub(crate) configs: Vec<(&'static str, &'static str)>,
    /// A client creates it, in place of being there from the start.
    pub(crate) by_admin: bool,
}

impl Plan {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x6d69_6c65_6e61);
        let topics: Vec<_> = (0..rng.between(1, 3)).map(|index| TopicPlan::random(index, &mut rng)).collect();
        let period = ms(rng.between(3_000, 6_000));
        let growth = rng.percent(30).then(|| {
            let topic = rng.below(topics.len() as u64) as usize;
            let at = period.mul_f64(0.2 + 0.1 * rng.below(6) as f64);
            (topic, at, topics[topic].partitions + rng.between(1, 4) as i32)
        });
        let producer_count = rng.between(2, 4);
        let records = RECORDS_MIN / producer_count + rng.between(10, 100);
        let producers =
            (0..producer_count).map(|index| ProducerPlan::random(index, records, period, &mut rng)).collect();
        let consumers = (0..rng.between(1, 2)).map(|index| ConsumerPlan::random(index, &mut rng)).collect();
        let latency_ms = rng.pick(&[(0, 0), (0, 1), (1, 1), (1, 3), (2, 8)]);
        Self {
            seed,
            latency_ms,
            chaos: chaos::random(period, topics.len(), &mut rng),
            topics,
            producers,
            consumers,
            period,
            growth,
            has_isolation: rng.percent(25),
        }
    }

    /// How many partitions a topic has in the end.
    pub(crate) fn partitions_in_the_end(&self, topic: usize) -> i32 {
        match self.growth {
            Some((grown, _, partitions)) if grown == topic => partitions,
            _ => self.topics[topic].partitions,
        }
    }
}

impl TopicPlan {
    fn random(index: u64, rng: &mut Rng) -> Self {
        let mut configs = vec![("retention.ms", "-1")];
        if rng.percent(50) {
            configs.push(("min.insync.replicas", rng.pick(&["1", "2", "2", "3"])));
        }
        if rng.percent(15) {
            configs.push(("max.message.bytes", rng.pick(&["2000", "6000", "20000"])));
        }
        if rng.percent(20) {
            configs.push(("message.timestamp.type", "LogAppendTime"));
        }
        if rng.percent(10) {
            configs.push(("compression.type", rng.pick(&["lz4", "snappy"])));
        }
        if rng.percent(20) {
            configs.push(("segment.bytes", "1048576"));
        }
        let partitions = rng.pick(&[1, 1, 2, 3, 4, 6]);
        Self { name: format!("t{index}").into(), partitions, configs, by_admin: rng.percent(25) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_enough_records_and_faults() {
        for seed in 0..500 {
            let plan = Plan::of_seed(seed);
            let records: u64 = plan.producers.iter().map(|producer| producer.records).sum();
            assert!(records >= RECORDS_MIN, "seed {seed}: {records} records");
            assert!(plan.chaos.len() as u64 >= FAULTS_MIN, "seed {seed}: {} acts", plan.chaos.len());
            assert!(plan.chaos.is_sorted_by_key(|(at, _)| *at));
        }
    }

    #[test]
    fn one_seed_gives_one_plan() {
        let text = |seed| format!("{:?}", Plan::of_seed(seed));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }

    #[test]
    fn every_producer_is_valid() {
        for seed in 0..500 {
            for producer in &Plan::of_seed(seed).producers {
                assert_eq!(producer.config().validate(), Ok(()), "seed {seed}");
            }
        }
    }
}
