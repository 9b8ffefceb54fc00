//! ListTransactions (KIP-664, KIP-994, KIP-1152; Java: `TransactionStateManager.listTransactionStates`).

use milena_protocol::messages::list_transactions_response::TransactionState;
use milena_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use milena_protocol::{ByteStr, ErrorCode};
use regex::{Regex, RegexBuilder};

use super::Api;
use crate::node::{Reply, RequestContext};
use crate::txn::{Filter, State};

/// How large a compiled pattern may be: enough for any that a person writes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Api for ListTransactionsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ListTransactionsResponse> {
        let pattern = self.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        let Ok(id_pattern) = pattern.map(whole).transpose() else {
            return self.refuse(context, ErrorCode::InvalidRegularExpression);
        };
        let unknown = self.state_filters.iter().filter(|name| !State::is_known(name));
        let unknown_state_filters = unknown.cloned().collect();
        let filter = Filter {
            producer_ids: self.producer_id_filters,
            states: self.state_filters,
            duration_ms: self.duration_filter,
            id_pattern,
        };
        let listed =
            context.shared.read_transactions(|coordinator| coordinator.list(&filter, context.now_ms()));
        let of_this_node = listed.into_iter().filter(|listed| {
            context.shared.transaction_coordinator(&listed.transactional_id) == Some(context.node.id)
        });
        let transaction_states = of_this_node.map(|listed| TransactionState {
            transactional_id: listed.transactional_id,
            producer_id: listed.producer_id,
            transaction_state: ByteStr::from_static(listed.state.name()),
            ..Default::default()
        });
        ListTransactionsResponse {
            unknown_state_filters,
            transaction_states: transaction_states.collect(),
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ListTransactionsResponse> {
        ListTransactionsResponse { error_code, ..Default::default() }.into()
    }
}

/// A pattern that matches whole ids.
///
/// Java's patterns have look-around and back-references besides; they are refused here.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // The pattern by itself first, so that no parenthesis in it can end the group around it.
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build()?;
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(PATTERN_BYTES_MAX).build()
}
