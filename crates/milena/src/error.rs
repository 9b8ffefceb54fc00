//! What goes wrong before anything is sent or read.

use milena_client::{AddressError, RequestError};

use crate::config::ConfigErrors;

/// No [`Kafka`](crate::Kafka) handle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The list of brokers is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A property is wrong, or properties contradict each other.
    #[error(transparent)]
    Properties(#[from] ConfigErrors),
    /// A property asks for what this version does not have.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// No broker answered. What the last one met is in the text, and so it is no source: it would be told twice.
    #[error("no broker answered: {0}")]
    Cluster(RequestError),
}

impl From<RequestError> for ConnectError {
    fn from(error: RequestError) -> Self {
        Self::Cluster(error)
    }
}

impl ConnectError {
    /// Whether the same attempt may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Cluster(error) if error.is_retriable())
    }
}

/// A producer or consumer that cannot be made as it was configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A property is wrong, or properties contradict each other.
    #[error(transparent)]
    Properties(#[from] ConfigErrors),
    /// A property asks for what this version does not have.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A producer's settings contradict each other.
    #[error(transparent)]
    Producer(#[from] milena_producer::ConfigError),
    /// A consumer's settings cannot work.
    #[error(transparent)]
    Consumer(#[from] milena_consumer::InvalidConfig),
}

/// A property with a value that this version cannot honour, where its absence would matter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{property}` asks for {asked}, which this version does not have; {instead}")]
pub struct Unsupported {
    pub(crate) property: &'static str,
    pub(crate) asked: String,
    pub(crate) instead: &'static str,
}

impl Unsupported {
    /// Kafka's name of the property.
    pub fn property(&self) -> &'static str {
        self.property
    }
}
