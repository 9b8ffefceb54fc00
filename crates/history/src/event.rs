//! What can happen.

use std::sync::Arc;

/// Unique in a history; the record's value carries it.
pub type RecordId = u64;

/// A client, topic, key, group or transaction.
pub type Name = Arc<str>;

/// What happened, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Oldest first.
    pub entries: Vec<Entry>,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Microseconds on one monotonic clock for all clients of the run; in JSON `t`, in seconds.
    pub at_us: u64,
    /// What happened.
    pub event: Event,
}

/// Which records a reader was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    ReadUncommitted,
    /// Those of committed transactions, and those outside of transactions.
    ReadCommitted,
}

/// What can happen. `client` is one producer or consumer instance; a restarted one has a new name.
///
/// Sends, the beginning of a transaction and of its commit are recorded before the call; everything else after it returned. A
/// poll is recorded when the record is handed to the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first: what the run was like.
    Meta {
        /// Readers of committed records that read every partition from start to end after all faults were healed.
        final_committed: Vec<Name>,
        /// The same, of all records.
        final_uncommitted: Vec<Name>,
        /// Topics whose records were made from those of others, exactly once.
        eos: Vec<(Name, Name)>,
        /// Whether the producers were idempotent, unless [`Note::Producer`] says otherwise.
        idempotent: bool,
        /// Whether topics got more partitions during the run.
        partitions_added: bool,
    },
    /// A record is about to be sent.
    Send {
        /// Who sends it.
        client: Name,
        /// The record.
        id: RecordId,
        /// Where to.
        topic: Name,
        /// Counts per client in the order of the calls.
        seq: u64,
        /// Its key.
        key: Option<Name>,
        /// Only if the caller chose it.
        partition: Option<i32>,
        /// The transaction that it is part of.
        txn: Option<Name>,
        /// What it was made from: topic, partition, offset.
        src: Option<(Name, i32, i64)>,
    },
    /// A record was acknowledged.
    Ack {
        /// Who sent it.
        client: Name,
        /// The record.
        id: RecordId,
        /// Where it is.
        topic: Name,
        /// Where it is.
        partition: i32,
        /// Where it is; -1 when unknown.
        offset: i64,
    },
    /// A record was not acknowledged, and will not be.
    Fail {
        /// Who sent it.
        client: Name,
        /// The record.
        id: RecordId,
        /// Why.
        error: String,
        /// The record is not in the log and will not be.
        definite: bool,
    },
    /// A transaction is about to begin.
    TxnBegin {
        /// Who began it.
        client: Name,
        /// Unique for each transaction.
        txn: Name,
        /// The transactional id.
        tid: Name,
    },
    /// A commit is about to be asked for.
    TxnCommitStart {
        /// Who commits.
        client: Name,
        /// The transaction.
        txn: Name,
    },
    /// A transaction was committed.
    TxnCommit {
        /// Who committed.
        client: Name,
        /// The transaction.
        txn: Name,
    },
    /// A transaction was aborted for certain.
    TxnAbort {
        /// Whose it was.
        client: Name,
        /// The transaction.
        txn: Name,
    },
    /// Neither is known.
    TxnUnknown {
        /// Whose it was.
        client: Name,
        /// The transaction.
        txn: Name,
    },
    /// An offset was sent to a transaction.
    TxnOffsets {
        /// Who sent it.
        client: Name,
        /// The transaction.
        txn: Name,
        /// The group.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// A consumer may read a partition from now on.
    Assign {
        /// The consumer.
        client: Name,
        /// Its group; empty without one.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
    },
    /// A consumer gives a partition back; recorded before that is confirmed.
    Revoke {
        /// The consumer.
        client: Name,
        /// Its group; empty without one.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
    },
    /// A consumer has lost a partition.
    Lost {
        /// The consumer.
        client: Name,
        /// Its group.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
    },
    /// A record was handed to the application.
    Poll {
        /// The consumer.
        client: Name,
        /// Where the record was.
        topic: Name,
        /// Where the record was.
        partition: i32,
        /// Where the record was.
        offset: i64,
        /// The record.
        id: RecordId,
        /// What the consumer is shown.
        isolation: Isolation,
    },
    /// The application moved its position.
    Seek {
        /// The consumer.
        client: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// Where to; -1 when that is for the broker to say.
        offset: i64,
    },
    /// A commit was acknowledged.
    Commit {
        /// The consumer.
        client: Name,
        /// Its group.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// An administrator moved a group's offset.
    Reset {
        /// The group.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// A group's committed offset, read after the run.
    FetchCommitted {
        /// The group.
        group: Name,
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// A client was killed.
    Crash {
        /// Which.
        client: Name,
    },
    /// Anything else; other checkers ignore it.
    Note(Note),
}

/// What makes more checks possible, where it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// What a producer promises.
    Producer {
        /// The producer.
        client: Name,
        /// Whether brokers recognise its repetitions.
        idempotent: bool,
        /// Whether several batches of a partition may be in flight.
        pipelined: bool,
        /// Whether acknowledgements are asked for at all.
        acknowledged: bool,
        /// How long a send may wait before it is accepted.
        max_block_us: u64,
        /// How long an accepted record may stay unresolved.
        delivery_timeout_us: u64,
        /// How many bytes of records may be unresolved.
        buffer_bytes: u64,
    },
    /// A send was accepted.
    Admitted {
        /// Who sends.
        client: Name,
        /// The record.
        id: RecordId,
        /// The size of its key and value.
        bytes: u64,
        /// Whether somebody looks at what becomes of it. Of other records `Ack` and `Fail` are not recorded.
        observed: bool,
    },
    /// A producer is about to wait until everything is resolved.
    FlushStart {
        /// The producer.
        client: Name,
    },
    /// Everything that was accepted before `FlushStart` is resolved.
    Flushed {
        /// The producer.
        client: Name,
        /// How many records failed that nobody looks at.
        failed: u64,
    },
    /// Bytes that something holds, and how many it may hold.
    Gauge {
        /// What holds them.
        what: String,
        /// How many.
        used: u64,
        /// How many it may hold.
        limit: u64,
    },
    /// From here on one broker is out of order, and nothing else is. What belongs to these partitions goes on.
    IsolationStart {
        /// Partitions of healthy brokers.
        bystanders: Vec<(Name, i32)>,
        /// How long sending to or reading from one may take.
        within_us: u64,
    },
    /// To here.
    IsolationEnd,
    /// Records from `from` on and before `to` were damaged on purpose: nobody can read them.
    Unreadable {
        /// The partition.
        topic: Name,
        /// The partition.
        partition: i32,
        /// The first offset.
        from: i64,
        /// The offset after the last.
        to: i64,
    },
    /// Something that should have come to its end has not.
    Stuck {
        /// What it was, and where it stands.
        what: String,
    },
    /// For people.
    Text(String),
}
