use super::*;

const NOW: i64 = 1_000;
const ID: &str = "orders";

struct Cluster {
    coordinator: Coordinator,
    level: Level,
    next_producer_id: i64,
}

impl Cluster {
    fn new(level: Level) -> Self {
        Self { coordinator: Coordinator::default(), level, next_producer_id: 0 }
    }

    fn init_as(&mut self, expected: Option<Producer>) -> Result<Producer, ErrorCode> {
        let terms = InitTerms { timeout_ms: 60_000, expected, level: self.level, now_ms: NOW };
        let next = &mut self.next_producer_id;
        self.coordinator.initialise(&ByteStr::from(ID), terms, || {
            *next += 1;
            *next
        })
    }

    fn init(&mut self) -> Producer {
        self.init_as(None).expect("nothing is open")
    }

    fn add(&mut self, producer: Producer) -> Result<(), ErrorCode> {
        self.coordinator.add_partitions(ID, producer, &[partition()], self.level, NOW)
    }

    fn end(&mut self, producer: Producer, outcome: Outcome) -> Result<Producer, ErrorCode> {
        let next = &mut self.next_producer_id;
        self.coordinator.end(ID, producer, outcome, self.level, NOW, || {
            *next += 1;
            *next
        })
    }

    fn write_markers(&mut self) {
        self.coordinator.marker_written(ID, &partition());
        self.coordinator.complete_if_written(ID, NOW);
    }

    /// A whole transaction; returns who the producer is afterwards.
    fn transact(&mut self, producer: Producer, outcome: Outcome) -> Producer {
        self.add(producer).expect("added");
        let next = self.end(producer, outcome).expect("ended");
        self.write_markers();
        if self.level.bumps_epoch() { next } else { producer }
    }

    fn state(&self) -> State {
        self.coordinator.get(ID).expect("initialised").state
    }
}

fn partition() -> TopicPartition {
    ("t".into(), 0)
}

fn before(producer: Producer) -> Producer {
    Producer { epoch: producer.epoch - 1, ..producer }
}

#[test]
fn ends_are_answered_by_kafkas_table() {
    use Outcome::{Abort, Commit};
    let answer = |cluster: &mut Cluster, producer, outcome| match cluster.end(producer, outcome) {
        Ok(_) if cluster.coordinator.is_ending(ID) => "takes effect".to_owned(),
        Ok(_) => "already done".to_owned(),
        Err(error) => error.name().to_owned(),
    };
    let mut table = String::new();
    for level in [Level::ORIGINAL, Level::EPOCH_BUMP] {
        for past in [None, Some(Abort), Some(Commit)] {
            let mut row = Vec::new();
            for (outcome, is_repeated) in [(Abort, true), (Abort, false), (Commit, true), (Commit, false)] {
                let mut cluster = Cluster::new(level);
                let mut producer = cluster.init();
                if let Some(past) = past {
                    producer = cluster.transact(producer, past);
                }
                let asked = if is_repeated { before(producer) } else { producer };
                row.push(answer(&mut cluster, asked, outcome));
            }
            let state = past.map_or("Empty", |past| State::Complete(past).name());
            table += &format!("{} {state}: {}\n", level.0, row.join(", "));
        }
    }
    assert_eq!(
        table,
        "0 Empty: PRODUCER_FENCED, INVALID_TXN_STATE, PRODUCER_FENCED, INVALID_TXN_STATE\n\
         0 CompleteAbort: PRODUCER_FENCED, already done, PRODUCER_FENCED, INVALID_TXN_STATE\n\
         0 CompleteCommit: PRODUCER_FENCED, INVALID_TXN_STATE, PRODUCER_FENCED, already done\n\
         2 Empty: PRODUCER_FENCED, takes effect, PRODUCER_FENCED, INVALID_TXN_STATE\n\
         2 CompleteAbort: already done, takes effect, INVALID_TXN_STATE, INVALID_TXN_STATE\n\
         2 CompleteCommit: INVALID_TXN_STATE, takes effect, already done, INVALID_TXN_STATE\n"
    );
}

