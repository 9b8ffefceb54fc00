//! Quotas in force: who is limited to what, and for how long a client is made to wait (KIP-13, 55, 124, 219, 599, 612;
//! Java: `ClientQuotaManager`, `ClientRequestQuotaManager`, `ControllerMutationQuotaManager`, `ConnectionQuotas`). Pure.
//!
//! ```text
//!   Limits   the limits that were set            -> Limit: the bound of a client, and with whom it shares its meter
//!   Meters   what clients have used, by meter    -> Rate (bytes, time, connections) or Bucket (mutations)
//! ```
//!
//! A client that has used too much is answered at once, told for how long to be silent, and not heard until then: its
//! connection is muted, at any version. What is in force is kept by each node for itself, as every broker of Kafka does; only
//! the mutations are the controller's.
//!
//! Other than Kafka, nothing is measured of a client without a limit, also while others have one: a limit that is set does
//! not look back.

mod bucket;
mod limits;
mod meters;
mod rate;

pub(crate) use bucket::Bucket;
pub(crate) use limits::{ClientLimits, Limit, LimitedName, Limits};
pub(crate) use meters::{MeterOf, Meters};
pub(crate) use rate::Rate;

/// The user of every connection, as there is no authentication.
pub(crate) const USER: &str = "ANONYMOUS";

/// What is limited (Java: `QuotaType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Bytes that are produced, in a second.
    Produce,
    /// Bytes that are fetched, in a second.
    Fetch,
    /// The share of a processor's time that requests take, in percent.
    Request,
    /// Partitions created and deleted, in a second.
    Mutation,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Produce, Self::Fetch, Self::Request, Self::Mutation];

    /// The key of a quota (Java: `QuotaConfig`).
    pub(crate) fn by_key(key: &str) -> Option<Self> {
        match key {
            "producer_byte_rate" => Some(Self::Produce),
            "consumer_byte_rate" => Some(Self::Fetch),
            "request_percentage" => Some(Self::Request),
            "controller_mutation_rate" => Some(Self::Mutation),
            _ => None,
        }
    }
}

/// How use is measured: over so many samples, each of which takes so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// `quota.window.num`
    pub(crate) samples: i64,
    /// `quota.window.size.seconds`
    pub(crate) window_ms: i64,
}

impl Windows {
    pub(crate) fn seconds(&self) -> f64 {
        self.window_ms as f64 / 1000.0
    }
}
