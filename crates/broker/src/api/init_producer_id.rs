//! InitProducerId for idempotent producers (KIP-98, KIP-360; Java: `TransactionCoordinator.handleInitProducerId`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::Api;
use crate::node::{Reply, RequestContext};

impl Api for InitProducerIdRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<InitProducerIdResponse> {
        let has_id_without_epoch = (self.producer_id == -1) != (self.producer_epoch == -1);
        match &self.transactional_id {
            _ if has_id_without_epoch => self.refuse(context, ErrorCode::InvalidRequest),
            Some(id) if id.is_empty() => self.refuse(context, ErrorCode::InvalidRequest),
            // There are no transactions yet, and this answer ends a client's attempt.
            Some(_) => self.refuse(context, ErrorCode::UnsupportedVersion),
            // Kafka gives a new id whatever the old one was: only a transactional id can keep its producer id.
            None => InitProducerIdResponse {
                producer_id: context.shared.state_mut().new_producer_id(),
                producer_epoch: 0,
                ..Default::default()
            }
            .into(),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<InitProducerIdResponse> {
        InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
            .into()
    }
}