#[test]
fn nothing_can_be_done_until_the_markers_are_written() {
    for level in [Level::ORIGINAL, Level::EPOCH_BUMP] {
        let mut cluster = Cluster::new(level);
        let producer = cluster.init();
        cluster.add(producer).expect("added");
        cluster.end(producer, Outcome::Commit).expect("ended");
        let concurrent = ErrorCode::ConcurrentTransactions;
        let current = cluster.coordinator.get(ID).expect("it is known").producer;
        assert_eq!(cluster.init_as(None), Err(concurrent));
        assert_eq!(cluster.add(current), Err(concurrent));
        assert_eq!(cluster.end(current, Outcome::Commit), Err(concurrent));
        assert_eq!(cluster.coordinator.verify_partitions(ID, current, &[partition()]), Err(concurrent));
        cluster.write_markers();
        assert_eq!(cluster.state(), State::Complete(Outcome::Commit));
        assert_eq!(cluster.add(current), Ok(()));
    }
}

#[test]
fn a_new_client_aborts_what_the_old_one_had_open() {
    for level in [Level::ORIGINAL, Level::EPOCH_BUMP] {
        let mut cluster = Cluster::new(level);
        let old = cluster.init();
        cluster.add(old).expect("added");
        assert_eq!(cluster.init_as(None), Err(ErrorCode::ConcurrentTransactions));
        cluster.write_markers();
        assert_eq!(cluster.state(), State::Complete(Outcome::Abort));
        let new = cluster.init();
        assert_eq!(new, Producer { id: old.id, epoch: 2 }, "the fence took an epoch, too");
        assert_eq!(cluster.add(old), Err(ErrorCode::ProducerFenced));
        assert_eq!(cluster.end(old, Outcome::Commit), Err(ErrorCode::ProducerFenced));
    }
}

