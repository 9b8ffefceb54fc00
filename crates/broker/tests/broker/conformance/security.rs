//! ACLs, SCRAM credentials, delegation tokens, SASL: what a broker without security says of them.

use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, CreateAclsRequest, CreateDelegationTokenRequest, DeleteAclsRequest,
    DescribeAclsRequest, DescribeDelegationTokenRequest, DescribeUserScramCredentialsRequest,
    ExpireDelegationTokenRequest, RenewDelegationTokenRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::StrBytes;
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;

cases! {
    acls_are_disabled_without_an_authorizer,
    scram_credentials_are_stored_and_described,
    scram_mistakes_have_each_their_error,
    tokens_are_refused_without_authentication,
    sasl_is_out_of_place_on_a_plain_listener,
}

fn code(error: i16) -> &'static str {
    ErrorCode::from(error).name()
}

async fn acls_are_disabled_without_an_authorizer(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::DescribeAcls, 1..=3) {
        let any = DescribeAclsRequest::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1);
        let described = connection.call(version, &any).await;
        assert_eq!(code(described.error_code), "SECURITY_DISABLED", "version {version}");
        let message = described.error_message.map(|message| message.to_string());
        assert_eq!(message.as_deref(), Some("No Authorizer is configured on the broker"));
    }
    for version in broker.versions(ApiKey::CreateAcls, 1..=3) {
        let creation = AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_resource_pattern_type(3)
            .with_principal(text("User:a"))
            .with_host(text("*"))
            .with_operation(3)
            .with_permission_type(3);
        let created =
            connection.call(version, &CreateAclsRequest::default().with_creations(vec![creation; 2])).await;
        let codes: Vec<_> = created.results.iter().map(|result| code(result.error_code)).collect();
        assert_eq!(codes, ["SECURITY_DISABLED"; 2], "version {version}");
    }
    for version in broker.versions(ApiKey::DeleteAcls, 1..=3) {
        let any = DeleteAclsFilter::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1);
        let deleted = connection.call(version, &DeleteAclsRequest::default().with_filters(vec![any])).await;
        assert_eq!(code(deleted.filter_results[0].error_code), "SECURITY_DISABLED", "version {version}");
    }
}

/// A change of credentials: users and mechanisms to delete, and those to set with their iterations.
async fn alter(
    connection: &mut Connection,
    deletions: &[(&str, i8)],
    upsertions: &[(&str, i8, i32)],
) -> Vec<(String, &'static str)> {
    let delete = |&(user, mechanism): &(&str, i8)| {
        ScramCredentialDeletion::default().with_name(text(user)).with_mechanism(mechanism)
    };
    let upsert = |&(user, mechanism, iterations): &(&str, i8, i32)| {
        ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(mechanism)
            .with_iterations(iterations)
            .with_salt(Bytes::from_static(b"salt"))
            .with_salted_password(Bytes::from_static(b"salted password"))
    };
    let request = AlterUserScramCredentialsRequest::default()
        .with_deletions(deletions.iter().map(delete).collect())
        .with_upsertions(upsertions.iter().map(upsert).collect());
    let results = connection.call(0, &request).await.results;
    results.into_iter().map(|result| (result.user.to_string(), code(result.error_code))).collect()
}

/// A user's error, and mechanisms with their iterations.
async fn describe(connection: &mut Connection, users: &[&str]) -> (&'static str, Vec<(i8, i32)>) {
    let users = users.iter().map(|user| UserName::default().with_name(text(user))).collect();
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(users));
    let response = connection.call(0, &request).await;
    assert_eq!((response.error_code, response.results.len()), (0, 1));
    let result = &response.results[0];
    let infos = result.credential_infos.iter().map(|info| (info.mechanism, info.iterations));
    let mut infos: Vec<_> = infos.collect();
    infos.sort_unstable();
    (code(result.error_code), infos)
}

