//! InitProducerId (KIP-98, KIP-360; Java: `KafkaApis.handleInitProducerIdRequest`,
//! `TransactionCoordinator.handleInitProducerId`).

use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, check_coordinates, fenced_since};
use crate::node::{Reply, RequestContext};
use crate::txn::{InitTerms, Producer};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_SINCE_VERSION: i16 = 4;

impl Api for InitProducerIdRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<InitProducerIdResponse> {
        let has_id_without_epoch = (self.producer_id == -1) != (self.producer_epoch == -1);
        let initialised = match &self.transactional_id {
            _ if has_id_without_epoch => Err(ErrorCode::InvalidRequest),
            Some(transactional_id) => initialise(context, &self, transactional_id),
            // Kafka gives a new id whatever the old one was: only a transactional id can keep its producer id.
            None => Ok(Producer { id: context.shared.state_mut().new_producer_id(), epoch: 0 }),
        };
        match initialised {
            Ok(producer) => InitProducerIdResponse {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..Default::default()
            }
            .into(),
            Err(error) => self.refuse(context, fenced_since(FENCED_SINCE_VERSION, context.version, error)),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<InitProducerIdResponse> {
        InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
            .into()
    }
}

fn initialise(
    context: &RequestContext<'_>,
    request: &InitProducerIdRequest,
    transactional_id: &ByteStr,
) -> Result<Producer, ErrorCode> {
    let shared = context.shared;
    let timeout_max_ms = shared.state().settings().transactions.max_timeout_ms;
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    // Two-phase commit (KIP-939) is off, and what it needs to continue does not exist in Kafka 4.3 either.
    if request.enable2_pc {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if request.keep_prepared_txn {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if !(1..=timeout_max_ms).contains(&request.transaction_timeout_ms) {
        return Err(ErrorCode::InvalidTransactionTimeout);
    }
    check_coordinates(context, transactional_id)?;
    let expected = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let terms = InitTerms {
        timeout_ms: request.transaction_timeout_ms,
        expected: (expected != Producer::NONE).then_some(expected),
        level: shared.transaction_level(),
        now_ms: context.now_ms(),
    };
    shared.coordinate_step(transactional_id, |coordinator| {
        coordinator.initialise(transactional_id, terms, || shared.state_mut().new_producer_id())
    })
}
