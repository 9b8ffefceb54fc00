//! Whether what was read back is what was acknowledged. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::story::{JOURNEY, Message, UserEvent};

/// A message and where the broker said that it is.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) message: Message,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The record's timestamp: the broker's own, if the topic is set up so.
    pub(super) timestamp_ms: i64,
}

/// A record of this demonstration, as it was read.
#[derive(Clone, Debug)]
pub(super) struct ReadBack {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: String,
    pub(super) event: UserEvent,
    pub(super) timestamp_ms: i64,
    pub(super) headers: Vec<(String, String)>,
}

/// One user's journey, as it is in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserJourney {
    pub(super) user_id: String,
    pub(super) partitions: BTreeSet<i32>,
    /// Steps and offsets, as they follow one another in the topic.
    pub(super) steps: Vec<(usize, i64)>,
}

impl UserJourney {
    /// Whether all is in one partition, each step once, and in order.
    fn is_in_order(&self) -> bool {
        let offsets_rise = self.steps.windows(2).all(|pair| pair[0].1 < pair[1].1);
        let steps = self.steps.iter().map(|(step, _)| *step);
        self.partitions.len() == 1 && offsets_rise && steps.eq(1..=JOURNEY.len())
    }
}

/// The journeys in the topic, by user.
pub(super) fn journeys(read: &[ReadBack]) -> Vec<UserJourney> {
    let mut users = BTreeMap::<&str, UserJourney>::new();
    for record in read {
        let user_id = record.event.user_id.as_str();
        let journey = users.entry(user_id).or_insert_with(|| UserJourney {
            user_id: user_id.to_owned(),
            partitions: BTreeSet::new(),
            steps: Vec::new(),
        });
        journey.partitions.insert(record.partition);
        journey.steps.push((record.event.step, record.offset));
    }
    users.into_values().collect()
}

/// Everything that is not as it should be; nothing if all is well.
///
/// `read` are the records of this demonstration, each partition's in the order in which they were read.
pub(super) fn problems(acknowledged: &[Acknowledged], read: &[ReadBack]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut unread: BTreeMap<(i32, i64), &Acknowledged> =
        acknowledged.iter().map(|ack| ((ack.partition, ack.offset), ack)).collect();
    if unread.len() < acknowledged.len() {
        problems.push(format!(
            "{} acknowledgements name the place of another",
            acknowledged.len() - unread.len()
        ));
    }
    for record in read {
        let place = format!("{}@{}", record.partition, record.offset);
        match unread.remove(&(record.partition, record.offset)) {
            None => problems.push(format!(
                "{place}: {} of {} was read, and not acknowledged there, or read twice",
                record.event.event, record.event.user_id
            )),
            Some(ack) => problems.extend(differences(ack, record).map(|what| format!("{place}: {what}"))),
        }
    }
    for ((partition, offset), ack) in unread {
        let UserEvent { event, user_id, .. } = &ack.message.event;
        problems
            .push(format!("{partition}@{offset}: {event} of {user_id} was acknowledged, and is not there"));
    }
    for journey in journeys(read).iter().filter(|journey| !journey.is_in_order()) {
        problems.push(format!(
            "{}: not one partition with every step in order: partitions {:?}, (step, offset) {:?}",
            journey.user_id, journey.partitions, journey.steps
        ));
    }
    problems
}

