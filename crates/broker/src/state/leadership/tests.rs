use super::*;

/// The rules while these nodes are down.
struct Down<'a>(&'a [NodeId]);

impl Down<'_> {
    /// Without eligible leader replicas.
    fn by(&self, act: impl FnOnce(&Rules<'_>)) {
        act(&Rules {
            is_alive: &|node| !self.0.contains(&node),
            eligible_below: None,
            allows_unclean: false,
        });
    }

    fn by_min_isr(&self, min_insync_replicas: usize, act: impl FnOnce(&Rules<'_>)) {
        let is_alive = &|node| !self.0.contains(&node);
        act(&Rules { is_alive, eligible_below: Some(min_insync_replicas), allows_unclean: false });
    }
}

fn three() -> Leadership {
    Leadership::new(vec![2, 3, 1], |_| true)
}

/// Leader, leader epoch, ISR.
fn roles(leadership: &Leadership) -> (Option<NodeId>, i32, Vec<NodeId>) {
    (leadership.leader, leadership.leader_epoch, leadership.isr.clone())
}

/// Leader, ISR, who is eligible, who led last.
fn eligible(leadership: &Leadership) -> (Option<NodeId>, &[NodeId], &[NodeId], Option<NodeId>) {
    (leadership.leader, &leadership.isr, &leadership.eligible, leadership.last_leader)
}

#[test]
fn every_transition_without_eligible_replicas() {
    let mut it = three();
    Down(&[3]).by(|rules| assert!(it.node_lost(3, rules), "a follower leaves the ISR"));
    assert_eq!(roles(&it), (Some(2), 0, vec![2, 1]));
    Down(&[3, 2]).by(|rules| assert!(it.node_lost(2, rules), "the leader leaves: the next in sync leads"));
    assert_eq!(roles(&it), (Some(1), 1, vec![1]));
    Down(&[1, 2, 3]).by(|rules| {
        assert!(it.node_lost(1, rules), "the last in sync stays in the ISR, and nobody leads");
        assert_eq!(roles(&it), (None, 2, vec![1]));
        assert!(!it.node_lost(1, rules));
    });
    Down(&[1, 3]).by(|rules| assert!(!it.node_back(2, rules), "a replica out of sync may not lead"));
    Down(&[3]).by(|rules| {
        assert!(!it.node_crashed(1, rules), "nobody looks");
        assert!(it.node_back(1, rules));
        assert_eq!(roles(&it), (Some(1), 3, vec![1, 2]), "whoever is alive catches up");
    });
    Down(&[]).by(|rules| {
        assert!(it.node_back(3, rules), "a replica comes back into sync without a new leader epoch");
        assert_eq!(roles(&it), (Some(1), 3, vec![1, 2, 3]));
        assert!(!it.node_back(3, rules) && !it.node_back(9, rules));
    });
    assert_eq!(eligible(&it), (Some(1), &[1, 2, 3][..], &[][..], None));
    assert_eq!(it.partition_epoch, 5);
}

#[test]
fn dead_replicas_neither_lead_nor_are_in_sync_at_creation() {
    assert_eq!(roles(&Leadership::new(vec![1, 2], |node| node == 2)), (Some(2), 0, vec![2]));
}

#[test]
fn elect_and_resign_begin_new_epochs() {
    let mut it = three();
    Down(&[]).by(|rules| it.elect(1, rules));
    assert_eq!(roles(&it), (Some(1), 1, vec![2, 3, 1]));
    it.resign();
    assert_eq!(roles(&it), (None, 2, vec![2, 3, 1]));
}

#[test]
fn an_unclean_leader_is_alone_in_sync() {
    let mut it = three();
    Down(&[2, 3, 1]).by(|rules| {
        for node in [2, 3, 1] {
            it.node_lost(node, rules);
        }
    });
    assert_eq!(roles(&it), (None, 1, vec![1]));
    Down(&[2, 1]).by(|rules| {
        assert!(!it.elect_if_possible(rules));
        assert!(it.elect_if_possible(&Rules { allows_unclean: true, ..*rules }));
    });
    assert_eq!(roles(&it), (Some(3), 2, vec![3]));
}

#[test]
fn a_reassigned_partition_keeps_its_leader_if_it_can() {
    let mut it = three();
    Down(&[]).by(|rules| it.reassign(&[1, 2], rules));
    assert_eq!(roles(&it), (Some(2), 1, vec![1, 2]), "a replica is gone: a new epoch");
    Down(&[3]).by(|rules| it.reassign(&[3, 1], rules));
    assert_eq!(roles(&it), (Some(1), 2, vec![1]));
    assert_eq!((it.replicas.clone(), it.partition_epoch), (vec![3, 1], 2));
    Down(&[3]).by(|rules| it.reassign(&[3, 1], rules));
    assert_eq!(it.partition_epoch, 2, "the same replicas again change nothing");
}

#[test]
fn who_is_no_replica_any_more_never_leads_again() {
    let mut it = Leadership::new(vec![1, 2], |_| true);
    Down(&[3]).by_min_isr(2, |rules| it.reassign(&[3], rules));
    assert_eq!(eligible(&it), (None, &[][..], &[][..], None));
    Down(&[]).by_min_isr(2, |rules| {
        it.node_back(3, rules);
    });
    assert!(it.leader.is_none_or(|leader| leader == 3), "{:?} leads", it.leader);
}

#[test]
fn min_isr_is_capped_by_the_replication_factor() {
    let mut it = Leadership::new(vec![1, 2], |_| true);
    assert!(it.has_min_isr(3));
    Down(&[2]).by(|rules| assert!(it.node_lost(2, rules)));
    assert!(!it.has_min_isr(2) && it.has_min_isr(1));
}

#[test]
fn who_leaves_while_too_few_are_in_sync_is_eligible_until_there_are_enough() {
    let mut it = three();
    Down(&[3]).by_min_isr(2, |rules| assert!(it.node_lost(3, rules)));
    assert_eq!(eligible(&it), (Some(2), &[2, 1][..], &[][..], None), "two are enough");
    Down(&[3, 1]).by_min_isr(2, |rules| assert!(it.node_lost(1, rules)));
    assert_eq!(eligible(&it), (Some(2), &[2][..], &[1][..], None));
    Down(&[3, 1, 2]).by_min_isr(2, |rules| assert!(it.node_lost(2, rules)));
    assert_eq!(eligible(&it), (None, &[][..], &[1, 2][..], Some(2)), "nobody is in sync any more");
    Down(&[1, 2]).by_min_isr(2, |rules| assert!(!it.node_back(3, rules), "it has missed something"));
    Down(&[2]).by_min_isr(2, |rules| assert!(it.node_back(1, rules), "it has not"));
    assert_eq!(eligible(&it), (Some(1), &[1, 3][..], &[][..], None));
}

#[test]
fn who_has_crashed_is_not_eligible_but_the_last_leader_may_lead_when_nobody_else_is() {
    let mut it = three();
    it.set_isr(&[2], &Rules { is_alive: &|_| true, eligible_below: Some(2), allows_unclean: false });
    assert_eq!(eligible(&it), (Some(2), &[2][..], &[1, 3][..], None));
    Down(&[1, 2, 3]).by_min_isr(2, |rules| {
        assert!(it.node_lost(2, rules));
        assert_eq!(eligible(&it), (None, &[][..], &[1, 2, 3][..], Some(2)));
        assert!(it.node_crashed(2, rules));
        assert_eq!(eligible(&it), (None, &[][..], &[1, 3][..], Some(2)));
    });
    Down(&[1, 3]).by_min_isr(2, |rules| assert!(!it.node_back(2, rules), "others may know better"));
    Down(&[1, 3]).by_min_isr(2, |rules| {
        assert!(it.node_crashed(1, rules));
        assert_eq!(it.leader, None);
        assert!(it.node_crashed(3, rules), "they do not");
        assert_eq!(eligible(&it), (Some(2), &[2][..], &[][..], None));
    });
}

#[test]
fn another_min_isr_has_who_is_eligible_forgotten() {
    let mut it = three();
    it.set_isr(&[2], &Rules { is_alive: &|_| true, eligible_below: Some(2), allows_unclean: false });
    it.forget_eligible();
    assert_eq!(eligible(&it), (Some(2), &[2][..], &[][..], None));
    assert_eq!(it.partition_epoch, 2);
}

#[test]
fn the_preferred_replica_leads_if_it_may() {
    let mut it = three();
    Down(&[2]).by_min_isr(1, |rules| {
        assert!(it.node_lost(2, rules));
        assert!(!it.elect_preferred(rules), "it is dead");
    });
    Down(&[]).by_min_isr(1, |rules| {
        assert!(!it.elect_preferred(rules), "it is not in sync");
        assert!(it.node_back(2, rules) && it.elect_preferred(rules));
    });
    assert_eq!(roles(&it), (Some(2), 2, vec![3, 1, 2]));
}
