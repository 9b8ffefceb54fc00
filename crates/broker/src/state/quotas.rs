//! Quotas of clients: stored, described and brought into force (KIP-546; Java: `ClientQuotaControlManager`,
//! `ClientQuotasImage`, `ClientQuotaMetadataManager`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use milena_protocol::{ByteStr, ErrorCode};

use super::AdminError;
use super::room::Room;
use crate::quota::{Kind, LimitedName, Limits};

/// Who is limited: type and name; no name is the default of the type.
pub(crate) type QuotaEntity = BTreeMap<ByteStr, Option<ByteStr>>;

/// All quotas by entity and key.
#[derive(Debug, Default)]
pub(crate) struct ClientQuotas {
    quotas: BTreeMap<QuotaEntity, BTreeMap<ByteStr, f64>>,
    /// The same, as requests look for them.
    limits: Limits,
    room: Room,
}

/// Which name of an entity is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QuotaMatch {
    Name(ByteStr),
    Default,
    Any,
}

/// Which entities are meant, by type.
#[derive(Debug, Default)]
pub(crate) struct QuotaFilter {
    components: BTreeMap<ByteStr, QuotaMatch>,
    /// Entities of other types beside are not meant.
    strict: bool,
}

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";
const CONNECTION_RATE: &str = "connection_creation_rate";

/// What a value of a quota must be.
#[derive(Debug, Clone, Copy)]
enum Number {
    Fraction,
    Whole { max: f64 },
}

impl QuotaFilter {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// Adds a type to the filter.
    pub(crate) fn add(
        &mut self,
        entity_type: &ByteStr,
        match_type: i8,
        name: Option<&ByteStr>,
    ) -> Result<(), AdminError> {
        let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        if entity_type.is_empty() {
            return invalid("an entity's type must not be empty".to_owned());
        }
        if self.components.contains_key(entity_type) {
            return invalid(format!("entity type {entity_type} is given more than once"));
        }
        if ![USER, CLIENT_ID, IP].contains(&&**entity_type) {
            let message = format!("unsupported entity type {entity_type}");
            return Err(AdminError::new(ErrorCode::UnsupportedVersion, message));
        }
        let wanted = match (match_type, name) {
            (0, Some(name)) => QuotaMatch::Name(name.detached()),
            (1, None) => QuotaMatch::Default,
            (2, None) => QuotaMatch::Any,
            (0, None) => return invalid(format!("{entity_type}: an exact match needs a name")),
            (1 | 2, Some(_)) => return invalid(format!("{entity_type}: this match takes no name")),
            (other, _) => return invalid(format!("unknown match type {other}")),
        };
        self.components.insert(entity_type.detached(), wanted);
        Ok(())
    }

    /// Addresses stand alone.
    pub(crate) fn check(&self) -> Result<(), AdminError> {
        match self.components.contains_key(IP) && self.components.len() > 1 {
            true => Err(AdminError::new(
                ErrorCode::InvalidRequest,
                "ip cannot be combined with user or client-id",
            )),
            false => Ok(()),
        }
    }

    fn matches(&self, entity: &QuotaEntity) -> bool {
        if self.strict && entity.len() != self.components.len() {
            return false;
        }
        self.components.iter().all(|(entity_type, wanted)| match (entity.get(entity_type), wanted) {
            (None, _) => false,
            (Some(_), QuotaMatch::Any) => true,
            (Some(name), QuotaMatch::Default) => name.is_none(),
            (Some(name), QuotaMatch::Name(wanted)) => name.as_ref() == Some(wanted),
        })
    }
}

