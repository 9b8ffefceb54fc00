//! Compacted topics, as far as they can be seen from outside.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use crate::support::*;

cases! {
    the_newest_record_of_each_key_stays_where_it_is,
}

/// Cleaners work in the background, and each of them when it has time.
const CLEANING: Duration = Duration::from_secs(60);

/// Has the cleaner look for work often.
async fn hurry(connection: &mut Connection) {
    let config = AlterableConfig::default()
        .with_name(text("log.cleaner.backoff.ms"))
        .with_config_operation(0)
        .with_value(Some(text("100")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text(""))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(connection.call(1, &request).await.responses[0].error_code, 0);
}

async fn the_newest_record_of_each_key_stays_where_it_is(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("compacted");
    let configs = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.0"),
        // Every batch has a segment of its own.
        ("segment.ms", "1"),
    ];
    connection.create_topic(&topic, &configs).await;
    hurry(&mut connection).await;
    let start = now_ms() - 100_000;
    for (moment, key, count) in [(0, "a", 2), (10, "b", 1), (20, "a", 3), (30, "b", 1), (40, "c", 1)] {
        let mut batch = BatchOf::at(&vec![start + moment; count]);
        batch.key = Some(Bytes::copy_from_slice(key.as_bytes()));
        assert_eq!(connection.produce(9, &topic, batch.bytes()).await.error_code, 0);
    }
    // Offsets 0-1 and 2 are gone; of 3-5 the last is left, in a batch that begins where it did. 7 is in the active
    // segment, and a fetch ends with a segment.
    let cleaned = async {
        while base_offsets(&connection.fetch(&topic, 0, |request| request).await.records) != [3, 6] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(CLEANING, cleaned).await.expect("cleaned in time");
    let left = connection.fetch(&topic, 0, |request| request).await;
    assert_eq!((left.log_start_offset, left.high_watermark), (0, 8));
    let records = left.records.expect("records");
    let (last_offset_delta, count) = (&records[23..27], &records[57..61]);
    assert_eq!((last_offset_delta, count), (&2i32.to_be_bytes()[..], &1i32.to_be_bytes()[..]));
    // A real cleaner may be at it again, and for a moment the segments are those of before.
    let within = async {
        while base_offsets(&connection.fetch(&topic, 4, |request| request).await.records) != [3, 6] {}
    };
    tokio::time::timeout(PATIENCE, within).await.expect("found in time");
}
