//! DescribeClientQuotas and AlterClientQuotas (KIP-546).

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;

cases! {
    quotas_are_set_described_and_removed,
    quota_mistakes_have_each_their_error,
    filters_that_make_no_sense_have_each_their_error,
    an_entity_that_is_named_twice_is_changed_once,
}

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

type Quotas<'a> = &'a [(&'a str, Option<f64>)];

/// Parts of a filter: type, kind of match, name.
type Filter<'a> = &'a [(&'a str, i8, Option<&'a str>)];

/// Sets quotas, or removes those without a value.
async fn alter(
    connection: &mut Connection,
    version: i16,
    entity: Entity<'_>,
    quotas: Quotas<'_>,
    validate_only: bool,
) -> &'static str {
    let part = |&(kind, name): &(&str, Option<&str>)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    let op = |&(key, value): &(&str, Option<f64>)| {
        let op = OpData::default().with_key(text(key)).with_remove(value.is_none());
        op.with_value(value.unwrap_or_default())
    };
    let entry = EntryData::default()
        .with_entity(entity.iter().map(part).collect())
        .with_ops(quotas.iter().map(op).collect());
    let request =
        AlterClientQuotasRequest::default().with_entries(vec![entry]).with_validate_only(validate_only);
    let response = connection.call(version, &request).await;
    ErrorCode::from(response.entries[0].error_code).name()
}

/// Entities, as "type=name" in order, and their quotas.
type Described = Vec<(Vec<String>, Vec<(String, f64)>)>;

async fn describe(
    connection: &mut Connection,
    version: i16,
    components: Filter<'_>,
    strict: bool,
) -> Result<Described, &'static str> {
    let component = |&(kind, match_type, name): &(&str, i8, Option<&str>)| {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(match_type)
            .with_match(name.map(text))
    };
    let request = DescribeClientQuotasRequest::default()
        .with_components(components.iter().map(component).collect())
        .with_strict(strict);
    let response = connection.call(version, &request).await;
    let Some(entries) = response.entries else { return Err(ErrorCode::from(response.error_code).name()) };
    let described = entries.into_iter().map(|entry| {
        let part = |part: &kafka_protocol::messages::describe_client_quotas_response::EntityData| {
            format!("{}={}", &*part.entity_type, part.entity_name.as_deref().unwrap_or("<default>"))
        };
        let mut entity: Vec<_> = entry.entity.iter().map(part).collect();
        entity.sort();
        let values = entry.values.iter().map(|value| (value.key.to_string(), value.value));
        (entity, values.collect())
    });
    Ok(described.collect())
}

async fn quotas_are_set_described_and_removed(broker: &Broker) {
    let mut connection = broker.connect().await;
    let user = &*unique("quota");
    for version in broker.versions(ApiKey::AlterClientQuotas, 0..=1) {
        let alone: Entity<'_> = &[("user", Some(user))];
        let with_client: Entity<'_> = &[("user", Some(user)), ("client-id", Some("c"))];
        let rate = [("producer_byte_rate", Some(1000.0))];
        assert_eq!(alter(&mut connection, version, alone, &rate, true).await, "NONE");
        assert_eq!(alter(&mut connection, version, alone, &rate, false).await, "NONE");
        let percentage = [("request_percentage", Some(12.5))];
        assert_eq!(alter(&mut connection, version, with_client, &percentage, false).await, "NONE");
        let expected = vec![(vec![format!("user={user}")], vec![("producer_byte_rate".to_owned(), 1000.0)])];
        let of_user = [("user", 0, Some(user))];
        let in_force = async {
            // A real Kafka takes a moment to apply it.
            while describe(&mut connection, version, &of_user, true).await.as_ref() != Ok(&expected) {}
            while describe(&mut connection, version, &of_user, false).await.map(|all| all.len()) != Ok(2) {}
            let any = [("user", 2, None), ("client-id", 0, Some("c"))];
            let found = describe(&mut connection, version, &any, true).await.expect("described");
            assert!(found.iter().any(|(entity, _)| entity.contains(&format!("user={user}"))));
            let gone = [("producer_byte_rate", None), ("request_percentage", None)];
            assert_eq!(alter(&mut connection, version, alone, &gone, false).await, "NONE");
            assert_eq!(alter(&mut connection, version, with_client, &gone, false).await, "NONE");
            while describe(&mut connection, version, &of_user, false).await != Ok(vec![]) {}
        };
        tokio::time::timeout(PATIENCE, in_force).await.expect("in force in time");
    }
}

async fn quota_mistakes_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let user: Entity<'_> = &[("user", Some("u"))];
    let cases: [(Entity<'_>, Quotas<'_>); 9] = [
        (&[], &[("producer_byte_rate", Some(1.0))]),
        (&[("planet", Some("x"))], &[("producer_byte_rate", Some(1.0))]),
        (&[("user", Some(""))], &[("producer_byte_rate", Some(1.0))]),
        (&[("ip", Some("1.2.3.4")), ("user", Some("u"))], &[("connection_creation_rate", Some(1.0))]),
        (&[("ip", Some("not an address"))], &[("connection_creation_rate", Some(1.0))]),
        (user, &[("no_such_key", Some(1.0))]),
        (user, &[("producer_byte_rate", Some(0.0))]),
        (user, &[("producer_byte_rate", Some(1.5))]),
        (user, &[("producer_byte_rate", Some(1.0)), ("producer_byte_rate", Some(2.0))]),
    ];
    for (entity, quotas) in cases {
        let error = alter(&mut connection, 1, entity, quotas, true).await;
        assert_eq!(error, "INVALID_REQUEST", "{entity:?} {quotas:?}");
    }
}

async fn filters_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let cases: [(Filter<'_>, &str); 7] = [
        (&[("", 0, Some("x"))], "INVALID_REQUEST"),
        (&[("planet", 0, Some("x"))], "UNSUPPORTED_VERSION"),
        (&[("user", 0, None)], "INVALID_REQUEST"),
        (&[("user", 1, Some("x"))], "INVALID_REQUEST"),
        (&[("user", 9, None)], "INVALID_REQUEST"),
        (&[("user", 2, None), ("user", 1, None)], "INVALID_REQUEST"),
        (&[("user", 2, None), ("ip", 2, None)], "INVALID_REQUEST"),
    ];
    for (components, expected) in cases {
        assert_eq!(describe(&mut connection, 1, components, false).await, Err(expected), "{components:?}");
    }
}

async fn an_entity_that_is_named_twice_is_changed_once(broker: &Broker) {
    let mut connection = broker.connect().await;
    let client = &*unique("quota-twice");
    let entry = |value: f64| {
        let entity =
            EntityData::default().with_entity_type(text("client-id")).with_entity_name(Some(text(client)));
        let op = OpData::default().with_key(text("producer_byte_rate")).with_value(value);
        EntryData::default().with_entity(vec![entity]).with_ops(vec![op])
    };
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry(1e12), entry(2e12)]);
    let response = connection.call(1, &request).await;
    let errors: Vec<_> =
        response.entries.iter().map(|entry| ErrorCode::from(entry.error_code).name()).collect();
    assert_eq!(errors, ["INVALID_REQUEST"]);
    let expected = vec![(vec![format!("client-id={client}")], vec![("producer_byte_rate".to_owned(), 1e12)])];
    let filter = [("client-id", 0, Some(client))];
    let in_force =
        async { while describe(&mut connection, 1, &filter, true).await.as_ref() != Ok(&expected) {} };
    tokio::time::timeout(PATIENCE, in_force).await.expect("the first change is in force in time");
}
