//! DescribeAcls, CreateAcls, DeleteAcls (KIP-140, 290; Java: `AclApis`).

use milena_protocol::messages::create_acls_request::AclCreation;
use milena_protocol::messages::create_acls_response::AclCreationResult;
use milena_protocol::messages::delete_acls_request::DeleteAclsFilter;
use milena_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use milena_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use milena_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{Acl, AclFilter, AdminError, UNKNOWN_ELEMENT};

/// What Kafka answers to everything about ACLs without an authorizer, as by default.
const NO_AUTHORIZER: &str = "No Authorizer is configured.";
const NO_AUTHORIZER_ON_THE_BROKER: &str = "No Authorizer is configured on the broker";

/// Up to version 0 patterns are literal.
const PATTERNS_SINCE_VERSION: i16 = 1;
const LITERAL: i8 = 3;

impl Api for DescribeAclsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeAclsResponse> {
        let codes =
            [self.resource_type_filter, self.pattern_type_filter, self.operation, self.permission_type];
        if codes.contains(&UNKNOWN_ELEMENT) {
            return unknown_elements();
        }
        let state = context.shared.state();
        if !state.settings().stores_acls {
            return DescribeAclsResponse {
                error_code: ErrorCode::SecurityDisabled,
                error_message: Some(ByteStr::from_static(NO_AUTHORIZER_ON_THE_BROKER)),
                ..Default::default()
            }
            .into();
        }
        let filter = AclFilter {
            resource_type: self.resource_type_filter,
            resource_name: self.resource_name_filter,
            pattern_type: pattern_type(context, self.pattern_type_filter),
            principal: self.principal_filter,
            host: self.host_filter,
            operation: self.operation,
            permission_type: self.permission_type,
        };
        let mut resources: Vec<DescribeAclsResource> = Vec::new();
        for acl in state.acls().find(&filter) {
            let is_same = |resource: &&mut DescribeAclsResource| {
                resource.resource_type == acl.resource_type
                    && resource.resource_name == acl.resource_name
                    && resource.pattern_type == acl.pattern_type
            };
            let description = AclDescription {
                principal: acl.principal.clone(),
                host: acl.host.clone(),
                operation: acl.operation,
                permission_type: acl.permission_type,
                ..Default::default()
            };
            // Rules come in the order of their resources.
            match resources.last_mut().filter(is_same) {
                Some(resource) => resource.acls.push(description),
                None => resources.push(DescribeAclsResource {
                    resource_type: acl.resource_type,
                    resource_name: acl.resource_name,
                    pattern_type: acl.pattern_type,
                    acls: vec![description],
                    ..Default::default()
                }),
            }
        }
        DescribeAclsResponse { resources, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeAclsResponse> {
        DescribeAclsResponse { error_code, error_message: message(error_code), ..Default::default() }.into()
    }
}

impl Api for CreateAclsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<CreateAclsResponse> {
        let acls: Vec<_> = self.creations.iter().map(|creation| acl(context, creation)).collect();
        if acls.iter().any(|acl| acl.codes().contains(&UNKNOWN_ELEMENT)) {
            return unknown_elements();
        }
        let mut state = context.shared.state_mut();
        let stores_acls = state.settings().stores_acls;
        if stores_acls && acls.iter().any(Acl::is_filter) {
            drop(state);
            return self.refuse(context, ErrorCode::UnknownServerError);
        }
        let create = |acl: Acl| {
            let created = if stores_acls { state.acls_mut().add(acl) } else { Err(no_authorizer()) };
            let (error_code, error_message) = told(created.err());
            AclCreationResult { error_code, error_message, ..Default::default() }
        };
        let results = acls.into_iter().map(create).collect();
        CreateAclsResponse { results, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<CreateAclsResponse> {
        let result =
            AclCreationResult { error_code, error_message: message(error_code), ..Default::default() };
        CreateAclsResponse { results: vec![result; self.creations.len()], ..Default::default() }.into()
    }
}

impl Api for DeleteAclsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DeleteAclsResponse> {
        let filters: Vec<_> = self.filters.into_iter().map(|asked| filter(context, asked)).collect();
        if filters.iter().any(|filter| filter.codes().contains(&UNKNOWN_ELEMENT)) {
            return unknown_elements();
        }
        let mut state = context.shared.state_mut();
        let stores_acls = state.settings().stores_acls;
        let delete = |filter: AclFilter| {
            let deleted = if stores_acls { state.acls_mut().remove(&filter) } else { Err(no_authorizer()) };
            match deleted {
                Ok(acls) => DeleteAclsFilterResult {
                    matching_acls: acls.into_iter().map(matching).collect(),
                    ..Default::default()
                },
                Err(error) => {
                    let (error_code, error_message) = told(Some(error));
                    DeleteAclsFilterResult { error_code, error_message, ..Default::default() }
                }
            }
        };
        let filter_results = filters.into_iter().map(delete).collect();
        DeleteAclsResponse { filter_results, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DeleteAclsResponse> {
        let result =
            DeleteAclsFilterResult { error_code, error_message: message(error_code), ..Default::default() };
        DeleteAclsResponse { filter_results: vec![result; self.filters.len()], ..Default::default() }.into()
    }
}

fn acl(context: &RequestContext<'_>, creation: &AclCreation) -> Acl {
    Acl {
        resource_type: creation.resource_type,
        resource_name: creation.resource_name.detached(),
        pattern_type: pattern_type(context, creation.resource_pattern_type),
        principal: creation.principal.detached(),
        host: creation.host.detached(),
        operation: creation.operation,
        permission_type: creation.permission_type,
    }
}

fn filter(context: &RequestContext<'_>, asked: DeleteAclsFilter) -> AclFilter {
    AclFilter {
        resource_type: asked.resource_type_filter,
        resource_name: asked.resource_name_filter,
        pattern_type: pattern_type(context, asked.pattern_type_filter),
        principal: asked.principal_filter,
        host: asked.host_filter,
        operation: asked.operation,
        permission_type: asked.permission_type,
    }
}

/// Kafka does not get further than reading such a request, and closes the connection.
fn unknown_elements<R>() -> Reply<R> {
    Reply::HangUp("access control lists with unknown elements".to_owned())
}

fn pattern_type(context: &RequestContext<'_>, asked: i8) -> i8 {
    if context.version >= PATTERNS_SINCE_VERSION { asked } else { LITERAL }
}

fn no_authorizer() -> AdminError {
    AdminError::new(ErrorCode::SecurityDisabled, NO_AUTHORIZER)
}

fn told(error: Option<AdminError>) -> (ErrorCode, Option<ByteStr>) {
    error.map_or((ErrorCode::None, None), |error| (error.code, Some(error.message.into())))
}

fn matching(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        resource_type: acl.resource_type,
        resource_name: acl.resource_name,
        pattern_type: acl.pattern_type,
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation,
        permission_type: acl.permission_type,
        ..Default::default()
    }
}
