//! Access control lists where an authorizer is configured: kept, found and deleted (KIP-140, 290). Whoever asks is a super
//! user, so nobody is held to them here.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;

cases! {
    brisk:
    rules_are_kept_described_and_deleted_in_every_version,
    a_filter_finds_what_it_names_and_a_match_what_holds,
    rules_that_make_no_sense_have_each_their_error,
    a_rule_that_is_a_filter_fails_the_whole_request,
    unknown_elements_end_the_connection_and_unknown_codes_find_nothing,
    a_rule_that_is_there_already_is_no_mistake,
}

const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const TOPIC: i8 = 2;
const CLUSTER: i8 = 4;
const READ: i8 = 3;
const ALLOW: i8 = 3;

/// Somebody may read a topic.
fn rule(topic: &str, pattern_type: i8, principal: &str) -> AclCreation {
    AclCreation::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_resource_pattern_type(pattern_type)
        .with_principal(text(principal))
        .with_host(text("*"))
        .with_operation(READ)
        .with_permission_type(ALLOW)
}

/// Of a topic of this name, or of any.
fn filter(topic: Option<&str>, pattern_type: i8, principal: &str) -> DeleteAclsFilter {
    DeleteAclsFilter::default()
        .with_resource_type_filter(TOPIC)
        .with_resource_name_filter(topic.map(text))
        .with_pattern_type_filter(pattern_type)
        .with_principal_filter(Some(text(principal)))
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY)
}

async fn create(connection: &mut Connection, version: i16, rules: Vec<AclCreation>) -> Vec<&'static str> {
    let response = connection.call(version, &CreateAclsRequest::default().with_creations(rules)).await;
    response.results.iter().map(|result| ErrorCode::from(result.error_code).name()).collect()
}

/// Topics and pattern types, in order.
type Found = Vec<(String, i8)>;

fn describe_request(filter: &DeleteAclsFilter) -> DescribeAclsRequest {
    DescribeAclsRequest::default()
        .with_resource_type_filter(filter.resource_type_filter)
        .with_resource_name_filter(filter.resource_name_filter.clone())
        .with_pattern_type_filter(filter.pattern_type_filter)
        .with_principal_filter(filter.principal_filter.clone())
        .with_host_filter(filter.host_filter.clone())
        .with_operation(filter.operation)
        .with_permission_type(filter.permission_type)
}

async fn describe(connection: &mut Connection, version: i16, filter: &DeleteAclsFilter) -> Found {
    let response = connection.call(version, &describe_request(filter)).await;
    assert_eq!((response.error_code, response.error_message.as_deref()), (0, Some("")));
    let mut found = Vec::new();
    for resource in response.resources {
        for acl in resource.acls {
            assert_eq!((&*acl.host, acl.operation, acl.permission_type), ("*", READ, ALLOW));
            found.push((resource.resource_name.to_string(), resource.pattern_type));
        }
    }
    found.sort();
    found
}

async fn delete(
    connection: &mut Connection,
    version: i16,
    filter: &DeleteAclsFilter,
) -> Result<Found, &'static str> {
    let request = DeleteAclsRequest::default().with_filters(vec![filter.clone()]);
    let response = connection.call(version, &request).await;
    let result = &response.filter_results[0];
    match ErrorCode::from(result.error_code) {
        ErrorCode::None => {}
        error => return Err(error.name()),
    }
    let deleted = result.matching_acls.iter();
    let mut deleted: Vec<_> = deleted.map(|acl| (acl.resource_name.to_string(), acl.pattern_type)).collect();
    deleted.sort();
    Ok(deleted)
}

/// Returns when a filter finds this; a real Kafka takes a moment.
async fn until_found(connection: &mut Connection, filter: &DeleteAclsFilter, expected: &[(&str, i8)]) {
    let expected: Found = expected.iter().map(|(topic, kind)| ((*topic).to_owned(), *kind)).collect();
    let found = async { while describe(connection, 3, filter).await != expected {} };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "{:?} and not {expected:?}", describe(connection, 3, filter).await);
}

async fn rules_are_kept_described_and_deleted_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::CreateAcls, 1..=3) {
        let principal = format!("User:{}", unique("acl"));
        let rules = vec![rule("a", LITERAL, &principal), rule("b", PREFIXED, &principal)];
        assert_eq!(create(&mut connection, version, rules).await, ["NONE"; 2]);
        let all = filter(None, ANY, &principal);
        until_found(&mut connection, &all, &[("a", LITERAL), ("b", PREFIXED)]).await;
        assert_eq!(describe(&mut connection, version, &all).await.len(), 2, "version {version}");
        let one = filter(Some("a"), LITERAL, &principal);
        assert_eq!(delete(&mut connection, version, &one).await, Ok(vec![("a".to_owned(), LITERAL)]));
        until_found(&mut connection, &all, &[("b", PREFIXED)]).await;
        assert_eq!(delete(&mut connection, version, &one).await, Ok(vec![]), "it is gone");
    }
}

