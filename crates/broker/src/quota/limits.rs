//! Whom the quotas limit (KIP-55; Java: `ClientQuotaManager.DefaultQuotaCallback`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use milena_protocol::ByteStr;

use super::{Kind, Windows};

/// A user or a client that is limited: by name, or all that have no limit of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LimitedName {
    Default,
    Named(ByteStr),
}

/// All limits, as requests look for them.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    by_kind: [OfKind; Kind::ALL.len()],
    connections: BTreeMap<Option<IpAddr>, f64>,
}

/// The limits of one kind, by user and client id.
#[derive(Debug, Default)]
struct OfKind {
    limits: BTreeMap<Who, f64>,
}

type Who = (Option<LimitedName>, Option<LimitedName>);

/// What a client is limited to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    pub(crate) bound: f64,
    /// Each user has a meter of its own; else all share it.
    pub(crate) by_user: bool,
    /// Each client id has one.
    pub(crate) by_client: bool,
}

impl Limit {
    /// The most that can be used at once without being too much (Java: `maxValueInQuotaWindow`).
    pub(crate) fn burst(&self, windows: Windows) -> f64 {
        self.bound * (windows.samples - 1) as f64 * windows.seconds()
    }
}

/// The limits of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ClientLimits {
    by_kind: [Option<Limit>; Kind::ALL.len()],
}

impl ClientLimits {
    pub(crate) fn get(&self, kind: Kind) -> Option<Limit> {
        self.by_kind[kind as usize]
    }
}

impl Limits {
    /// Sets or lifts a limit of users and clients.
    pub(crate) fn set(
        &mut self,
        kind: Kind,
        user: Option<LimitedName>,
        client: Option<LimitedName>,
        bound: Option<f64>,
    ) {
        let limits = &mut self.by_kind[kind as usize].limits;
        match bound {
            Some(bound) => limits.insert((user, client), bound),
            None => limits.remove(&(user, client)),
        };
    }

    /// Sets or lifts a limit of an address's connections in a second, or that of all that have none of their own.
    pub(crate) fn set_connections(&mut self, address: Option<IpAddr>, bound: Option<f64>) {
        match bound {
            Some(bound) => self.connections.insert(address, bound),
            None => self.connections.remove(&address),
        };
    }

    /// How many connections an address may make in a second.
    pub(crate) fn connections_of(&self, address: IpAddr) -> Option<f64> {
        self.connections.get(&Some(address)).or_else(|| self.connections.get(&None)).copied()
    }

    /// What a client is limited to.
    pub(crate) fn of(&self, user: &str, client_id: &str) -> ClientLimits {
        let of_kind = |kind: Kind| self.by_kind[kind as usize].of(user, client_id);
        ClientLimits { by_kind: Kind::ALL.map(of_kind) }
    }
}

impl OfKind {
    fn of(&self, user: &str, client_id: &str) -> Option<Limit> {
        if self.limits.is_empty() {
            return None;
        }
        let (by_user, by_client) = self.meter_of(user, client_id);
        let has_user = by_user && !user.is_empty();
        let has_client = by_client && !client_id.is_empty();
        let bound = match (has_user, has_client) {
            (true, true) => {
                let mut levels = pairs(user, client_id).into_iter();
                levels.find_map(|who| self.limits.get(&who).copied())
            }
            (true, false) => self.first([named(user), Some(LimitedName::Default)].map(|user| (user, None))),
            (false, true) => {
                self.first([named(client_id), Some(LimitedName::Default)].map(|client| (None, client)))
            }
            (false, false) => None,
        }?;
        Some(Limit { bound, by_user, by_client })
    }

    fn first(&self, levels: [Who; 2]) -> Option<f64> {
        levels.iter().find_map(|who| self.limits.get(who).copied())
    }

