//! DescribeClientQuotas, AlterClientQuotas (KIP-546; Java: `ClientQuotasImage`, `ClientQuotaControlManager`).

use std::collections::BTreeMap;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, alter_client_quotas_request, alter_client_quotas_response,
    describe_client_quotas_response,
};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, QuotaEntity, QuotaFilter};

impl Api for DescribeClientQuotasRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeClientQuotasResponse> {
        let mut filter = QuotaFilter::new(self.strict);
        let mut components = self.components.iter();
        let read = components
            .try_for_each(|part| filter.add(&part.entity_type, part.match_type, part.match_.as_ref()))
            .and_then(|()| filter.check());
        if let Err(AdminError { code, message }) = read {
            return DescribeClientQuotasResponse {
                error_code: code,
                error_message: Some(message.into()),
                entries: None,
                ..Default::default()
            }
            .into();
        }
        let state = context.shared.state();
        let entries = state.client_quotas().find(&filter).map(|(entity, quotas)| {
            let entity = entity.iter().map(|(kind, name)| describe_client_quotas_response::EntityData {
                entity_type: kind.clone(),
                entity_name: name.clone(),
                ..Default::default()
            });
            let values = quotas.iter().map(|(key, value)| describe_client_quotas_response::ValueData {
                key: key.clone(),
                value: *value,
                ..Default::default()
            });
            describe_client_quotas_response::EntryData {
                entity: entity.collect(),
                values: values.collect(),
                ..Default::default()
            }
        });
        DescribeClientQuotasResponse { entries: Some(entries.collect()), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeClientQuotasResponse> {
        let error_message = message(error_code);
        DescribeClientQuotasResponse { error_code, error_message, entries: None, ..Default::default() }.into()
    }
}

impl Api for AlterClientQuotasRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AlterClientQuotasResponse> {
        let mut state = context.shared.state_mut();
        let mut results: BTreeMap<QuotaEntity, Result<(), AdminError>> = BTreeMap::new();
        for entry in &self.entries {
            let named = entry.entity.iter().map(|part| (part.entity_type.clone(), part.entity_name.clone()));
            let entity: QuotaEntity = named.collect();
            let changes: Vec<_> =
                entry.ops.iter().map(|op| (op.key.clone(), (!op.remove).then_some(op.value))).collect();
            let altered = match results.contains_key(&entity) {
                false => state.client_quotas_mut().alter(&entity, &changes, self.validate_only),
                true => Err(AdminError::new(ErrorCode::InvalidRequest, "an entity is given more than once")),
            };
            results.insert(entity, altered);
        }
        let entries = results.into_iter().map(|(entity, altered)| result(&entity, altered)).collect();
        AlterClientQuotasResponse { entries, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<AlterClientQuotasResponse> {
        let refused = |entry: &alter_client_quotas_request::EntryData| {
            let named = entry.entity.iter().map(|part| (part.entity_type.clone(), part.entity_name.clone()));
            result(&named.collect(), Err(AdminError::new(error_code, error_code.description())))
        };
        let entries = self.entries.iter().map(refused).collect();
        AlterClientQuotasResponse { entries, ..Default::default() }.into()
    }
}

fn result(entity: &QuotaEntity, outcome: Result<(), AdminError>) -> alter_client_quotas_response::EntryData {
    let entity = entity.iter().map(|(kind, name)| alter_client_quotas_response::EntityData {
        entity_type: kind.clone(),
        entity_name: name.clone(),
        ..Default::default()
    });
    let error = outcome.err();
    alter_client_quotas_response::EntryData {
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code),
        error_message: error.map(|error| error.message.into()),
        entity: entity.collect(),
        ..Default::default()
    }
}
