//! What Kafka does, API by API, on the embedded broker and on real ones: 4.3.1, 4.1.2 and 3.9.1.
//!
//! A case is an asynchronous function that takes the [`Broker`](crate::support::Broker), and is named in its file's
//! `cases!`, which makes a test of it for every broker: `conformance::offsets::embedded::a_case` and
//! `conformance::offsets::real_kafka_control::kafka_4_1_2::a_case`. The real ones are started once for all cases, so
//! a case makes its topics, groups and ids with `unique` names, and leaves alone what others share.
//!
//! To add a case:
//!
//! ```ignore
//! cases! {
//!     offsets_are_found_in_every_version,
//! }
//!
//! async fn offsets_are_found_in_every_version(broker: &Broker) {
//!     let mut connection = broker.connect().await;
//!     for version in broker.versions(ApiKey::ListOffsets, 1..=10) {
//!         // ask and compare
//!     }
//! }
//! ```
//!
//! What an older Kafka lacks is left out by what its ApiVersions says, where the case can be seen to do so:
//! `broker.versions(api, range)` is the part of the range that is offered, and `broker.offers(api, version)` asks for
//! one. Both demand everything of the embedded broker and of 4.3.1. Where behaviour changed without a version of
//! its own, `broker.is_at_least(KafkaVersion::V4_1_2)` tells; say why beside it.
//!
//! What would take a broker too long, or would disturb other cases, is for a broker of its own that looks after its logs
//! all the time and keeps access control lists: `cases! { brisk: a_case }`.
//!
//! By hand: `cargo test -p milena-broker conformance::offsets::embedded`; with `MILENA_CONFORMANCE_BOOTSTRAP=host:port`
//! in the environment, `embedded` is the broker at that address instead, which must be of the latest release.

/// Makes a test of every case named, on every broker; see the module's description.
macro_rules! cases {
    (@all $start:ident, $real:ident, $($case:ident),*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::support::Broker::$start().await).await;
            })*
        }
        mod real_kafka_control {
            cases!(@real $real, kafka_4_3_1, V4_3_1, $($case),*);
            cases!(@real $real, kafka_4_1_2, V4_1_2, $($case),*);
            cases!(@real $real, kafka_3_9_1, V3_9_1, $($case),*);
        }
    };
    (@real $real:ident, $module:ident, $version:ident, $($case:ident),*) => {
        mod $module {
            $(#[tokio::test]
            async fn $case() {
                let version = milena_testcontainers::KafkaVersion::$version;
                super::super::$case(&crate::support::Broker::$real(version).await).await;
            })*
        }
    };
    (brisk: $($case:ident),* $(,)?) => {
        cases!(@all start_brisk, real_brisk, $($case),*);
    };
    ($($case:ident),* $(,)?) => {
        cases!(@all start, real, $($case),*);
    };
}

mod acls;
mod admin;
mod api_versions;
mod cluster;
mod compaction;
mod configs;
mod configs_of_nobody;
mod consumer_group_offsets;
mod consumer_groups;
mod eligible_leaders;
mod fetch;
mod group_admin;
mod group_client;
mod group_migration;
mod group_offsets;
mod groups;
mod idempotence;
mod internal_topics;
mod messages;
mod metadata;
mod newest;
mod nodes;
mod offsets;
mod produce;
mod quotas;
mod retention;
mod security;
mod sessions;
mod short_of_replicas;
mod static_members;
mod throttling;
mod transaction_log;
mod transaction_offsets;
mod transactions;
mod unregistration;
mod watermark;
