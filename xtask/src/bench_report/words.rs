//! What the document says of how it was measured: only what is true of the runs that it shows.

use super::cell::{Broker, Operation};
use super::results::{FLOOR, Results};
use super::rounds::{E2E, E2E_RATE, JAVA_LATENCY_WARMUP, JAVA_WARMUP_SECONDS, LATENCY};

const ALL: &str = "\
Records have keys of 16 bytes and JSON values, in topics of six partitions that murmur2 chooses by key. Producers are idempotent, with \
acks=all, batches of 64 KiB and five requests in flight; consumers check CRCs. In every round, every client that can has its turn, and \
each round begins with another; numbers are medians of the rounds, and those in brackets the least and the greatest. Processor time is \
that of the client's whole process, user and system, all threads, from the end of its warm-up on; memory is the most that it ever \
held. A client whose rounds failed is shown as *failed*, one that could not be built on this machine as *not built*.
";

/// The paragraphs before the tables.
pub(super) fn how(results: &Results) -> String {
    let cells = results.cells();
    let mut text = format!("{ALL}\nThe brokers:\n\n");
    for broker in [Broker::Null, Broker::Real] {
        if cells.iter().any(|cell| cell.broker == broker) {
            text += &format!("- {}\n", of_broker(broker));
        }
    }
    text += "\nThe operations:\n\n";
    for operation in Operation::ALL {
        if cells.iter().any(|cell| cell.operation == operation) {
            text += &format!("- *{}*: {}\n", operation.name(), of_operation(operation));
        }
    }
    let notes: Vec<String> = results
        .clients(&cells)
        .into_iter()
        .filter_map(|client| Some(format!("- *{client}*: {}\n", of_client(client)?)))
        .collect();
    if !notes.is_empty() {
        text += &format!("\nWhat is different where:\n\n{}", notes.concat());
    }
    text
}

fn of_broker(broker: Broker) -> &'static str {
    match broker {
        Broker::Null => {
            "the *null broker* costs next to nothing and has a core of its own; the client is alone on another. It drops what is produced \
             and hands out the same batches for ever, so that the clients are measured, not the broker, which still reads and answers \
             every request."
        }
        Broker::Real => {
            "*on Kafka*: the time that Kafka takes is part of what is measured, and the same for all. Neither Kafka nor the clients are \
             bound to cores."
        }
    }
}

fn of_operation(operation: Operation) -> String {
    let linger = operation.linger_ms();
    match operation {
        Operation::Produce => {
            format!("as fast as possible, linger {linger} ms, until all records are acknowledged.")
        }
        Operation::Consume => {
            "all partitions from the beginning, until so many records have arrived; nothing is committed."
                .to_owned()
        }
        Operation::Latency => format!(
            "{} records after {} to warm up, each sent when the one before is acknowledged, linger {linger}.",
            LATENCY.records, LATENCY.warmup
        ),
        Operation::E2e => format!(
            "{} records after {} to warm up, {E2E_RATE} a second, from a producer with linger {linger} to a consumer in the same process.",
            E2E.records, E2E.warmup
        ),
        Operation::First => {
            format!("one record of a new process, linger {linger}, from connecting to its acknowledgement.")
        }
    }
}

fn of_client(client: &str) -> Option<String> {
    Some(match client {
        "librdkafka" => "through the rdkafka crate's `BaseProducer` and `BaseConsumer`, its cheapest way from Rust; for *latency* and \
                         *first*, its `FutureProducer`."
            .to_owned(),
        "java" => format!(
            "warms up for up to {JAVA_WARMUP_SECONDS} s of processor time, for *latency* with {JAVA_LATENCY_WARMUP} records: its compiler \
             is done by then, but for *e2e* and *first*. Its memory is mostly the heap of 512 MB that it is given."
        ),
        "krafka" => "keeps one batch for each partition in flight.".to_owned(),
        "kacrab" => "what is not acknowledged yet is bounded from outside, as its own bound would stop the thread.".to_owned(),
        "rskafka" => "has neither idempotence nor keyed partitioning nor linger in the path that is measured: it is given ready batches, \
                      partition after partition, ten at once."
            .to_owned(),
        FLOOR => "not a client, but the least that one could do: a blocking socket loop that knows its broker. For *produce* it hashes, \
                  encodes, compresses and stamps, for *consume* it checks CRCs, decompresses and decodes, with Milena's codecs. It has no \
                  metadata, errors, retries, timers or deliveries; for *latency* it is not idempotent, and *e2e* and *first* it cannot do."
            .to_owned(),
        _ => return None,
    })
}