async fn a_filter_finds_what_it_names_and_a_match_what_holds(broker: &Broker) {
    let mut connection = broker.connect().await;
    let principal = &*format!("User:{}", unique("acl-match"));
    let rules =
        [("orders", LITERAL), ("ord", PREFIXED), ("orders.eu", PREFIXED), ("*", LITERAL), ("x", LITERAL)];
    let rules = rules.map(|(topic, kind)| rule(topic, kind, principal));
    assert_eq!(create(&mut connection, 3, rules.to_vec()).await, ["NONE"; 5]);
    let all =
        [("*", LITERAL), ("ord", PREFIXED), ("orders", LITERAL), ("orders.eu", PREFIXED), ("x", LITERAL)];
    until_found(&mut connection, &filter(None, ANY, principal), &all).await;
    for (wanted, expected) in [
        (filter(Some("orders"), MATCH, principal), &all[..3]),
        (filter(Some("orders"), ANY, principal), &all[2..3]),
        (filter(Some("ord"), LITERAL, principal), &[]),
        (filter(Some("ord"), PREFIXED, principal), &all[1..2]),
        (filter(Some("*"), MATCH, principal), &all[..1]),
        (filter(None, PREFIXED, principal), &[all[1], all[3]]),
        (filter(None, ANY, principal).with_host_filter(Some(text("*"))), &all[..]),
        (filter(None, ANY, principal).with_host_filter(Some(text("127.0.0.1"))), &[]),
        (filter(None, ANY, principal).with_operation(READ), &all[..]),
        (filter(None, ANY, principal).with_operation(READ + 1), &[]),
        (filter(None, ANY, principal).with_permission_type(ALLOW - 1), &[]),
        (filter(None, ANY, principal).with_resource_type_filter(TOPIC + 1), &[]),
        (filter(None, ANY, principal).with_resource_type_filter(ANY), &all[..]),
    ] {
        until_found(&mut connection, &wanted, expected).await;
    }
}

async fn rules_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let good = rule("a", LITERAL, "User:a");
    let beside = rule("beside", LITERAL, &format!("User:{}", unique("acl-beside")));
    for bad in [
        good.clone().with_resource_type(CLUSTER),
        good.clone().with_resource_name(text("")),
        good.clone().with_principal(text("nobody")),
        good.clone().with_principal(text("")),
        good.clone().with_resource_type(99),
        good.clone().with_resource_pattern_type(99),
        good.clone().with_operation(99),
        good.clone().with_permission_type(99),
    ] {
        let created = create(&mut connection, 3, vec![bad.clone(), beside.clone()]).await;
        assert_eq!(created, ["INVALID_REQUEST", "NONE"], "{bad:?}");
    }
    let cluster = good.with_resource_type(CLUSTER).with_resource_name(text("kafka-cluster"));
    assert_eq!(create(&mut connection, 3, vec![cluster]).await, ["NONE"]);
}

async fn a_rule_that_is_a_filter_fails_the_whole_request(broker: &Broker) {
    let mut connection = broker.connect().await;
    let principal = format!("User:{}", unique("acl-filter"));
    let good = rule("a", LITERAL, &principal);
    for bad in [
        good.clone().with_resource_type(ANY),
        good.clone().with_resource_pattern_type(ANY),
        good.clone().with_resource_pattern_type(MATCH),
        good.clone().with_operation(ANY),
        good.clone().with_permission_type(ANY),
    ] {
        let created = create(&mut connection, 3, vec![good.clone(), bad.clone()]).await;
        assert_eq!(created, ["UNKNOWN_SERVER_ERROR"; 2], "{bad:?}");
    }
    assert_eq!(describe(&mut connection, 3, &filter(None, ANY, &principal)).await, []);
}

async fn unknown_elements_end_the_connection_and_unknown_codes_find_nothing(broker: &Broker) {
    let good = rule("a", LITERAL, "User:a");
    let any = filter(None, ANY, "User:a");
    let mut connection = broker.connect().await;
    connection.send(3, &CreateAclsRequest::default().with_creations(vec![good.with_operation(0)])).await;
    assert!(connection.is_closed().await);
    let unknown = any.clone().with_permission_type(0);
    let mut connection = broker.connect().await;
    connection.send(3, &describe_request(&unknown)).await;
    assert!(connection.is_closed().await);
    let mut connection = broker.connect().await;
    connection.send(3, &DeleteAclsRequest::default().with_filters(vec![unknown])).await;
    assert!(connection.is_closed().await);
    let mut connection = broker.connect().await;
    let strange = any.with_operation(99);
    assert_eq!(describe(&mut connection, 3, &strange).await, []);
    assert_eq!(delete(&mut connection, 3, &strange).await, Err("INVALID_REQUEST"));
}

async fn a_rule_that_is_there_already_is_no_mistake(broker: &Broker) {
    let mut connection = broker.connect().await;
    let principal = format!("User:{}", unique("acl-twice"));
    let twice = vec![rule("a", LITERAL, &principal); 2];
    for _ in 0..2 {
        assert_eq!(create(&mut connection, 3, twice.clone()).await, ["NONE"; 2]);
        until_found(&mut connection, &filter(None, ANY, &principal), &[("a", LITERAL)]).await;
    }
}
