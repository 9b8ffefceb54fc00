//! One suite, run on the embedded broker and on real ones from 4.3.1 (or one that is given by its address) back to 2.1.1: what holds
//! on Kafka holds on ours.

#![expect(clippy::unwrap_used, reason = "a case that cannot go on fails")]

mod consuming;
mod context;
mod producing;
mod topics;

use milena_testcontainers::KafkaVersion;
use milena_tests::Target;

/// Every case as a test of its own, on every broker.
macro_rules! suite {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod embedded {
            suite!(@cases crate::Target::embedded(), $($module::$case),*);
        }
        mod real_kafka {
            mod given_or_latest {
                suite!(@cases crate::Target::given_or_latest(), $($module::$case),*);
            }
        }
        mod real_kafka_control {
            suite!(@real kafka_4_1_2, V4_1_2, $($module::$case),*);
            suite!(@real kafka_3_9_1, V3_9_1, $($module::$case),*);
            suite!(@real kafka_2_8_2, V2_8_2, $($module::$case),*);
            suite!(@real kafka_2_1_1, V2_1_1, $($module::$case),*);
        }
    };
    (@real $target:ident, $version:ident, $($module:ident :: $case:ident),*) => {
        mod $target {
            suite!(@cases crate::Target::real(crate::KafkaVersion::$version), $($module::$case),*);
        }
    };
    (@cases $target:expr, $($module:ident :: $case:ident),*) => {
        $(#[tokio::test]
        async fn $case() {
            crate::$module::$case(&crate::context::Context::new($target.await).await).await;
        })*
    };
}

suite! {
    producing::records_come_back_as_they_were_in_every_codec,
    producing::acks_none_leader_and_all_write,
    producing::a_keys_records_stay_in_one_partition_in_order,
    producing::many_small_batches_in_flight_keep_their_order,
    producing::keyless_records_reach_every_partition,
    producing::the_topics_timestamp_type_decides_the_timestamp,
    producing::a_record_over_the_clients_limit_names_the_limit,
    producing::a_record_over_the_topics_limit_names_the_limit,
    producing::a_batch_over_the_topics_limit_is_split,
    producing::an_unknown_partition_is_refused,
    producing::partitions_added_while_producing_are_used,
    producing::metrics_count_what_was_sent,
    consuming::seeks_go_where_they_say,
    consuming::offsets_are_found_by_time,
    consuming::a_paused_partition_gives_nothing_until_resumed,
    consuming::the_reset_policy_decides_where_to_begin,
    consuming::deleted_records_are_out_of_range,
    consuming::records_larger_than_the_fetch_size_come_all_the_same,
    consuming::poll_recv_and_stream_give_the_same_records,
    consuming::read_committed_shows_records_outside_of_transactions,
    consuming::lag_counts_down_to_zero,
    topics::topics_are_made_described_and_deleted,
    topics::a_topic_is_created_on_first_use,
    topics::a_topic_made_anew_is_used_under_its_new_id,
}
