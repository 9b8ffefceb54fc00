//! Other people's clients and tools on the embedded cluster, with one node and with three: they must not notice that it is not Kafka.

#![expect(clippy::unwrap_used, reason = "a case that cannot go on fails")]

mod administration;
mod console;
mod context;
mod groups;
mod other_languages;
mod performance;
mod topics;
mod transactions;
mod verifiable;

use context::Context;

/// Every case as a test of its own, on one node and on three.
macro_rules! suite {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod one_node {
            use super::*;
            $(#[tokio::test] async fn $case() { crate::$module::$case(&Context::start(1).await).await; })*
        }
        mod three_nodes {
            use super::*;
            $(#[tokio::test] async fn $case() { crate::$module::$case(&Context::start(3).await).await; })*
        }
    };
}

/// Kafka's own tools.
mod real_kafka_java {
    use super::*;

    suite!(
        topics::topics_are_made_grown_described_and_deleted,
        topics::configurations_are_altered_and_described,
        topics::offsets_are_listed,
        console::what_is_typed_is_read,
        groups::a_group_is_listed_described_reset_and_deleted,
        verifiable::what_is_produced_is_consumed_once,
        verifiable::a_classic_group_shares_partitions,
        verifiable::a_consumer_group_shares_partitions,
        transactions::messages_are_copied_exactly_once,
        performance::what_is_produced_in_bulk_is_consumed_in_bulk,
        administration::records_are_deleted_up_to_an_offset,
        administration::replicas_are_moved_and_leaders_elected,
        administration::the_cluster_and_its_quorum_are_described,
        administration::acls_are_added_listed_and_removed,
        administration::users_clients_groups_and_metrics_are_configured,
        administration::transactions_are_listed_and_hanging_ones_found,
        administration::records_come_back_end_to_end,
    );
}

mod with_python {
    use super::*;

    suite!(
        other_languages::librdkafka_shares_a_group,
        other_languages::librdkafka_commits_transactions,
        other_languages::kafka_python_shares_a_group,
    );
}

mod with_go {
    use super::*;

    suite!(other_languages::franz_go_shares_a_group, other_languages::franz_go_commits_transactions);
}
