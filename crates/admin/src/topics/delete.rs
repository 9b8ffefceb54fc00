//! DeleteTopics.

use milena_client::Target;
use milena_protocol::ByteStr;
use milena_protocol::messages::delete_topics_request::DeleteTopicState;
use milena_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use crate::rounds::{Retried, Verdict};
use crate::{Admin, AdminError, Results};

/// The first version that names topics in structs, with ids beside the names (KIP-516).
const STRUCTS_SINCE: i16 = 6;

impl Admin {
    /// Deletes topics with all that is in them. Brokers may show them for a moment still.
    ///
    /// # Errors
    /// For each topic, above all `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `TOPIC_DELETION_DISABLED`.
    ///
    /// # Cancel safety
    /// A dropped future may have deleted topics.
    pub async fn delete_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Results<String, ()> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let attempt = |open: Vec<String>| async move {
            match self.ask_to_delete(&open).await {
                Ok(response) => verdicts(response),
                Err(error) => Verdict::lost(open, &error),
            }
        };
        self.settle_each("DeleteTopics", Retried::NoOther, names, attempt).await
    }

    /// Deletes one topic; see [`Self::delete_topics`].
    ///
    /// # Errors
    /// See [`Self::delete_topics`].
    ///
    /// # Cancel safety
    /// A dropped future may have deleted the topic.
    pub async fn delete_topic(&self, name: impl Into<String>) -> Result<(), AdminError> {
        self.delete_topics([name]).await.only()
    }

    async fn ask_to_delete(
        &self,
        names: &[String],
    ) -> Result<DeleteTopicsResponse, milena_client::RequestError> {
        let address = self.client().resolve(&Target::Controller).await?;
        let names: Vec<ByteStr> = names.iter().map(|name| ByteStr::from(name.as_str())).collect();
        let timeout_ms = self.broker_timeout_ms();
        self.client()
            .request_prepared::<DeleteTopicsRequest>(&address, move |versions| {
                let version = versions.choose::<DeleteTopicsRequest>()?;
                let mut request = DeleteTopicsRequest { timeout_ms, ..Default::default() };
                if version >= STRUCTS_SINCE {
                    let topic = |name| DeleteTopicState { name: Some(name), ..Default::default() };
                    request.topics = names.into_iter().map(topic).collect();
                } else {
                    request.topic_names = names;
                }
                Ok((request, version))
            })
            .await
    }
}

fn verdicts(response: DeleteTopicsResponse) -> Vec<(String, Verdict<()>)> {
    let topics = response.responses.into_iter();
    topics
        .filter_map(|topic| {
            Some((topic.name?.to_string(), Verdict::of(topic.error_code, topic.error_message, ())))
        })
        .collect()
}
