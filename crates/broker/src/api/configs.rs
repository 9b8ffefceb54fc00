//! IncrementalAlterConfigs and AlterConfigs (KIP-133, 226, 339; Java: `ConfigAdminManager`).

use std::collections::BTreeMap;

use milena_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::NodeId;
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, AlterOperation, Alteration, Resource, check_alterations};

/// Types of resources (Java: `ConfigResource.Type`).
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

impl Api for IncrementalAlterConfigsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<IncrementalAlterConfigsResponse> {
        let repeated =
            repeated(self.resources.iter().map(|resource| (resource.resource_type, &resource.resource_name)));
        let responses = self.resources.iter().map(|asked| {
            let alterations = asked.configs.iter().map(|config| {
                Ok(Alteration {
                    name: config.name.to_string(),
                    value: config.value.as_ref().map(ByteStr::to_string),
                    operation: AlterOperation::try_from(config.config_operation)?,
                })
            });
            let altered = once(&repeated, asked.resource_type, &asked.resource_name).and_then(|()| {
                if asked.resource_type == BROKER_LOGGER {
                    return alter_loggers(context.node.id, &asked.resource_name, alterations.collect());
                }
                let resource = resource(context, asked.resource_type, &asked.resource_name)?;
                let alterations = alterations.collect::<Result<Vec<_>, AdminError>>()?;
                context.shared.state_mut().alter_incrementally(&resource, &alterations, self.validate_only)
            });
            let (error_code, error_message) = outcome(altered);
            incremental_alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: asked.resource_type,
                resource_name: asked.resource_name.clone(),
                ..Default::default()
            }
        });
        let responses = responses.collect();
        context.shared.config_changed.notify_one();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<IncrementalAlterConfigsResponse> {
        let refused = self.resources.into_iter().map(|asked| {
            incremental_alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message: message(error_code),
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                ..Default::default()
            }
        });
        IncrementalAlterConfigsResponse { responses: refused.collect(), ..Default::default() }.into()
    }
}

impl Api for AlterConfigsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AlterConfigsResponse> {
        let repeated =
            repeated(self.resources.iter().map(|resource| (resource.resource_type, &resource.resource_name)));
        let responses = self.resources.iter().map(|asked| {
            let alterations = asked.configs.iter().map(|config| Alteration {
                name: config.name.to_string(),
                value: config.value.as_ref().map(ByteStr::to_string),
                operation: AlterOperation::Set,
            });
            let altered = once(&repeated, asked.resource_type, &asked.resource_name).and_then(|()| {
                let resource = resource(context, asked.resource_type, &asked.resource_name)?;
                let alterations: Vec<_> = alterations.collect();
                context.shared.state_mut().alter_all(&resource, &alterations, self.validate_only)
            });
            let (error_code, error_message) = outcome(altered);
            alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: asked.resource_type,
                resource_name: asked.resource_name.clone(),
                ..Default::default()
            }
        });
        let responses = responses.collect();
        context.shared.config_changed.notify_one();
        AlterConfigsResponse { responses, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<AlterConfigsResponse> {
        let refused =
            self.resources.into_iter().map(|asked| alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message: message(error_code),
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                ..Default::default()
            });
        AlterConfigsResponse { responses: refused.collect(), ..Default::default() }.into()
    }
}

/// How often each resource is named.
type Repeated = BTreeMap<(i8, ByteStr), usize>;

fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a ByteStr)>) -> Repeated {
    let mut times = Repeated::new();
    resources.for_each(|(kind, name)| *times.entry((kind, name.clone())).or_default() += 1);
    times
}

fn once(repeated: &Repeated, kind: i8, name: &ByteStr) -> Result<(), AdminError> {
    match repeated.get(&(kind, name.clone())) {
        Some(2..) => Err(AdminError::new(ErrorCode::InvalidRequest, "a resource is given more than once")),
        _ => Ok(()),
    }
}

fn resource(context: &RequestContext<'_>, kind: i8, name: &str) -> Result<Resource, AdminError> {
    match kind {
        TOPIC => Ok(Resource::Topic(name.to_owned())),
        BROKER => broker_named(context.node.id, name).map(Resource::Broker),
        GROUP => Ok(Resource::Group(name.to_owned())),
        CLIENT_METRICS => Ok(Resource::ClientMetrics(name.to_owned())),
        _ => Err(AdminError::new(ErrorCode::InvalidRequest, format!("unknown resource type {kind}"))),
    }
}

/// Checks what is asked of loggers, of which there are none: the application that holds the cluster has them, as where
/// Kafka finds no logging that it can change (Java: `RuntimeLoggerManager`, `NoOpController`).
fn alter_loggers(
    this: NodeId,
    name: &str,
    alterations: Result<Vec<Alteration>, AdminError>,
) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    if let Ok(alterations) = &alterations {
        check_alterations(alterations)?;
    }
    if broker_named(this, name)?.is_none() {
        return invalid("loggers are those of a broker: give its id".to_owned());
    }
    // Kafka trips over an operation that it does not know.
    let alterations =
        alterations.map_err(|error| AdminError::new(ErrorCode::UnknownServerError, error.message))?;
    match alterations.first() {
        None => Ok(()),
        Some(Alteration { name, operation: AlterOperation::Set | AlterOperation::Delete, .. }) => {
            Err(AdminError::new(ErrorCode::InvalidConfig, format!("there is no logger {name}")))
        }
        Some(Alteration { name, .. }) => invalid(format!("{name}: a level is set or deleted")),
    }
}

/// The broker that a resource name means: this one, or with an empty name all of them.
pub(super) fn broker_named(this: NodeId, name: &str) -> Result<Option<NodeId>, AdminError> {
    if name.is_empty() {
        return Ok(None);
    }
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    match name.parse::<NodeId>() {
        Ok(node) if node == this => Ok(Some(node)),
        Ok(_) => {
            invalid(format!("ask broker {name} itself: this is broker {this}, and an empty name means all"))
        }
        Err(_) => invalid(format!("broker {name}: a broker is named by its id")),
    }
}

fn outcome(altered: Result<(), AdminError>) -> (ErrorCode, Option<ByteStr>) {
    match altered {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => (error.code, Some(error.message.into())),
    }
}
