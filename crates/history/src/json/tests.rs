use super::*;

fn name(text: &str) -> Name {
    text.into()
}

/// One of each kind.
fn events() -> Vec<Event> {
    let (client, topic, group, txn) = (name("c"), name("t"), name("g"), name("x"));
    let (partition, offset, id) = (3, 17, 4);
    vec![
        Event::Meta {
            final_committed: vec![name("f")],
            final_uncommitted: vec![name("u"), name("v")],
            eos: vec![(name("in"), name("out"))],
            idempotent: true,
            partitions_added: false,
        },
        Event::Send {
            client: client.clone(),
            id,
            topic: topic.clone(),
            seq: 0,
            key: Some(name("k \"quoted\"")),
            partition: Some(3),
            txn: Some(txn.clone()),
            src: Some((name("in"), 1, 2)),
        },
        Event::Send {
            client: client.clone(),
            id,
            topic: topic.clone(),
            seq: 1,
            key: None,
            partition: None,
            txn: None,
            src: None,
        },
        Event::Ack { client: client.clone(), id, topic: topic.clone(), partition, offset: -1 },
        Event::Fail { client: client.clone(), id, error: "no\nway".to_owned(), definite: true },
        Event::TxnBegin { client: client.clone(), txn: txn.clone(), tid: name("tid") },
        Event::TxnCommitStart { client: client.clone(), txn: txn.clone() },
        Event::TxnCommit { client: client.clone(), txn: txn.clone() },
        Event::TxnAbort { client: client.clone(), txn: txn.clone() },
        Event::TxnUnknown { client: client.clone(), txn: txn.clone() },
        Event::TxnOffsets {
            client: client.clone(),
            txn,
            group: group.clone(),
            topic: topic.clone(),
            partition,
            offset,
        },
        Event::Assign { client: client.clone(), group: group.clone(), topic: topic.clone(), partition },
        Event::Revoke { client: client.clone(), group: group.clone(), topic: topic.clone(), partition },
        Event::Lost { client: client.clone(), group: group.clone(), topic: topic.clone(), partition },
        Event::Poll {
            client: client.clone(),
            topic: topic.clone(),
            partition,
            offset,
            id,
            isolation: Isolation::ReadCommitted,
        },
        Event::Seek { client: client.clone(), topic: topic.clone(), partition, offset },
        Event::Commit {
            client: client.clone(),
            group: group.clone(),
            topic: topic.clone(),
            partition,
            offset,
        },
        Event::Reset { group: group.clone(), topic: topic.clone(), partition, offset },
        Event::FetchCommitted { group, topic: topic.clone(), partition, offset },
        Event::Crash { client: client.clone() },
        Event::Note(Note::Producer {
            client: client.clone(),
            idempotent: true,
            pipelined: false,
            acknowledged: true,
            max_block_us: 1,
            delivery_timeout_us: 2,
            buffer_bytes: 3,
        }),
        Event::Note(Note::Admitted { client: client.clone(), id, bytes: 9, observed: true }),
        Event::Note(Note::FlushStart { client: client.clone() }),
        Event::Note(Note::Flushed { client, failed: 2 }),
        Event::Note(Note::Gauge { what: "buffer".to_owned(), used: 1, limit: 2 }),
        Event::Note(Note::IsolationStart { bystanders: vec![(topic.clone(), 1)], within_us: 5 }),
        Event::Note(Note::IsolationEnd),
        Event::Note(Note::Unreadable { topic, partition, from: 1, to: 2 }),
        Event::Note(Note::Stuck { what: "it".to_owned() }),
        Event::Note(Note::Text("for people".to_owned())),
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let entries: Vec<_> =
        (0..).zip(events()).map(|(at, event)| Entry { at_us: at * 1_000_001, event }).collect();
    let history = History { entries };
    let mut written = Vec::new();
    history.write(&mut written).unwrap();
    let read = History::read(&*written).unwrap();
    assert_eq!(read, history);
}

#[test]
fn a_line_says_what_the_format_says() {
    let event = Event::Ack { client: name("p1"), id: 7, topic: name("orders"), partition: 2, offset: 40 };
    let line = Entry { at_us: 1_500_000, event }.to_json();
    let expected: Value = serde_json::from_str(
        r#"{"ev":"ack","t":1.5,"c":"p1","id":7,"topic":"orders","partition":2,"offset":40}"#,
    )
    .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
}

#[test]
fn a_bad_line_is_told_by_its_number() {
    let read = |text: &str| History::read(text.as_bytes()).unwrap_err().to_string();
    assert!(read("{\"ev\":\"crash\",\"t\":0,\"c\":\"p\"}\n\nnothing").starts_with("line 3: "));
    assert_eq!(read(r#"{"ev":"ack","t":0,"c":"p","id":1}"#), "line 1: `topic` is missing");
    assert_eq!(read(r#"{"ev":"dance","t":0,"topic":"t","partition":1}"#), "line 1: unknown event `dance`");
    assert_eq!(read("[]"), "line 1: not an object");
}

#[test]
fn notes_of_others_are_kept_for_people() {
    let history = History::read(&br#"{"ev":"note","t":1,"weather":"fine"}"#[..]).unwrap();
    assert!(matches!(&history.entries[0].event, Event::Note(Note::Text(text)) if text.contains("fine")));
}
