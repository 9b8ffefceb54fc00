//! Clients that come, go, lose answers and take their time, against a group: no partition ever has two owners, and
//! when all is quiet every partition has one.

use std::collections::BTreeMap;

use milena_protocol::Uuid;
use proptest::prelude::*;

use super::*;

const TOPICS: [&str; 3] = ["t", "u", "v"];
const CLIENTS: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    /// A client joins, or joins again, subscribed to the topics of which the bits are set.
    Join {
        client: usize,
        topics: u8,
    },
    JoinByRegex {
        client: usize,
        regex: &'static str,
    },
    /// A client sends a heartbeat, and may say nothing of what it owns.
    Beat {
        client: usize,
        is_silent: bool,
    },
    /// A client sends a heartbeat and does not get the answer.
    BeatInVain {
        client: usize,
    },
    /// A client changes its subscription.
    Subscribe {
        client: usize,
        topics: u8,
    },
    /// A client has given back what it was asked to.
    GiveBack {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Restart {
        client: usize,
    },
    AddPartition {
        topic: usize,
    },
    DeleteTopic {
        topic: usize,
    },
    CreateTopic {
        topic: usize,
    },
    Wait {
        ms: i64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let regex = prop::sample::select(vec!["t|u", "[uv]", ".*"]);
    prop_oneof![
        3 => (client.clone(), 0u8..8).prop_map(|(client, topics)| Step::Join { client, topics }),
        1 => (client.clone(), regex).prop_map(|(client, regex)| Step::JoinByRegex { client, regex }),
        10 => (client.clone(), any::<bool>()).prop_map(|(client, is_silent)| Step::Beat { client, is_silent }),
        1 => client.clone().prop_map(|client| Step::BeatInVain { client }),
        1 => (client.clone(), 0u8..8).prop_map(|(client, topics)| Step::Subscribe { client, topics }),
        6 => client.clone().prop_map(|client| Step::GiveBack { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.prop_map(|client| Step::Restart { client }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::AddPartition { topic }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::DeleteTopic { topic }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::CreateTopic { topic }),
        2 => (1i64..20_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// A client that gives back partitions only after a while.
#[derive(Debug, Clone)]
struct SlowPeer {
    peer: Peer,
    /// What it was told to own, while it still owns more.
    told: Option<Partitions>,
    /// It said all there is to say when it joined, and says it again when an answer was lost.
    joined_with: ConsumerGroupHeartbeatRequest,
    has_missed_answer: bool,
}

struct Model {
    scene: Scene,
    /// Client 0 is a static member.
    clients: BTreeMap<usize, SlowPeer>,
    /// How often a client has started: each time under another member id.
    starts: usize,
}

impl Model {
    fn new() -> Self {
        let mut scene = Scene::with(&[("t", 3), ("u", 2), ("v", 1)]);
        scene.settings.assignment_interval_ms = 500;
        Self { scene, clients: BTreeMap::new(), starts: 0 }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Join { client, topics } => self.join(client, joining("", &names(topics))),
            Step::JoinByRegex { client, regex } => self.join(client, joining_by_regex("", regex)),
            Step::Beat { client, is_silent } => self.beat(client, |request| {
                if is_silent {
                    request.topic_partitions = None;
                }
            }),
            Step::Subscribe { client, topics } => self.beat(client, |request| {
                request.subscribed_topic_names = Some(names(topics).into_iter().map(ByteStr::from).collect());
            }),
            Step::BeatInVain { client } => {
                // A client that still has to do what an earlier answer said would not send another request.
                if let Some(known) = self.clients.get_mut(&client).filter(|known| known.told.is_none()) {
                    known.has_missed_answer = true;
                    let request = known.peer.request();
                    if self.scene.send(&request).is_err() {
                        self.clients.remove(&client);
                    }
                }
            }
            Step::GiveBack { client } => {
                if let Some(known) = self.clients.get_mut(&client) {
                    known.give_back();
                }
            }
            Step::Leave { client } => {
                if let Some(known) = self.clients.remove(&client) {
                    let leaving = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..known.peer.request() };
                    drop(self.scene.send(&leaving));
                }
            }
            Step::Restart { client } => {
                if let Some(known) = self.clients.remove(&client) {
                    let member_epoch = if known.peer.instance_id.is_some() { -2 } else { -1 };
                    let leaving = ConsumerGroupHeartbeatRequest { member_epoch, ..known.peer.request() };
                    drop(self.scene.send(&leaving));
                    self.join(client, joining("", &TOPICS));
                }
            }
            Step::AddPartition { topic } if self.scene.topics.find(TOPICS[topic]).is_some() => {
                self.scene.topics.add_partition(TOPICS[topic]);
            }
            Step::AddPartition { .. } => {}
            Step::DeleteTopic { topic } => self.scene.topics.delete(TOPICS[topic]),
            Step::CreateTopic { topic } if self.scene.topics.find(TOPICS[topic]).is_none() => {
                self.scene.topics.create(TOPICS[topic], 2);
            }
            Step::CreateTopic { .. } => {}
            Step::Wait { ms } => self.wait(ms),
        }
        self.assert_one_owner();
    }

    fn join(&mut self, client: usize, mut request: ConsumerGroupHeartbeatRequest) {
        let known = self.clients.remove(&client);
        self.starts += 1;
        let fresh = || format!("{client}-{}", self.starts);
        let member_id = known.map_or_else(fresh, |known| known.peer.member_id);
        let instance_id = (client == 0).then(|| "static".to_owned());
        request.member_id = member_id.as_str().into();
        request.instance_id = instance_id.as_deref().map(ByteStr::from);
        // The same instance cannot join twice; its first member id would have to leave.
        let Ok(response) = self.scene.send(&request) else { return };
        let mut peer = Peer { member_id, instance_id, member_epoch: 0, owned: Partitions::new() };
        peer.hear(&response);
        let known = SlowPeer { peer, told: None, joined_with: request, has_missed_answer: false };
        self.clients.insert(client, known);
    }

    fn beat(&mut self, client: usize, change: impl FnOnce(&mut ConsumerGroupHeartbeatRequest)) {
        let Some(known) = self.clients.get_mut(&client) else { return };
        let mut request = known.peer.request();
        change(&mut request);
        if let Some(names) = &request.subscribed_topic_names {
            known.joined_with.subscribed_topic_names = Some(names.clone());
        }
        if std::mem::take(&mut known.has_missed_answer) {
            request = ConsumerGroupHeartbeatRequest {
                member_epoch: known.peer.member_epoch,
                topic_partitions: Some(wire(&known.peer.owned)),
                ..known.joined_with.clone()
            };
        }
        match self.scene.send(&request) {
            Ok(response) => known.hear(&response),
            // Fenced: it abandons everything.
            Err(_) => drop(self.clients.remove(&client)),
        }
    }

    /// Who is thrown out has noticed by then that it had no answers, and abandoned everything.
    fn wait(&mut self, ms: i64) {
        self.scene.now_ms += ms;
        self.scene.group.handle_timeout(self.scene.now_ms);
        let members = &self.scene.group.members;
        self.clients.retain(|_, known| members.contains_key(known.peer.member_id.as_str()));
    }

    fn assert_one_owner(&self) {
        let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
        for (client, known) in &self.clients {
            for (topic, partitions) in &known.peer.owned {
                for partition in partitions {
                    if let Some(other) = owners.insert((*topic, *partition), *client) {
                        panic!("{topic}-{partition} is owned by {other} and by {client}");
                    }
                }
            }
        }
    }

    /// All clients do what they are told, until nothing is left to do: for longer than a session, so that those are thrown
    /// out who have left without a word, with time for what follows.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.wait(1_000);
            for client in 0..CLIENTS {
                self.beat(client, |_| ());
                if let Some(known) = self.clients.get_mut(&client) {
                    known.give_back();
                }
                self.assert_one_owner();
            }
        }
    }

    fn assert_all_is_owned(&self) {
        let group = &self.scene.group;
        let expected =
            if self.clients.is_empty() { ConsumerGroupState::Empty } else { ConsumerGroupState::Stable };
        // A static member that was restarted in vain is still awaited.
        if group.members.len() == self.clients.len() {
            assert_eq!(group.state(), expected);
            let owned: usize = self.clients.values().map(|known| known.peer.load()).sum();
            let subscribed = group.subscribed_topics(&self.scene.topics);
            assert_eq!(owned as i32, subscribed.values().map(|(_, partitions)| partitions).sum::<i32>());
        }
    }
}

impl SlowPeer {
    fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.peer.member_epoch = response.member_epoch;
        if let Some(assignment) = &response.assignment {
            let told = told(assignment);
            let is_more = |topic: &Uuid, partition: &i32| {
                !told.get(topic).is_some_and(|partitions| partitions.contains(partition))
            };
            let gives_back = self
                .peer
                .owned
                .iter()
                .any(|(topic, partitions)| partitions.iter().any(|partition| is_more(topic, partition)));
            self.told = Some(told);
            if !gives_back {
                self.give_back();
            }
        }
    }

    /// First it gives back, then it takes what is new.
    fn give_back(&mut self) {
        if let Some(told) = self.told.take() {
            self.peer.owned = told;
        }
    }
}

fn names(topics: u8) -> Vec<&'static str> {
    (0..).zip(TOPICS).filter(|(bit, _)| topics & (1 << bit) != 0).map(|(_, name)| name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_partition_has_two_owners_and_at_last_each_has_one(steps in prop::collection::vec(steps(), 0..120)) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
        }
        model.settle();
        model.assert_all_is_owned();
    }
}