impl ClientQuotas {
    /// The quotas of the entities that are meant, in order.
    pub(crate) fn find<'a>(
        &'a self,
        filter: &'a QuotaFilter,
    ) -> impl Iterator<Item = (&'a QuotaEntity, &'a BTreeMap<ByteStr, f64>)> {
        self.quotas.iter().filter(|(entity, _)| filter.matches(entity))
    }

    /// Sets quotas of an entity, or removes those without a value.
    pub(crate) fn alter(
        &mut self,
        entity: &QuotaEntity,
        changes: &[(ByteStr, Option<f64>)],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let mut keys = BTreeSet::new();
        if changes.iter().any(|(key, _)| !keys.insert(key)) {
            return Err(AdminError::new(ErrorCode::InvalidRequest, "a quota is given more than once"));
        }
        check_entity(entity)?;
        for (key, value) in changes {
            if let Some(value) = value {
                check_value(entity, key, *value)?;
            }
        }
        if validate_only {
            return Ok(());
        }
        if !self.quotas.contains_key(entity) {
            if changes.iter().all(|(_, value)| value.is_none()) {
                // Nothing is there to be removed.
                return Ok(());
            }
            self.room.take(bytes_of(entity))?;
        }
        let detached: QuotaEntity = entity
            .iter()
            .map(|(kind, name)| (kind.detached(), name.as_ref().map(ByteStr::detached)))
            .collect();
        for (key, value) in changes {
            self.limit(&detached, key, *value);
        }
        let quotas = self.quotas.entry(detached).or_default();
        for (key, value) in changes {
            match value {
                Some(value) => drop(quotas.insert(key.detached(), *value)),
                None => drop(quotas.remove(key)),
            }
        }
        if quotas.is_empty() {
            self.quotas.remove(entity);
            self.room.give_back(bytes_of(entity));
        }
        Ok(())
    }

    /// What is in force.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn limit(&mut self, entity: &QuotaEntity, key: &str, bound: Option<f64>) {
        if let Some(name) = entity.get(IP) {
            if key == CONNECTION_RATE {
                self.limits.set_connections(name.as_deref().and_then(address), bound);
            }
            return;
        }
        let named = |entity_type: &str| {
            let name = entity.get(entity_type)?.clone();
            Some(name.map_or(LimitedName::Default, LimitedName::Named))
        };
        if let Some(kind) = Kind::by_key(key) {
            self.limits.set(kind, named(USER), named(CLIENT_ID), bound);
        }
    }
}

fn bytes_of(entity: &QuotaEntity) -> usize {
    entity.values().flatten().map(|name| name.len()).sum()
}

/// The address that is meant. Kafka looks up any name; here the only one that is known is that of this machine.
fn address(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => text.parse().ok(),
    }
}

fn check_entity(entity: &QuotaEntity) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    if entity.is_empty() {
        return invalid("a quota needs somebody whom it limits".to_owned());
    }
    for (entity_type, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&&**entity_type) {
            return invalid(format!("unknown entity type {entity_type}"));
        }
        if name.as_ref().is_some_and(|name| name.is_empty()) {
            return invalid(format!("the name of {entity_type} must not be empty"));
        }
    }
    match entity.get(IP) {
        Some(_) if entity.len() > 1 => invalid("ip cannot be combined with user or client-id".to_owned()),
        Some(Some(name)) if address(name).is_none() => invalid(format!("{name} is not an address")),
        _ => Ok(()),
    }
}