    /// Whether a client is measured by its user, and whether by its id: as the strongest limit that holds for it says.
    ///
    /// The order is pair, user, then the same for all users, then client id; but where limits are of one kind only, they
    /// alone decide, also about those for whom there is none.
    fn meter_of(&self, user: &str, client_id: &str) -> (bool, bool) {
        let has = |wanted: (bool, bool)| {
            self.limits.keys().any(|(user, client)| (user.is_some(), client.is_some()) == wanted)
        };
        match [(false, true), (true, false), (true, true)].map(has) {
            [_, false, false] => (false, true),
            [false, true, false] => (true, false),
            [false, false, true] => (true, true),
            _ => {
                let [own, of_user, of_client, of_all] = pairs(user, client_id);
                let default = Some(LimitedName::Default);
                let order = [own, of_user, (named(user), None), of_client, of_all, (default, None)];
                match order.iter().find(|who| self.limits.contains_key(who)) {
                    Some((_, client)) => (true, client.is_some()),
                    None => (false, true),
                }
            }
        }
    }
}

/// The limits for a user and a client id together, the strongest first.
fn pairs(user: &str, client_id: &str) -> [Who; 4] {
    let default = || Some(LimitedName::Default);
    [
        (named(user), named(client_id)),
        (named(user), default()),
        (default(), named(client_id)),
        (default(), default()),
    ]
}

fn named(name: &str) -> Option<LimitedName> {
    Some(LimitedName::Named(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, or "*" for all, or "-" for a limit that is not about it.
    fn name(name: &str) -> Option<LimitedName> {
        match name {
            "-" => None,
            "*" => Some(LimitedName::Default),
            _ => named(name),
        }
    }

    fn bound(limits: &Limits, client_id: &str) -> Option<f64> {
        limits.of("u", client_id).get(Kind::Produce).map(|limit| limit.bound)
    }

    #[test]
    fn the_most_specific_limit_holds() {
        let mut limits = Limits::default();
        // From the weakest to the strongest.
        let levels =
            [("-", "*"), ("-", "c"), ("*", "-"), ("*", "*"), ("*", "c"), ("u", "-"), ("u", "*"), ("u", "c")];
        for (value, (user, client)) in levels.iter().enumerate() {
            limits.set(Kind::Produce, name(user), name(client), Some(value as f64));
            assert_eq!(bound(&limits, "c"), Some(value as f64), "{user} {client}");
        }
        for (value, (user, client)) in levels.iter().enumerate().rev() {
            assert_eq!(bound(&limits, "c"), Some(value as f64));
            limits.set(Kind::Produce, name(user), name(client), None);
        }
        assert_eq!(bound(&limits, "c"), None);
    }

    #[test]
    fn a_limit_of_a_user_is_shared_by_its_clients_and_one_of_a_pair_is_not() {
        let mut limits = Limits::default();
        limits.set(Kind::Fetch, name("u"), None, Some(1.0));
        let of = |limits: &Limits| limits.of("u", "c").get(Kind::Fetch);
        assert_eq!(of(&limits), Some(Limit { bound: 1.0, by_user: true, by_client: false }));
        limits.set(Kind::Fetch, name("u"), name("c"), Some(2.0));
        assert_eq!(of(&limits), Some(Limit { bound: 2.0, by_user: true, by_client: true }));
        assert_eq!(limits.of("u", "c").get(Kind::Produce), None);
        assert_eq!(limits.of("v", "c").get(Kind::Fetch), None);
    }

    #[test]
    fn clients_without_an_id_are_not_limited_by_that_of_all_clients() {
        let mut limits = Limits::default();
        limits.set(Kind::Produce, None, name("*"), Some(1.0));
        assert_eq!((bound(&limits, "c"), bound(&limits, "")), (Some(1.0), None));
    }

    #[test]
    fn an_address_has_its_own_limit_or_that_of_all() {
        let mut limits = Limits::default();
        let address = |last: u8| IpAddr::from([127, 0, 0, last]);
        limits.set_connections(Some(address(1)), Some(5.0));
        assert_eq!([1, 2].map(|last| limits.connections_of(address(last))), [Some(5.0), None]);
        limits.set_connections(None, Some(2.0));
        assert_eq!([1, 2].map(|last| limits.connections_of(address(last))), [Some(5.0), Some(2.0)]);
    }
}
