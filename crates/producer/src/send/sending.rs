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

/// A record on its way into its batch. Nearly always there is nothing to wait for: the record is appended when this is first polled,
/// without the states of an `async` block around it. Only what has to wait goes on in a future of its own.
pub(crate) struct Sending<'a> {
    shared: &'a Arc<Shared>,
    /// `None` if the record names it.
    topic: Option<&'a Arc<Topic>>,
    state: State<'a>,
}

#[expect(clippy::large_enum_variant, reason = "a box for each record is what this spares")]
enum State<'a> {
    New(Record<'a>),
    Waiting(Slow<'a>),
    Done,
}

type Slow<'a> = Pin<Box<dyn Future<Output = Result<Delivery, SendError>> + Send + 'a>>;

impl<'a> Sending<'a> {
    /// Sends to the topic that the record names.
    #[inline]
    pub(crate) fn by_name(shared: &'a Arc<Shared>, record: Record<'a>) -> Self {
        Self { shared, topic: None, state: State::New(record) }
    }

    /// Sends to `topic`, whatever the record names.
    #[inline]
    pub(crate) fn to_topic(shared: &'a Arc<Shared>, topic: &'a Arc<Topic>, record: Record<'a>) -> Self {
        Self { shared, topic: Some(topic), state: State::New(record) }
    }
}

impl Future for Sending<'_> {
    type Output = Result<Delivery, SendError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = match &mut this.state {
            State::New(record) => match begin(this.shared, this.topic, record) {
                Begun::Done(result) => Poll::Ready(result),
                Begun::MustWait(wait) => this.poll_slow(wait, cx),
            },
            State::Waiting(slow) => slow.as_mut().poll(cx),
            State::Done => panic!("`send` polled after completion"),
        };
        if polled.is_ready() {
            this.state = State::Done;
        }
        polled
    }
}

enum Begun {
    Done(Result<Delivery, SendError>),
    MustWait(Wait),
}

/// What goes on in a future of its own.
struct Wait {
    topic: Arc<Topic>,
    choice: Option<Choice>,
}

#[inline]
fn begin(shared: &Arc<Shared>, topic: Option<&Arc<Topic>>, record: &Record<'_>) -> Begun {
    let named;
    let topic = match topic {
        Some(topic) => topic,
        None => {
            named = shared.topic(record.topic).unwrap_or_else(|| shared.topic_or_insert(record.topic));
            &named
        }
    };
    let is_fast = shared.config.interceptors.is_empty()
        && !planted("stalled_broker_stops_all")
        && !planted("dropped_send_is_queued");
    let outcome = if is_fast { admit_at_once(shared, topic, record) } else { Outcome::MustWait(None) };
    match outcome {
        Outcome::Done(result) => Begun::Done(result),
        Outcome::MustWait(choice) => Begun::MustWait(Wait { topic: topic.clone(), choice }),
    }
}

impl Sending<'_> {
    #[cold]
    fn poll_slow(
        &mut self,
        Wait { topic, choice }: Wait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Delivery, SendError>> {
        let State::New(record) = std::mem::replace(&mut self.state, State::Done) else {
            unreachable!("it has just begun");
        };
        let shared = self.shared;
        let mut slow: Slow<'_> = match shared.config.interceptors.is_empty() {
            true => Box::pin(async move { admit(shared, &topic, &record, choice).await }),
            false => Box::pin(intercepted(shared, topic, record)),
        };
        let polled = slow.as_mut().poll(cx);
        self.state = State::Waiting(slow);
        polled
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
