//! EndTxn (KIP-98, KIP-890; Java: `KafkaApis.handleEndTxnRequest`, `TransactionCoordinator.handleEndTransaction`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::{Api, check_coordinates, fenced_since};
use crate::node::{Reply, RequestContext};
use crate::txn::{Level, Outcome, Producer};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_SINCE_VERSION: i16 = 2;
/// From this version on the end bumps the epoch, and the answer tells it.
const EPOCH_BUMP_SINCE_VERSION: i16 = 5;

impl Api for EndTxnRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<EndTxnResponse> {
        match end(context, &self) {
            Ok(producer) => EndTxnResponse {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..Default::default()
            }
            .into(),
            Err(error) => self.refuse(context, fenced_since(FENCED_SINCE_VERSION, context.version, error)),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<EndTxnResponse> {
        EndTxnResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }.into()
    }
}

fn end(context: &RequestContext<'_>, request: &EndTxnRequest) -> Result<Producer, ErrorCode> {
    let (shared, id) = (context.shared, &request.transactional_id);
    check_coordinates(context, id)?;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let outcome = if request.committed { Outcome::Commit } else { Outcome::Abort };
    let level = match context.version >= EPOCH_BUMP_SINCE_VERSION {
        true => Level::EPOCH_BUMP,
        false => Level::ORIGINAL,
    };
    let now_ms = context.now_ms();
    shared.coordinate_step(id, |coordinator| {
        coordinator.end(id, producer, outcome, level, now_ms, || shared.state_mut().new_producer_id())
    })
}