fn differences(ack: &Acknowledged, read: &ReadBack) -> impl Iterator<Item = String> {
    let sent = &ack.message;
    let headers_alike = sent
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .eq(read.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let checks = [
        (read.key == sent.event.user_id, format!("the key is {:?}, not the user", read.key)),
        (read.event == sent.event, format!("the value differs from what was sent: {:?}", read.event)),
        (read.timestamp_ms == ack.timestamp_ms, format!("the timestamp is {}", read.timestamp_ms)),
        (headers_alike, format!("the headers differ from what was sent: {:?}", read.headers)),
    ];
    checks.into_iter().filter(|(is_right, _)| !is_right).map(|(_, problem)| problem)
}

#[cfg(test)]
mod tests {
    use super::super::story::Journey;
    use super::*;

    /// Three users, each in a partition of its own, with foreign records between theirs; all well.
    fn played() -> (Vec<Acknowledged>, Vec<ReadBack>) {
        let mut acknowledged = Vec::new();
        for user in 0..3 {
            let journey = Journey::new(user as usize, || 7 + user);
            for step in 0..JOURNEY.len() {
                let message = journey.message(step, 1_000 + step as i64);
                let offset = 10 + 2 * step as i64;
                let timestamp_ms = message.timestamp_ms;
                acknowledged.push(Acknowledged { message, partition: user as i32, offset, timestamp_ms });
            }
        }
        let read = acknowledged
            .iter()
            .map(|ack| ReadBack {
                partition: ack.partition,
                offset: ack.offset,
                key: ack.message.event.user_id.clone(),
                event: ack.message.event.clone(),
                timestamp_ms: ack.message.timestamp_ms,
                headers: ack.message.headers.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
            })
            .collect();
        (acknowledged, read)
    }

    /// The problems found once `plant` has put a defect in.
    fn found(plant: impl FnOnce(&mut Vec<Acknowledged>, &mut Vec<ReadBack>)) -> String {
        let (mut acknowledged, mut read) = played();
        plant(&mut acknowledged, &mut read);
        problems(&acknowledged, &read).join("\n")
    }

    #[test]
    fn a_story_that_went_well_has_no_problems() {
        assert_eq!(found(|_, _| {}), "");
    }

    #[test]
    fn a_lost_record_is_found() {
        let found = found(|_, read| drop(read.remove(3)));
        assert!(found.contains("payment_success of user-00 was acknowledged, and is not there"), "{found}");
        assert!(found.contains("user-00: not one partition"), "{found}");
    }

    #[test]
    fn a_record_that_is_there_twice_is_found() {
        let found = found(|_, read| {
            let mut again = read[6].clone();
            again.offset += 1;
            read.insert(7, again);
        });
        assert!(
            found.contains("0@23: order_delivered of user-00 was read, and not acknowledged there"),
            "{found}"
        );
    }

    #[test]
    fn steps_in_the_wrong_order_are_found() {
        // What the broker stored: two events of one user changed places, with their acknowledgements.
        let found = found(|acknowledged, read| {
            let (first, second) = (acknowledged[1].offset, acknowledged[2].offset);
            (acknowledged[1].offset, acknowledged[2].offset) = (second, first);
            read.swap(1, 2);
            (read[1].offset, read[2].offset) = (first, second);
        });
        assert!(found.contains("user-00: not one partition with every step in order"), "{found}");
    }

    #[test]
    fn offsets_that_fall_are_found() {
        // Steps come in order, but from places that are not.
        let found = found(|acknowledged, read| {
            (acknowledged[1].offset, acknowledged[2].offset) = (14, 12);
            (read[1].offset, read[2].offset) = (14, 12);
        });
        assert!(found.contains("user-00: not one partition with every step in order"), "{found}");
    }

    #[test]
    fn a_user_in_two_partitions_is_found() {
        let found = found(|acknowledged, read| {
            acknowledged[20].partition = 5;
            read[20].partition = 5;
        });
        assert!(found.contains("user-02: not one partition") && found.contains("{2, 5}"), "{found}");
    }

    #[test]
    fn a_record_elsewhere_than_acknowledged_is_found() {
        let found = found(|acknowledged, _| acknowledged[20].offset += 1);
        assert!(found.contains("was acknowledged, and is not there"), "{found}");
        assert!(found.contains("not acknowledged there"), "{found}");
    }

    #[test]
    fn two_acknowledgements_of_one_place_are_found() {
        let found = found(|acknowledged, _| acknowledged[1].offset = acknowledged[0].offset);
        assert!(found.contains("name the place of another"), "{found}");
    }

    #[test]
    fn a_changed_key_value_time_or_header_is_found() {
        let key = found(|_, read| read[0].key = "user-99".to_owned());
        assert!(key.contains("the key is \"user-99\""), "{key}");
        let value = found(|_, read| read[0].event.price_cents += 1);
        assert!(value.contains("the value differs"), "{value}");
        let time = found(|_, read| read[0].timestamp_ms += 1);
        assert!(time.contains("the timestamp is 1001"), "{time}");
        let header = found(|_, read| read[0].headers.swap(0, 1));
        assert!(header.contains("the headers differ"), "{header}");
    }
}
