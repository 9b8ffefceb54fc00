//! What other clients do is what we do: golden files that were made by running them, and the choices
//! that names stand for.

use proptest::prelude::*;

use super::*;

const AVAILABLE: [i32; 3] = [0, 1, 3];
const PARTITIONS: TopicPartitions<'static> = TopicPartitions { count: 4, available: &AVAILABLE };

fn input<'a>(key: Option<&'a [u8]>) -> PartitioningInput<'a> {
    PartitioningInput { topic: "orders", key, value: None, partitions: PARTITIONS }
}

fn lines(golden: &str) -> impl Iterator<Item = &str> {
    golden.lines().filter(|line| !line.starts_with('#'))
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('-').as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn keys_go_where_java_librdkafka_and_python_put_them() {
    for line in lines(include_str!("golden/keys.txt")) {
        let columns: Vec<&str> = line.split(' ').collect();
        let (key, partitions) = (hex(columns[0]), columns[1].parse().unwrap());
        let hashes = [KeyHash::Murmur2, KeyHash::Crc32, KeyHash::Fnv1a, KeyHash::Md5];
        for (hash, expected) in hashes.into_iter().zip(&columns[2..]) {
            let partition = hash.partition(&key, partitions);
            assert_eq!(partition.to_string(), *expected, "{hash:?} of {line}");
        }
    }
}

/// The sticky partition and the partitions of its topic, as the golden script builds them up.
struct Replay {
    sticky: StickyPartition,
    count: i32,
    available: Vec<i32>,
}

impl Replay {
    fn step(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "new" => self.sticky = StickyPartition::new(words[1].parse().unwrap()),
            "partitions" => {
                self.count = words[1].parse().unwrap();
                self.available = words[2..].iter().map(|word| word.parse().unwrap()).collect();
            }
            "load" => {
                let loads: Vec<PartitionLoad> = words[1..].iter().map(|word| load(word)).collect();
                self.sticky.update_load(&loads);
            }
            "append" => self.append(&words),
            other => panic!("unknown step {other}"),
        }
    }

    fn append(&self, words: &[&str]) {
        let partitions = TopicPartitions { count: self.count, available: &self.available };
        // Java draws lazily: the first number goes to whoever draws first.
        let mut numbers = [words[4], words[5]].into_iter().map(|word| word.parse().unwrap());
        let mut random = || numbers.next().unwrap();
        let partition = self.sticky.peek(&partitions, &mut random);
        let moved = self.sticky.record_appended(
            partition,
            words[1].parse().unwrap(),
            words[2] == "true",
            &partitions,
            &mut random,
        );
        let next = self.sticky.peek(&partitions, || panic!("chosen already"));
        assert_eq!(format!("{partition} {moved} {next}"), words[7..].join(" "), "{}", words.join(" "));
    }
}

fn load(word: &str) -> PartitionLoad {
    let (partition, queue) = word.split_once(':').unwrap();
    PartitionLoad {
        partition: partition.parse().unwrap(),
        queued_batches: queue.trim_end_matches('!').parse().unwrap(),
        available: !queue.ends_with('!'),
    }
}

#[test]
fn keyless_records_go_where_javas_built_in_partitioner_puts_them() {
    let mut replay = Replay { sticky: StickyPartition::new(1), count: 1, available: Vec::new() };
    lines(include_str!("golden/sticky.txt")).for_each(|line| replay.step(line));
}

#[test]
fn a_sticky_partition_that_the_topic_no_longer_has_is_left() {
    let sticky = StickyPartition::new(100);
    assert_eq!(sticky.peek(&PARTITIONS, || 2), 3);
    let remade = TopicPartitions { count: 2, available: &[0, 1] };
    assert_eq!(sticky.peek(&remade, || 1), 1);
}

#[test]
fn weights_of_partitions_that_the_topic_no_longer_has_are_ignored() {
    let sticky = StickyPartition::new(100);
    let load = |partition, available| PartitionLoad { partition, queued_batches: 0, available };
    sticky.update_load(&[load(0, false), load(3, true)]);
    assert_eq!(sticky.peek(&PARTITIONS, || 0), 3);
    let remade = TopicPartitions { count: 2, available: &[1] };
    assert_eq!(sticky.peek(&remade, || 0), 1);
}

#[test]
fn bytes_for_another_partition_do_not_move_the_sticky_one() {
    let sticky = StickyPartition::new(100);
    assert_eq!(sticky.peek(&PARTITIONS, || 0), 0);
    assert!(!sticky.record_appended(1, 1000, true, &PARTITIONS, || panic!("nothing to choose")));
    assert_eq!(sticky.peek(&PARTITIONS, || panic!("chosen already")), 0);
}

#[test]
fn a_giant_record_moves_the_sticky_partition_and_leaves_its_byte_count_sane() {
    let sticky = StickyPartition::new(u32::MAX);
    assert_eq!(sticky.peek(&PARTITIONS, || 0), 0);
    assert!(sticky.record_appended(0, usize::MAX, false, &PARTITIONS, || 1));
    assert_eq!(sticky.peek(&PARTITIONS, || panic!("chosen already")), 1);
    assert!(!sticky.record_appended(1, 1, true, &PARTITIONS, || panic!("far from enough")));
}

