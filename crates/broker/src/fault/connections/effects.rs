//! What rules say of connections. Pure: others make it so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use milena_protocol::ApiKey;
use tokio::time::Instant;

use crate::NodeId;
use crate::clock::later;
use crate::fault::FaultRecord;

/// Which connections, and what of their traffic, a rule is about; what is not said matches all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) node: Option<NodeId>,
    pub(crate) client_id: Option<String>,
    /// Port 0 is any port of the address.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) direction: Option<Direction>,
    pub(crate) api: Option<ApiKey>,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to the node: requests.
    Up,
    /// From the node to the client: answers.
    Down,
}

/// What happens to a connection, or to a request or an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A new connection is refused.
    Refuse,
    /// It does not arrive as long as the rule is in force, nor does what comes after it.
    Silence,
    /// It takes so much longer.
    Delay(Duration),
    /// Only so many bytes pass in a second.
    Slow { bytes_per_second: u64 },
    /// The connection is reset in its place.
    Reset,
    /// Only its beginning arrives, and then the connection ends.
    Truncate { keep_bytes: usize },
    /// A connection that exists is reset.
    ResetNow,
}

/// When rules may strike a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// It is being made; who makes it is not known yet.
    Opening,
    /// Its first request tells whose it is.
    Introduction,
    /// A request or an answer is on its way.
    Passing(Direction),
    /// All that exist are looked through.
    Review,
}

/// A connection as rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionSubject<'a> {
    pub(crate) node: NodeId,
    /// None in memory.
    pub(crate) peer: Option<SocketAddr>,
    /// What its first request said.
    pub(crate) client_id: Option<&'a str>,
    /// Of the request or answer on its way.
    pub(crate) api: Option<ApiKey>,
}

/// How a request or an answer that was struck gets to the other end.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// It does not, before these are removed.
    pub(crate) held_by: Vec<Arc<FaultRecord>>,
    pub(crate) delay: Duration,
    pub(crate) bytes_per_second: Option<u64>,
    /// No more of it than this.
    pub(crate) keep_bytes: Option<usize>,
    /// The connection is reset in its place, or after what is kept of it.
    pub(crate) is_reset: bool,
}

impl Scope {
    pub(crate) fn is_meant(
        &self,
        subject: ConnectionSubject<'_>,
        event: ConnectionEvent,
        effect: &Effect,
    ) -> bool {
        let same_event = match (effect, event) {
            (Effect::Refuse, ConnectionEvent::Opening) => !self.names_client(),
            // Before, there was nothing to tell by.
            (Effect::Refuse, ConnectionEvent::Introduction) => self.names_client(),
            (Effect::ResetNow, ConnectionEvent::Review) => true,
            (Effect::Refuse | Effect::ResetNow, _) => false,
            (_, ConnectionEvent::Passing(direction)) => {
                self.direction.is_none_or(|wanted| wanted == direction)
            }
            _ => false,
        };
        same_event
            && self.node.is_none_or(|node| node == subject.node)
            && self.api.is_none_or(|api| subject.api == Some(api))
            && self.client_id.as_deref().is_none_or(|client_id| subject.client_id == Some(client_id))
            && self.peer.is_none_or(|wanted| subject.peer.is_some_and(|peer| is_of(wanted, peer)))
    }

    /// Whether it takes a request to tell which connections are meant.
    fn names_client(&self) -> bool {
        self.client_id.is_some() || self.api.is_some()
    }
}

fn is_of(wanted: SocketAddr, peer: SocketAddr) -> bool {
    wanted.ip() == peer.ip() && (wanted.port() == 0 || wanted.port() == peer.port())
}

impl Passage {
    /// What all these effects together come to; none without effects.
    pub(crate) fn of(struck: Vec<(Effect, Arc<FaultRecord>)>) -> Option<Self> {
        if struck.is_empty() {
            return None;
        }
        let mut passage = Self::default();
        for (effect, record) in struck {
            match effect {
                Effect::Silence => passage.held_by.push(record),
                Effect::Delay(delay) => passage.delay = passage.delay.saturating_add(delay),
                Effect::Slow { bytes_per_second } => {
                    passage.bytes_per_second = Some(
                        passage.bytes_per_second.map_or(bytes_per_second, |rate| rate.min(bytes_per_second)),
                    );
                }
                Effect::Reset => passage.is_reset = true,
                Effect::Truncate { keep_bytes } => {
                    passage.keep_bytes =
                        Some(passage.keep_bytes.map_or(keep_bytes, |keep| keep.min(keep_bytes)));
                }
                Effect::Refuse | Effect::ResetNow => {}
            }
        }
        Some(passage)
    }