fn check_value(entity: &QuotaEntity, key: &str, value: f64) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    let number = match (key, entity.contains_key(IP)) {
        (CONNECTION_RATE, true) => Number::Whole { max: f64::from(i32::MAX) },
        ("producer_byte_rate" | "consumer_byte_rate", false) => Number::Whole { max: i64::MAX as f64 },
        ("request_percentage" | "controller_mutation_rate", false) => Number::Fraction,
        _ => return invalid(format!("unknown quota {key}")),
    };
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("{key} must be greater than 0"));
    }
    match number {
        Number::Whole { max } if value > max => invalid(format!("{key} is at most {max}")),
        Number::Whole { .. } if value.fract() > 1e-6 => invalid(format!("{key} must be a whole number")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
        parts.iter().map(|(kind, name)| ((*kind).into(), name.map(ByteStr::from))).collect()
    }

    fn rate(value: f64) -> [(ByteStr, Option<f64>); 1] {
        [("producer_byte_rate".into(), Some(value))]
    }

    #[test]
    fn entities_are_found_by_name_default_and_type() {
        let mut quotas = ClientQuotas::default();
        for parts in [
            &[("user", Some("a"))][..],
            &[("user", None)],
            &[("user", Some("a")), ("client-id", Some("c"))],
            &[("client-id", Some("c"))],
        ] {
            quotas.alter(&entity(parts), &rate(1.0), false).expect("valid");
        }
        let count = |match_type, name: Option<&str>, strict| {
            let mut filter = QuotaFilter::new(strict);
            filter.add(&"user".into(), match_type, name.map(ByteStr::from).as_ref()).expect("valid");
            quotas.find(&filter).count()
        };
        assert_eq!((count(0, Some("a"), false), count(0, Some("a"), true)), (2, 1));
        assert_eq!((count(1, None, false), count(2, None, false), count(2, None, true)), (1, 3, 2));
        assert_eq!(quotas.find(&QuotaFilter::default()).count(), 4);
    }

    #[test]
    fn a_quota_without_a_value_is_removed_and_validation_changes_nothing() {
        let mut quotas = ClientQuotas::default();
        let user = entity(&[("user", Some("a"))]);
        quotas.alter(&user, &rate(1.0), true).expect("valid");
        assert_eq!(quotas.quotas.len(), 0);
        quotas.alter(&user, &rate(1.0), false).expect("valid");
        quotas.alter(&user, &[("producer_byte_rate".into(), None)], false).expect("valid");
        assert_eq!(quotas.quotas.len(), 0);
    }

    #[test]
    fn what_is_set_is_in_force_until_it_is_removed() {
        let mut quotas = ClientQuotas::default();
        let client = entity(&[("client-id", Some("c"))]);
        quotas.alter(&client, &rate(5.0), false).expect("valid");
        let bound =
            |quotas: &ClientQuotas| quotas.limits().of("u", "c").get(Kind::Produce).map(|it| it.bound);
        assert_eq!(bound(&quotas), Some(5.0));
        quotas.alter(&client, &[("producer_byte_rate".into(), None)], false).expect("valid");
        assert_eq!(bound(&quotas), None);
        let here = entity(&[("ip", Some("localhost"))]);
        quotas.alter(&here, &[(CONNECTION_RATE.into(), Some(3.0))], false).expect("valid");
        assert_eq!(quotas.limits().connections_of(Ipv4Addr::LOCALHOST.into()), Some(3.0));
    }

    #[test]
    fn there_is_room_for_so_many_and_again_after_one_was_removed() {
        let mut quotas = ClientQuotas::default();
        let set = |quotas: &mut ClientQuotas, number: usize, value| {
            let client = entity(&[("client-id", Some(&number.to_string()))]);
            quotas.alter(&client, &[("producer_byte_rate".into(), value)], false).map_err(|error| error.code)
        };
        for number in 0..crate::state::room::ENTRIES_MAX {
            assert_eq!(set(&mut quotas, number, Some(1.0)), Ok(()));
        }
        let one_more = crate::state::room::ENTRIES_MAX;
        assert_eq!(set(&mut quotas, one_more, Some(1.0)), Err(ErrorCode::PolicyViolation));
        assert_eq!(set(&mut quotas, 7, Some(2.0)), Ok(()), "it is there already");
        assert_eq!(set(&mut quotas, one_more, None), Ok(()), "nothing is removed");
        assert_eq!(set(&mut quotas, one_more, Some(1.0)), Err(ErrorCode::PolicyViolation));
        assert_eq!(set(&mut quotas, 7, None), Ok(()));
        assert_eq!(set(&mut quotas, one_more, Some(1.0)), Ok(()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut quotas = ClientQuotas::default();
        let user = entity(&[("user", Some("a"))]);
        for (who, what) in [
            (entity(&[]), rate(1.0)),
            (entity(&[("planet", None)]), rate(1.0)),
            (entity(&[("user", Some(""))]), rate(1.0)),
            (entity(&[("ip", Some("nowhere"))]), [("connection_creation_rate".into(), Some(1.0))]),
            (entity(&[("ip", None), ("user", None)]), [("connection_creation_rate".into(), Some(1.0))]),
            (user.clone(), rate(0.0)),
            (user.clone(), rate(1.5)),
            (user.clone(), [("connection_creation_rate".into(), Some(1.0))]),
        ] {
            let refused = quotas.alter(&who, &what, false).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::InvalidRequest), "{who:?} {what:?}");
        }
        let twice = [rate(1.0), rate(2.0)].concat();
        assert!(quotas.alter(&user, &twice, false).is_err());
    }
}