#[test]
fn racing_senders_move_the_sticky_partition_at_the_rate_of_their_bytes() {
    const SENDERS: u32 = 4;
    const RECORDS: u32 = 20_000;
    const STICKY_BYTES: u32 = 64;
    let sticky = StickyPartition::new(STICKY_BYTES);
    let moves: u32 = std::thread::scope(|scope| {
        let sender = |seed: u32| {
            let sticky = &sticky;
            move || {
                let mut random = seed;
                let mut draw = || {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    random >> 8
                };
                let mut moves = 0;
                for _ in 0..RECORDS {
                    let partition = sticky.peek(&PARTITIONS, &mut draw);
                    moves += u32::from(sticky.record_appended(partition, 1, true, &PARTITIONS, &mut draw));
                }
                moves
            }
        };
        let senders: Vec<_> = (0..SENDERS).map(|seed| scope.spawn(sender(seed))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    // A partition takes at least its bytes before it is left; records that raced with a move went to
    // the partition just left and are not counted anywhere.
    assert!(moves <= SENDERS * RECORDS / STICKY_BYTES, "{moves} moves");
    assert!(moves >= SENDERS * RECORDS / STICKY_BYTES / 4, "{moves} moves");
}

#[test]
fn names_stand_for_what_librdkafka_and_java_do() {
    let place = |name: &str, key: Option<&[u8]>| name.parse::<Partitioning>().unwrap().place(&input(key));
    let murmur2_empty = Placement::Partition(KeyHash::Murmur2.partition(b"", 4));
    let cases = [
        // name, null key, empty key
        ("murmur2_random", Placement::Sticky, murmur2_empty),
        ("murmur2", murmur2_empty, murmur2_empty),
        ("consistent_random", Placement::Sticky, Placement::Sticky),
        ("consistent", Placement::Partition(0), Placement::Partition(0)),
        ("fnv1a_random", Placement::Sticky, Placement::Partition(3)),
        ("fnv1a", Placement::Partition(3), Placement::Partition(3)),
        ("md5_random", Placement::Sticky, Placement::Partition(2)),
        ("md5", Placement::Partition(2), Placement::Partition(2)),
        ("random", Placement::Sticky, Placement::Sticky),
        ("round_robin", Placement::Partition(0), Placement::Partition(0)),
    ];
    for (name, null, empty) in cases {
        assert_eq!((place(name, None), place(name, Some(b""))), (null, empty), "{name}");
    }
    assert_eq!(place("random", Some(b"key")), Placement::Sticky);
    assert_eq!(
        place("org.apache.kafka.clients.producer.RoundRobinPartitioner", Some(b"key")),
        Placement::Partition(0)
    );
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let error = "murmur3".parse::<Partitioning>().unwrap_err().to_string();
    assert!(error.starts_with("no partitioner is named \"murmur3\"; there are murmur2_random"), "{error}");
}

#[test]
fn a_partitioner_of_ones_own_sees_the_record_and_decides() {
    struct VipFirst;
    impl Partitioner for VipFirst {
        fn place(&self, input: &PartitioningInput<'_>) -> Placement {
            match input.key {
                Some(key) if key.starts_with(b"vip-") => Placement::Partition(0),
                Some(key) => Placement::Partition(KeyHash::Crc32.partition(key, input.partitions.count)),
                None => Placement::Sticky,
            }
        }
    }
    let partitioning = Partitioning::custom(VipFirst);
    assert_eq!(partitioning.place(&input(Some(b"vip-1"))), Placement::Partition(0));
    assert_eq!(partitioning.place(&input(None)), Placement::Sticky);
    assert_eq!(format!("{partitioning:?}"), "Custom(..)");
}

proptest! {
    #[test]
    fn every_hash_stays_within_the_partitions(key: Vec<u8>, partitions in 1..=i32::MAX) {
        for hash in [KeyHash::Murmur2, KeyHash::Crc32, KeyHash::Fnv1a, KeyHash::Md5] {
            prop_assert!((0..partitions).contains(&hash.partition(&key, partitions)));
        }
    }

    #[test]
    fn the_sticky_partition_is_always_available_when_one_is(
        available in proptest::collection::btree_set(0..16_i32, 1..16),
        queues in proptest::collection::vec((0..5_u32, any::<bool>()), 16),
        randoms in proptest::collection::vec(any::<u32>(), 1..50),
    ) {
        let available: Vec<i32> = available.into_iter().collect();
        let partitions = TopicPartitions { count: 16, available: &available };
        let sticky = StickyPartition::new(1);
        let loads: Vec<PartitionLoad> = (0..16).zip(queues).map(|(partition, (queued_batches, takes))| {
            PartitionLoad { partition, queued_batches, available: takes && available.contains(&partition) }
        }).collect();
        sticky.update_load(&loads);
        for random in randoms {
            let partition = sticky.peek(&partitions, || random);
            prop_assert!(available.contains(&partition));
            sticky.record_appended(partition, 1, true, &partitions, || random);
        }
    }
}
