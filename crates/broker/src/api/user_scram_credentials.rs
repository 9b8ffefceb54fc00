//! DescribeUserScramCredentials, AlterUserScramCredentials (KIP-554; Java: `ScramImage`, `ScramControlManager`).

use std::collections::BTreeMap;

use milena_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use milena_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use milena_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, ScramCredential, ScramCredentials};

impl Api for DescribeUserScramCredentialsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeUserScramCredentialsResponse> {
        let state = context.shared.state();
        let stored = state.scram_credentials();
        let mut times_named: BTreeMap<ByteStr, usize> = BTreeMap::new();
        match self.users.filter(|users| !users.is_empty()) {
            None => times_named.extend(stored.users().map(|user| (user.clone(), 1))),
            Some(users) => {
                users.into_iter().for_each(|user| *times_named.entry(user.name).or_default() += 1);
            }
        }
        let results = times_named.into_iter().map(|(user, times)| describe(stored, user, times)).collect();
        DescribeUserScramCredentialsResponse { results, ..Default::default() }.into()
    }

    fn refuse(
        self,
        _: &RequestContext<'_>,
        error_code: ErrorCode,
    ) -> Reply<DescribeUserScramCredentialsResponse> {
        let error_message = message(error_code);
        DescribeUserScramCredentialsResponse { error_code, error_message, ..Default::default() }.into()
    }
}

fn describe(
    stored: &ScramCredentials,
    user: ByteStr,
    times_named: usize,
) -> DescribeUserScramCredentialsResult {
    let failed = |user: ByteStr, error_code, what: &str| DescribeUserScramCredentialsResult {
        error_message: Some(format!("{what}: {user}").into()),
        user,
        error_code,
        ..Default::default()
    };
    if times_named > 1 {
        let what = "Cannot describe SCRAM credentials for the same user twice in a single request";
        return failed(user, ErrorCode::DuplicateResource, what);
    }
    let credentials = stored.of(&user);
    if credentials.is_empty() {
        let what = "Attempt to describe a user credential that does not exist";
        return failed(user, ErrorCode::ResourceNotFound, what);
    }
    let info = |(mechanism, iterations)| CredentialInfo { mechanism, iterations, ..Default::default() };
    DescribeUserScramCredentialsResult {
        user,
        credential_infos: credentials.into_iter().map(info).collect(),
        ..Default::default()
    }
}

impl Api for AlterUserScramCredentialsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AlterUserScramCredentialsResponse> {
        let mut state = context.shared.state_mut();
        let mut users: BTreeMap<ByteStr, Result<(), AdminError>> = BTreeMap::new();
        for deletion in &self.deletions {
            let checked = state.scram_credentials().check_deletion(&deletion.name, deletion.mechanism);
            once(&mut users, &deletion.name, checked);
        }
        for upsertion in &self.upsertions {
            let (mechanism, iterations) = (upsertion.mechanism, upsertion.iterations);
            let checked = ScramCredentials::check_upsertion(&upsertion.name, mechanism, iterations);
            once(&mut users, &upsertion.name, checked);
        }
        for deletion in &self.deletions {
            if let Some(Ok(())) = users.get(&deletion.name) {
                state.scram_credentials_mut().delete(&deletion.name, deletion.mechanism);
            }
        }
        for upsertion in &self.upsertions {
            let Some(outcome @ Ok(())) = users.get_mut(&upsertion.name) else { continue };
            let credential = ScramCredential {
                iterations: upsertion.iterations,
                salt: bytes::Bytes::copy_from_slice(&upsertion.salt),
                salted_password: bytes::Bytes::copy_from_slice(&upsertion.salted_password),
            };
            *outcome = state.scram_credentials_mut().set(&upsertion.name, upsertion.mechanism, credential);
        }
        let results = users.into_iter().map(|(user, outcome)| {
            let error = outcome.err();
            AlterUserScramCredentialsResult {
                user,
                error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code),
                error_message: error.map(|error| error.message.into()),
                ..Default::default()
            }
        });
        AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }.into()
    }

    fn refuse(
        self,
        _: &RequestContext<'_>,
        error_code: ErrorCode,
    ) -> Reply<AlterUserScramCredentialsResponse> {
        let deleted = self.deletions.into_iter().map(|deletion| deletion.name);
        let users: std::collections::BTreeSet<_> =
            deleted.chain(self.upsertions.into_iter().map(|upsertion| upsertion.name)).collect();
        let results = users.into_iter().map(|user| AlterUserScramCredentialsResult {
            user,
            error_code,
            error_message: message(error_code),
            ..Default::default()
        });
        AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }.into()
    }
}

/// A user may be named once; the first mistake counts.
fn once(
    users: &mut BTreeMap<ByteStr, Result<(), AdminError>>,
    user: &ByteStr,
    checked: Result<(), AdminError>,
) {
    let outcome = match users.get(user) {
        None => checked,
        Some(Err(_)) => return,
        Some(Ok(())) => Err(AdminError::new(
            ErrorCode::DuplicateResource,
            "A user credential cannot be altered twice in the same request",
        )),
    };
    users.insert(user.clone(), outcome);
}