    /// When so many bytes that are sent now have arrived, behind what arrives at `last_at`.
    pub(crate) fn arrival(&self, now: Instant, last_at: Option<Instant>, bytes: usize) -> Instant {
        let begins_at = later(now, self.delay).max(last_at.unwrap_or(now));
        self.bytes_per_second.map_or(begins_at, |rate| later(begins_at, passing_time(bytes, rate)))
    }
}

/// How long so many bytes take at this rate; zero bytes per second count as one.
pub(crate) fn passing_time(bytes: usize, bytes_per_second: u64) -> Duration {
    Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / bytes_per_second.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const UP: ConnectionEvent = ConnectionEvent::Passing(Direction::Up);
    const DOWN: ConnectionEvent = ConnectionEvent::Passing(Direction::Down);

    fn subject(client_id: Option<&str>, api: Option<ApiKey>) -> ConnectionSubject<'_> {
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 5000)));
        ConnectionSubject { node: 1, peer, client_id, api }
    }

    #[test]
    fn what_passes_is_struck_by_direction_and_api() {
        let fetch = subject(Some("c"), Some(ApiKey::Fetch));
        let everything = Scope::default();
        let answers = Scope { direction: Some(Direction::Down), ..Scope::default() };
        let produce = Scope { api: Some(ApiKey::Produce), ..Scope::default() };
        let meant = |scope: &Scope, event| scope.is_meant(fetch, event, &Effect::Silence);
        assert!(meant(&everything, UP) && meant(&everything, DOWN));
        assert!(!meant(&answers, UP) && meant(&answers, DOWN));
        assert!(!meant(&produce, UP));
        assert!(
            !meant(&everything, ConnectionEvent::Opening) && !meant(&everything, ConnectionEvent::Review)
        );
    }

    #[test]
    fn a_peer_is_an_address_with_or_without_its_port() {
        let scope = |peer: ([u8; 4], u16)| Scope { peer: Some(peer.into()), ..Scope::default() };
        let meant = |scope: Scope, subject| scope.is_meant(subject, UP, &Effect::Reset);
        let peer = subject(None, None);
        assert!(meant(scope(([127, 0, 0, 1], 5000)), peer) && meant(scope(([127, 0, 0, 1], 0)), peer));
        assert!(!meant(scope(([127, 0, 0, 1], 5001)), peer) && !meant(scope(([127, 0, 0, 2], 0)), peer));
        let in_memory = ConnectionSubject { peer: None, ..peer };
        assert!(!meant(scope(([127, 0, 0, 1], 0)), in_memory) && meant(Scope::default(), in_memory));
    }

    #[test]
    fn a_refusal_waits_for_a_name_only_if_it_asks_for_one() {
        let named = Scope { client_id: Some("c".to_owned()), ..Scope::default() };
        let stranger = subject(None, None);
        let known = subject(Some("c"), Some(ApiKey::ApiVersions));
        let meant = |scope: &Scope, subject, event| scope.is_meant(subject, event, &Effect::Refuse);
        assert!(meant(&Scope::default(), stranger, ConnectionEvent::Opening));
        assert!(!meant(&Scope::default(), known, ConnectionEvent::Introduction), "it is refused once");
        assert!(!meant(&named, stranger, ConnectionEvent::Opening));
        assert!(meant(&named, known, ConnectionEvent::Introduction));
        assert!(!meant(&named, subject(Some("d"), None), ConnectionEvent::Introduction));
    }

    #[test]
    fn effects_add_up() {
        let ms = Duration::from_millis;
        let struck = [
            Effect::Delay(ms(30)),
            Effect::Slow { bytes_per_second: 50 },
            Effect::Delay(ms(10)),
            Effect::Slow { bytes_per_second: 100 },
            Effect::Truncate { keep_bytes: 7 },
            Effect::Silence,
        ];
        let passage = Passage::of(struck.map(|effect| (effect, Arc::default())).into()).expect("struck");
        assert_eq!((passage.held_by.len(), passage.keep_bytes, passage.is_reset), (1, Some(7), false));
        let now = Clock::starting_at(0).instant();
        let first = passage.arrival(now, None, 25);
        assert_eq!(first - now, ms(40 + 500));
        assert_eq!(passage.arrival(now, Some(first), 5) - first, ms(100), "it does not overtake");
        assert!(Passage::of(Vec::new()).is_none());
    }
}
