//! The future that `send` returns.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use milena_protocol::planted;

use super::{Choice, Outcome, admit, admit_at_once};
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::interceptor::AddedHeaders;
use crate::panics::call_user_code;
use crate::record::Record;
use crate::shared::Shared;
use crate::topic::Topic;

type Slow<'a> = Pin<Box<dyn Future<Output = Result<Delivery, SendError>> + Send + 'a>>;

/// A record on its way into its batch. Nearly always there is nothing to wait for: the record is appended when this is first polled,
/// without the states of an `async` block around it. Only what has to wait goes on in a future of its own.
pub(crate) struct Sending<'a> {
    shared: &'a Arc<Shared>,
    /// `None` if the record names it.
    topic: Option<&'a Arc<Topic>>,
    record: Record<'a>,
    slow: Option<Slow<'a>>,
}

impl<'a> Sending<'a> {
    /// Sends to the topic that the record names.
    #[inline]
    pub(crate) fn by_name(shared: &'a Arc<Shared>, record: Record<'a>) -> Self {
        Self { shared, topic: None, record, slow: None }
    }

    /// Sends to `topic`, whatever the record names.
    #[inline]
    pub(crate) fn to_topic(shared: &'a Arc<Shared>, topic: &'a Arc<Topic>, record: Record<'a>) -> Self {
        Self { shared, topic: Some(topic), record, slow: None }
    }

    fn begin(&mut self) -> Begun {
        let shared = self.shared;
        if !shared.config.interceptors.is_empty() {
            return Begun::Intercept;
        }
        if planted("stalled_broker_stops_all") || planted("dropped_send_is_queued") {
            return Begun::Wait(None);
        }
        let outcome = match self.topic {
            Some(topic) => admit_at_once(shared, topic, &self.record),
            None => match shared.topic(self.record.topic) {
                Some(topic) => admit_at_once(shared, &topic, &self.record),
                None => Outcome::MustWait(None),
            },
        };
        match outcome {
            Outcome::Done(result) => Begun::Done(result),
            Outcome::MustWait(choice) => Begun::Wait(choice),
        }
    }
}

enum Begun {
    Done(Result<Delivery, SendError>),
    Wait(Option<Choice>),
    Intercept,
}

impl Future for Sending<'_> {
    type Output = Result<Delivery, SendError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(slow) = &mut this.slow {
            return slow.as_mut().poll(cx);
        }
        let choice = match this.begin() {
            Begun::Done(result) => return Poll::Ready(result),
            Begun::Wait(choice) => Some(choice),
            Begun::Intercept => None,
        };
        this.poll_slow(choice, cx)
    }
}

impl Sending<'_> {
    /// Goes on in a future of its own: with interceptors, or with the choice that was made already.
    #[cold]
    fn poll_slow(
        &mut self,
        choice: Option<Option<Choice>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Delivery, SendError>> {
        let record = std::mem::take(&mut self.record);
        let topic = self.topic.cloned().unwrap_or_else(|| self.shared.topic_or_insert(record.topic));
        let shared = self.shared;
        let slow: Slow<'_> = match choice {
            Some(choice) => Box::pin(async move { admit(shared, &topic, &record, choice).await }),
            None => Box::pin(intercepted(shared, topic, record)),
        };
        self.slow.insert(slow).as_mut().poll(cx)
    }
}

/// Sends a record past the interceptors.
async fn intercepted(
    shared: &Arc<Shared>,
    topic: Arc<Topic>,
    record: Record<'_>,
) -> Result<Delivery, SendError> {
    // That of a topic's own handle comes without a name.
    let record = record.for_topic(&topic.name);
    let mut added = AddedHeaders::default();
    for interceptor in &shared.config.interceptors {
        call_user_code("an interceptor", || interceptor.on_send(&record, &mut added));
    }
    let record = added.extend(record);
    let delivery = admit(shared, &topic, &record, None).await?;
    delivery.observe(&shared.config.interceptors);
    Ok(delivery)
}
