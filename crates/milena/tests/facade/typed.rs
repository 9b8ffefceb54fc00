//! Keys and values of the user's types.

use milena::serdes::{BigEndian, Json, Nullable, Part, SerializeError, Utf8, deserializer_fn, serializer_fn};
use milena::typed::{TypedProducer, TypedReader, TypedSendError};
use milena::{Consumer, Kafka, Record, RecordBatch, TopicPartition};

use crate::cluster;

async fn consumer(kafka: &Kafka, partition: i32) -> Consumer {
    let partition = TopicPartition::new("orders", partition);
    let mut consumer = kafka.consumer().build().await.unwrap();
    consumer.assign([partition.clone()]);
    consumer.seek(&partition, 0).unwrap();
    consumer
}

async fn next(consumer: &mut Consumer) -> RecordBatch {
    consumer.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn values_come_back_as_they_were_sent_nulls_included() {
    let (_cluster, kafka) = cluster().await;
    let producer = kafka.producer().build().await.unwrap();
    let prices = TypedProducer::new(producer, Utf8, Nullable(BigEndian));
    let sent = [("tea", Some(250_i64)), ("coffee", None), ("", Some(-1))];
    for (key, value) in sent {
        let record = Record::to("orders").partition(1).header("unit", "cent").timestamp_ms(5);
        prices.send(record, key, &value).await.unwrap().await.unwrap();
    }
    let reader = TypedReader::new(Utf8, Nullable(BigEndian));
    let mut consumer = consumer(&kafka, 1).await;
    let mut read = Vec::new();
    while read.len() < sent.len() {
        let batch = next(&mut consumer).await;
        for record in reader.read::<String, Option<i64>>(&batch) {
            let record = record.unwrap();
            assert_eq!((record.topic, record.partition, record.timestamp), ("orders", 1, 5));
            assert_eq!(record.headers().next().unwrap().key_str(), Some("unit"));
            read.push((record.key, record.value));
        }
    }
    assert_eq!(read, sent.map(|(key, value)| (key.to_owned(), value)));
}

#[tokio::test]
async fn a_value_without_a_form_queues_nothing_and_the_next_one_is_untouched() {
    let (_cluster, kafka) = cluster().await;
    let only_even = serializer_fn(|_, value: &u8, out: &mut Vec<u8>| {
        out.push(*value);
        if value.is_multiple_of(2) {
            Ok(milena::serdes::Presence::Present)
        } else {
            Err(SerializeError::new("odd"))
        }
    });
    let producer = TypedProducer::new(kafka.producer().build().await.unwrap(), Utf8, only_even);
    let record = || Record::to("orders").partition(0);
    let error = producer.send(record(), "k", &7_u8).await.unwrap_err();
    assert!(matches!(&error, TypedSendError::Serialize { topic, .. } if topic == "orders"), "{error}");
    assert!(error.to_string().contains("odd") && !error.is_retriable(), "{error}");
    let ack = producer.send(record(), "k", &8_u8).await.unwrap().await.unwrap();
    assert_eq!(ack.offset, Some(0), "the refused record took an offset");
    let batch = next(&mut consumer(&kafka, 0).await).await;
    assert_eq!(batch.iter().next().unwrap().value, Some(&[8][..]));
}

#[tokio::test]
async fn reading_goes_on_past_what_does_not_deserialize_and_the_error_carries_it() {
    let (_cluster, kafka) = cluster().await;
    let producer = kafka.producer().build().await.unwrap();
    for value in [&b"1"[..], b"\xff!", b"3"] {
        let record = Record::to("orders").partition(2).key("k").header("a", "b").value(value);
        producer.send(record).await.unwrap().await.unwrap();
    }
    let reader = TypedReader::new(Utf8, Json);
    let mut consumer = consumer(&kafka, 2).await;
    let (mut values, mut errors, mut seen) = (Vec::new(), Vec::new(), 0);
    while seen < 3 {
        let batch = next(&mut consumer).await;
        seen += batch.len();
        for record in reader.read::<&str, u32>(&batch) {
            match record {
                Ok(record) => values.push((record.offset, record.value)),
                Err(error) => errors.push(error),
            }
        }
    }
    assert_eq!(values, [(0, 1), (2, 3)]);
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!((error.part, error.next_offset()), (Part::Value, 2));
    let record = &error.record;
    assert_eq!((record.topic.as_str(), record.partition, record.offset), ("orders", 2, 1));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"\xff!"[..])));
    assert_eq!(record.headers.len(), 1);
}

#[tokio::test]
async fn the_position_is_past_what_does_not_deserialize_and_a_seek_meets_it_again() {
    let (_cluster, kafka) = cluster().await;
    let producer = kafka.producer().build().await.unwrap();
    for value in [&b"1"[..], b"not a number", b"3"] {
        producer.send(Record::to("orders").partition(2).key("k").value(value)).await.unwrap().await.unwrap();
    }
    let partition = TopicPartition::new("orders", 2);
    let reader = TypedReader::new(Utf8, Json);
    let mut consumer = consumer(&kafka, 2).await;
    let mut failed = None;
    while consumer.position(&partition).unwrap().unwrap().offset < 3 {
        let batch = next(&mut consumer).await;
        failed = failed.or(reader.read::<&str, u32>(&batch).find_map(Result::err));
    }
    let failed = failed.unwrap();
    assert_eq!(failed.to_string().split(": ").next(), Some("orders-2@1"));
    for (from, expected) in [(failed.record.offset, None), (failed.next_offset(), Some(3))] {
        consumer.seek(&partition, from).unwrap();
        let batch = next(&mut consumer).await;
        let first = reader.read::<&str, u32>(&batch).next().unwrap();
        assert_eq!(first.ok().map(|record| record.value), expected);
    }
}

#[tokio::test]
async fn a_deserializer_sees_the_headers_and_a_key_that_fails_is_told_as_such() {
    let (_cluster, kafka) = cluster().await;
    let producer = kafka.producer().build().await.unwrap();
    let record = Record::to("orders").partition(0).key("k").header("v", "1").header("v", "2").value("x");
    producer.send(record).await.unwrap().await.unwrap();
    let batch = next(&mut consumer(&kafka, 0).await).await;

    let version = deserializer_fn(|context, _| Ok(context.header("v").flatten().map(<[u8]>::to_vec)));
    let versions: Vec<_> = TypedReader::new(Utf8, version).read::<&str, Option<Vec<u8>>>(&batch).collect();
    assert_eq!(versions[0].as_ref().unwrap().value.as_deref(), Some(&b"2"[..]));

    let failed: Vec<_> = TypedReader::new(BigEndian, Utf8).read::<i64, &str>(&batch).collect();
    assert_eq!(failed[0].as_ref().unwrap_err().part, Part::Key);
}