async fn scram_credentials_are_stored_and_described(broker: &Broker) {
    let mut connection = broker.connect().await;
    let user = unique("scram");
    assert_eq!(describe(&mut connection, &[&user]).await, ("RESOURCE_NOT_FOUND", vec![]));
    for (mechanism, iterations) in [(1, 4096), (2, 8192)] {
        let altered = alter(&mut connection, &[], &[(&user, mechanism, iterations)]).await;
        assert_eq!(altered, [(user.clone(), "NONE")]);
    }
    let described = async {
        // A real Kafka takes a moment to apply it.
        while describe(&mut connection, &[&user]).await != ("NONE", vec![(1, 4096), (2, 8192)]) {}
        let everybody = DescribeUserScramCredentialsRequest::default().with_users(None);
        let all = connection.call(0, &everybody).await.results;
        assert!(all.iter().any(|result| *result.user == *user));
        assert_eq!(alter(&mut connection, &[(&user, 1)], &[]).await, [(user.clone(), "NONE")]);
        while describe(&mut connection, &[&user]).await != ("NONE", vec![(2, 8192)]) {}
    };
    tokio::time::timeout(PATIENCE, described).await.expect("described in time");
    assert_eq!(describe(&mut connection, &[&user, &user]).await, ("DUPLICATE_RESOURCE", vec![]));
}

async fn scram_mistakes_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let user = &*unique("scram-mistakes");
    for (deletions, upsertions, expected) in [
        (&[(user, 1)][..], &[][..], "RESOURCE_NOT_FOUND"),
        (&[], &[(user, 0, 4096)], "UNSUPPORTED_SASL_MECHANISM"),
        (&[], &[(user, 1, 4095)], "UNACCEPTABLE_CREDENTIAL"),
        (&[], &[(user, 1, 16_385)], "UNACCEPTABLE_CREDENTIAL"),
        (&[], &[(user, 1, 4096), (user, 2, 4096)], "DUPLICATE_RESOURCE"),
    ] {
        let altered = alter(&mut connection, deletions, upsertions).await;
        assert_eq!(altered, [(user.to_owned(), expected)], "{deletions:?} {upsertions:?}");
    }
    let nobody = alter(&mut connection, &[], &[("", 1, 4096)]).await;
    assert_eq!(nobody, [(String::new(), "UNACCEPTABLE_CREDENTIAL")]);
}

async fn tokens_are_refused_without_authentication(broker: &Broker) {
    let mut connection = broker.connect().await;
    const REFUSED: &str = "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED";
    for version in broker.versions(ApiKey::CreateDelegationToken, 1..=3) {
        let mut request = CreateDelegationTokenRequest::default().with_max_lifetime_ms(-1);
        if version >= 3 {
            request = request.with_owner_principal_type(None).with_owner_principal_name(None);
        }
        let created = connection.call(version, &request).await;
        assert_eq!(code(created.error_code), REFUSED, "version {version}");
        assert_eq!((&*created.principal_type, &*created.principal_name), ("User", "ANONYMOUS"));
        assert_eq!((created.issue_timestamp_ms, created.hmac.len()), (-1, 0));
    }
    for version in broker.versions(ApiKey::RenewDelegationToken, 1..=2) {
        let request = RenewDelegationTokenRequest::default().with_hmac(Bytes::from_static(b"hmac"));
        let renewed = connection.call(version, &request).await;
        assert_eq!((code(renewed.error_code), renewed.expiry_timestamp_ms), (REFUSED, -1));
    }
    for version in broker.versions(ApiKey::ExpireDelegationToken, 1..=2) {
        let request = ExpireDelegationTokenRequest::default().with_hmac(Bytes::from_static(b"hmac"));
        let expired = connection.call(version, &request).await;
        assert_eq!((code(expired.error_code), expired.expiry_timestamp_ms), (REFUSED, -1));
    }
    for version in broker.versions(ApiKey::DescribeDelegationToken, 1..=3) {
        let request = DescribeDelegationTokenRequest::default().with_owners(None);
        let described = connection.call(version, &request).await;
        assert_eq!((code(described.error_code), described.tokens.len()), (REFUSED, 0));
    }
}

async fn sasl_is_out_of_place_on_a_plain_listener(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::SaslHandshake, 0..=1) {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let answer = connection.call(version, &request).await;
        assert_eq!((code(answer.error_code), answer.mechanisms.len()), ("ILLEGAL_SASL_STATE", 0));
    }
    for version in broker.versions(ApiKey::SaslAuthenticate, 0..=2) {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"x"));
        let answer = connection.call(version, &request).await;
        assert_eq!(code(answer.error_code), "ILLEGAL_SASL_STATE");
        assert!(
            answer.error_message.is_some_and(|message| message.contains("after successful authentication"))
        );
    }
}
