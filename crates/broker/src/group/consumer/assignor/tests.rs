use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> Uuid {
    Uuid([number; 16])
}

/// Members by name, each with the numbers of its topics; topics by their numbers of partitions.
fn spec(members: &[(&str, &[u8])], partition_counts: &[i32]) -> Spec {
    let member = |topics: &[u8]| MemberSpec {
        topics: topics.iter().copied().map(topic).collect(),
        ..MemberSpec::default()
    };
    Spec {
        members: members.iter().map(|(name, topics)| ((*name).into(), member(topics))).collect(),
        partition_counts: (0..)
            .zip(partition_counts)
            .map(|(number, count)| (topic(number), *count))
            .collect(),
    }
}

/// The spec with what was assigned as the last assignment.
fn after(mut spec: Spec, targets: &Targets) -> Spec {
    for (member_id, member) in &mut spec.members {
        member.assigned = targets.get(member_id).cloned().unwrap_or_default();
    }
    spec
}

fn load(target: &Partitions) -> usize {
    target.values().map(BTreeSet::len).sum()
}

fn loads(targets: &Targets) -> Vec<usize> {
    targets.values().map(load).collect()
}

fn is_subset(one: &Partitions, other: &Partitions) -> bool {
    one.iter().all(|(topic, partitions)| other.get(topic).is_some_and(|others| partitions.is_subset(others)))
}

/// Every partition of every subscribed topic has exactly one owner, who is subscribed to it.
fn assert_complete(spec: &Spec, targets: &Targets) {
    let mut assigned = BTreeSet::new();
    for (member_id, target) in targets {
        for (topic, partitions) in target {
            assert!(
                spec.members[member_id].topics.contains(topic),
                "{member_id} is not subscribed to {topic}"
            );
            for partition in partitions {
                assert!(assigned.insert((*topic, *partition)), "{topic}-{partition} has two owners");
            }
        }
    }
    let subscribed: BTreeSet<&Uuid> = spec.members.values().flat_map(|member| &member.topics).collect();
    let expected: i32 = subscribed.into_iter().map(|topic| spec.partition_count(topic)).sum();
    assert_eq!(assigned.len(), expected as usize);
    assert!(targets.keys().eq(spec.members.keys()));
}

/// Nobody has two partitions more than somebody who could take one of them.
fn assert_balanced(spec: &Spec, targets: &Targets) {
    for (giver, target) in targets {
        for topic in target.keys() {
            for (taker, member) in &spec.members {
                let is_even = load(target) <= load(&targets[taker]) + 1;
                assert!(is_even || !member.topics.contains(topic), "{giver} should give {topic} to {taker}");
            }
        }
    }
}

#[test]
fn ranges_put_the_same_partitions_of_all_topics_together() {
    let spec = spec(&[("a", &[0, 1]), ("b", &[0, 1]), ("c", &[1])], &[3, 4]);
    let targets = Assignor::Range.assign(&spec);
    let range = |range: std::ops::Range<i32>| range.collect::<BTreeSet<i32>>();
    assert_eq!(targets["a"], Partitions::from([(topic(0), range(0..2)), (topic(1), range(0..2))]));
    assert_eq!(targets["b"], Partitions::from([(topic(0), range(2..3)), (topic(1), range(2..3))]));
    assert_eq!(targets["c"], Partitions::from([(topic(1), range(3..4))]));
}

#[test]
fn ranges_go_to_static_members_first_by_their_instances() {
    let mut spec = spec(&[("a", &[0]), ("b", &[0]), ("c", &[0])], &[3]);
    for (member, instance) in [("c", "first"), ("b", "second")] {
        let member = spec.members.get_mut(member).expect("a member");
        member.instance_id = Some(instance.into());
    }
    let targets = Assignor::Range.assign(&spec);
    let first = |member: &str| targets[member][&topic(0)].first().copied();
    assert_eq!((first("c"), first("b"), first("a")), (Some(0), Some(1), Some(2)));
}

#[test]
fn a_member_without_topics_is_assigned_nothing() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let spec = spec(&[("a", &[]), ("b", &[0])], &[2]);
        assert_eq!(loads(&assignor.assign(&spec)), [0, 2]);
        let nobody = Spec::default();
        assert_eq!(assignor.assign(&nobody), Targets::new());
    }
}

#[test]
fn who_can_only_have_one_topic_gets_it() {
    // "b" can only have topic 1, so "a" should leave it that one.
    let spec = spec(&[("a", &[0, 1]), ("b", &[1])], &[3, 3]);
    assert_eq!(loads(&Assignor::Uniform.assign(&spec)), [3, 3]);
}

/// Up to seven members with subscriptions to up to five topics of up to nine partitions.
fn specs() -> impl Strategy<Value = Spec> {
    let members = prop::collection::btree_map("[a-z]{2}", prop::collection::btree_set(0u8..5, 0..5), 1..8);
    (members, prop::collection::vec(0i32..10, 5)).prop_map(|(members, counts)| Spec {
        members: members
            .into_iter()
            .map(|(name, topics)| {
                let topics = topics.into_iter().map(topic).collect();
                (ByteStr::from(name), MemberSpec { topics, ..MemberSpec::default() })
            })
            .collect(),
        partition_counts: (0..).zip(counts).map(|(number, count)| (topic(number), count)).collect(),
    })
}

/// The same, but with one subscription for all.
fn homogeneous_specs() -> impl Strategy<Value = Spec> {
    (specs(), prop::collection::btree_set(0u8..5, 0..5)).prop_map(|(mut spec, topics)| {
        let topics: BTreeSet<Uuid> = topics.into_iter().map(topic).collect();
        spec.members.values_mut().for_each(|member| member.topics.clone_from(&topics));
        spec
    })
}

proptest! {
    #[test]
    fn all_partitions_are_assigned_once_and_evenly(first in specs(), then in specs()) {
        let targets = Assignor::Uniform.assign(&first);
        assert_complete(&first, &targets);
        assert_balanced(&first, &targets);
        // Members of the same name carry over what they have, though the topics may be other ones now.
        let mut then = after(then, &targets);
        then.partition_counts = first.partition_counts;
        let targets = Assignor::Uniform.assign(&then);
        assert_complete(&then, &targets);
        assert_balanced(&then, &targets);
        assert_complete(&then, &Assignor::Range.assign(&then));
    }

    #[test]
    fn an_assignment_that_is_good_stays(spec in specs()) {
        let targets = Assignor::Uniform.assign(&spec);
        prop_assert_eq!(Assignor::Uniform.assign(&after(spec, &targets)), targets);
    }

    #[test]
    fn a_member_that_comes_or_goes_moves_no_partition_between_others(spec in homogeneous_specs()) {
        let all = Assignor::Uniform.assign(&spec);
        let loads = loads(&all);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        let mut spec = after(spec, &all);
        let (name, gone) = spec.members.pop_first().expect("at least one member");
        let without = Assignor::Uniform.assign(&spec);
        for (member_id, target) in &without {
            prop_assert!(is_subset(&all[member_id], target), "{} lost something", member_id);
        }
        let mut spec = after(spec, &without);
        spec.members.insert(name.clone(), MemberSpec { assigned: Partitions::new(), ..gone });
        let again = Assignor::Uniform.assign(&spec);
        for (member_id, target) in &without {
            prop_assert!(is_subset(&again[member_id], target), "{} won something", member_id);
        }
        // Who has one more than others keeps it, so the newcomer has no more than it must.
        let total: usize = loads.iter().sum();
        prop_assert_eq!(load(&again[&name]), total / again.len());
    }
}