#[test]
fn producers_are_checked_by_id_and_then_by_epoch() {
    let mut cluster = Cluster::new(Level::EPOCH_BUMP);
    let stranger = Producer { id: 99, epoch: 0 };
    assert_eq!(cluster.add(stranger), Err(ErrorCode::InvalidProducerIdMapping));
    let producer = cluster.init();
    assert_eq!(cluster.add(stranger), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(cluster.end(stranger, Outcome::Abort), Err(ErrorCode::InvalidProducerIdMapping));
    let ahead = Producer { epoch: 5, ..producer };
    assert_eq!(cluster.add(ahead), Err(ErrorCode::ProducerFenced));
    assert_eq!(cluster.init_as(Some(stranger)), Err(ErrorCode::ProducerFenced));
    let nameless = cluster.coordinator.add_partitions("", producer, &[], Level::ORIGINAL, NOW);
    assert_eq!(nameless, Err(ErrorCode::InvalidRequest));
}

#[test]
fn verification_tells_which_partitions_take_part() {
    let mut cluster = Cluster::new(Level::ORIGINAL);
    let producer = cluster.init();
    cluster.add(producer).expect("added");
    let asked = [partition(), ("t".into(), 1)];
    let told = cluster.coordinator.verify_partitions(ID, producer, &asked);
    assert_eq!(told, Ok(vec![ErrorCode::None, ErrorCode::TransactionAbortable]));
}

#[test]
fn partitions_that_are_in_already_change_nothing() {
    let mut cluster = Cluster::new(Level::ORIGINAL);
    let producer = cluster.init();
    cluster.add(producer).expect("added");
    let before = cluster.coordinator.get(ID).cloned();
    let again = cluster.coordinator.add_partitions(ID, producer, &[partition()], Level::ORIGINAL, NOW + 9);
    assert_eq!((again, cluster.coordinator.get(ID).cloned()), (Ok(()), before));
}

#[test]
fn epochs_that_are_used_up_by_ends_lead_to_another_id() {
    let mut cluster = Cluster::new(Level::EPOCH_BUMP);
    let mut producer = cluster.init();
    let first_id = producer.id;
    while producer.id == first_id {
        let last = producer;
        producer = cluster.transact(producer, Outcome::Commit);
        if producer.id != first_id {
            assert_eq!((last.epoch, producer.epoch), (i16::MAX - 1, 0));
            assert_eq!(cluster.end(last, Outcome::Commit), Ok(producer), "its answer may have been lost");
        }
    }
}

#[test]
fn timeouts_abort_and_fence() {
    let mut cluster = Cluster::new(Level::EPOCH_BUMP);
    let producer = cluster.init();
    cluster.add(producer).expect("added");
    assert!(cluster.coordinator.timed_out(NOW + 60_000).is_empty());
    assert_eq!(cluster.coordinator.timed_out(NOW + 60_001), [ID]);
    cluster.coordinator.abort_timed_out(&ID.into(), Level::EPOCH_BUMP, NOW + 60_001, || 0);
    cluster.write_markers();
    assert_eq!(cluster.state(), State::Complete(Outcome::Abort));
    assert_eq!(cluster.end(producer, Outcome::Commit), Err(ErrorCode::InvalidTxnState));
    assert_eq!(cluster.add(producer), Err(ErrorCode::ProducerFenced));
}

#[test]
fn idle_ids_expire_and_a_later_client_gets_another_producer_id() {
    let mut cluster = Cluster::new(Level::EPOCH_BUMP);
    let producer = cluster.init();
    cluster.coordinator.expire(NOW + 9, 10, |_| true);
    assert!(cluster.coordinator.get(ID).is_some());
    cluster.coordinator.expire(NOW + 10, 10, |_| false);
    assert!(cluster.coordinator.get(ID).is_some(), "it could not be written");
    cluster.coordinator.expire(NOW + 10, 10, |_| true);
    assert!(cluster.coordinator.get(ID).is_none());
    assert_eq!(cluster.add(producer), Err(ErrorCode::InvalidProducerIdMapping));
    assert_ne!(cluster.init().id, producer.id);
}

#[test]
fn lists_are_filtered() {
    let mut cluster = Cluster::new(Level::EPOCH_BUMP);
    let producer = cluster.init();
    cluster.add(producer).expect("added");
    let is_listed = |filter: Filter| !cluster.coordinator.list(&filter, NOW + 100).is_empty();
    let all = || Filter { duration_ms: -1, ..Filter::default() };
    assert!(is_listed(all()));
    assert!(is_listed(Filter { producer_ids: vec![producer.id], ..all() }));
    assert!(!is_listed(Filter { producer_ids: vec![producer.id + 1], ..all() }));
    assert!(is_listed(Filter { states: vec!["Ongoing".into()], ..all() }));
    assert!(!is_listed(Filter { states: vec!["Empty".into(), "Unheard".into()], ..all() }));
    assert!(is_listed(Filter { duration_ms: 99, ..all() }));
    assert!(!is_listed(Filter { duration_ms: 100, ..all() }));
    assert!(!is_listed(Filter { id_pattern: Regex::new("^pay").ok(), ..all() }));
}

/// Random clients of one id, on a coordinator whose markers come late: whatever they do, epochs only grow, and a
/// producer that was fenced never gets anything done again.
#[test]
fn a_fenced_producer_never_gets_anything_done() {
    for seed in 0..200 {
        let mut rng = crate::rng::Rng::from_seed(seed);
        let level = if seed % 2 == 0 { Level::EPOCH_BUMP } else { Level::ORIGINAL };
        let mut cluster = Cluster::new(level);
        let mut clients: Vec<Producer> = Vec::new();
        for _ in 0..300 {
            match rng.below(6) {
                0 => {
                    if let Ok(producer) = cluster.init_as(None) {
                        assert!(clients.iter().all(|it| it.id != producer.id || it.epoch < producer.epoch));
                        clients.push(producer);
                    }
                }
                1 => cluster.write_markers(),
                2 => {
                    cluster.coordinator.abort_timed_out(&ID.into(), level, NOW + 70_000, || 1_000);
                }
                step => {
                    if clients.is_empty() {
                        continue;
                    }
                    let index = rng.below(clients.len() as u64) as usize;
                    let is_latest = index + 1 == clients.len();
                    let outcome = if step == 4 { Outcome::Commit } else { Outcome::Abort };
                    let done = match step {
                        3 => cluster.add(clients[index]).map(|()| clients[index]),
                        _ => cluster.end(clients[index], outcome),
                    };
                    match done {
                        Ok(next) if next != Producer::NONE => {
                            assert!(is_latest, "seed {seed}: {:?} of {clients:?}", clients[index]);
                            clients[index] = next;
                        }
                        Ok(_) => assert!(is_latest, "seed {seed}: {:?} of {clients:?}", clients[index]),
                        Err(_) => {}
                    }
                }
            }
        }
    }
}
