//! Access control lists: stored and described, and enforced by nobody yet (Java: `AclControlManager`, `AclBindingFilter`).

use std::collections::BTreeSet;

use milena_protocol::{ByteStr, ErrorCode};

use super::AdminError;
use super::room::Room;

/// Codes of enums that filters and lists share (Java: `ResourceType`, `PatternType`, `AclOperation`,
/// `AclPermissionType`).
pub(crate) const UNKNOWN: i8 = 0;
const ANY: i8 = 1;
const PATTERN_MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const RESOURCE_TYPE_CLUSTER: i8 = 4;
const RESOURCE_TYPE_MAX: i8 = 7;
const OPERATION_MAX: i8 = 15;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

const CLUSTER_NAME: &str = "kafka-cluster";
/// The resource whose rules hold for all of its type.
const WILDCARD: &str = "*";

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acl {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: ByteStr,
    pub(crate) pattern_type: i8,
    pub(crate) principal: ByteStr,
    pub(crate) host: ByteStr,
    pub(crate) operation: i8,
    pub(crate) permission_type: i8,
}

/// Which rules are meant; `None` means any.
#[derive(Debug, Clone)]
pub(crate) struct AclFilter {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: Option<ByteStr>,
    pub(crate) pattern_type: i8,
    pub(crate) principal: Option<ByteStr>,
    pub(crate) host: Option<ByteStr>,
    pub(crate) operation: i8,
    pub(crate) permission_type: i8,
}

/// All rules, in order.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    rules: BTreeSet<Acl>,
    room: Room,
}

impl Acls {
    /// Adds a rule; one that is there already changes nothing.
    pub(crate) fn add(&mut self, acl: Acl) -> Result<(), AdminError> {
        acl.check()?;
        if !self.rules.contains(&acl) {
            self.room.take(acl.bytes())?;
            self.rules.insert(acl);
        }
        Ok(())
    }

    /// The rules that a filter means.
    pub(crate) fn find(&self, filter: &AclFilter) -> Vec<Acl> {
        self.rules.iter().filter(|acl| filter.matches(acl)).cloned().collect()
    }

    /// Takes away the rules that a filter means, and returns them.
    pub(crate) fn remove(&mut self, filter: &AclFilter) -> Result<Vec<Acl>, AdminError> {
        filter.check()?;
        let found = self.find(filter);
        for acl in &found {
            self.rules.remove(acl);
            self.room.give_back(acl.bytes());
        }
        Ok(found)
    }
}

impl Acl {
    /// The codes of its types, which are those of a filter, too.
    pub(crate) fn codes(&self) -> [i8; 4] {
        [self.resource_type, self.pattern_type, self.operation, self.permission_type]
    }

    /// Whether it stands for many rules, as only a filter may.
    pub(crate) fn is_filter(&self) -> bool {
        self.codes().contains(&ANY) || self.pattern_type == PATTERN_MATCH
    }

    /// What its names take.
    fn bytes(&self) -> usize {
        self.resource_name.len() + self.principal.len() + self.host.len()
    }

    fn check(&self) -> Result<(), AdminError> {
        let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        if self.resource_type == RESOURCE_TYPE_CLUSTER && self.resource_name != CLUSTER_NAME {
            return invalid(format!("the only resource of type cluster is {CLUSTER_NAME}"));
        }
        if self.resource_name.is_empty() {
            return invalid("a resource's name must not be empty".to_owned());
        }
        if !(ANY + 1..=RESOURCE_TYPE_MAX).contains(&self.resource_type) {
            return invalid(format!("resource type {} is invalid", self.resource_type));
        }
        if !matches!(self.pattern_type, LITERAL | PREFIXED) {
            return invalid(format!(
                "pattern type {} is invalid: it is literal or prefixed",
                self.pattern_type
            ));
        }
        if !(ANY + 1..=OPERATION_MAX).contains(&self.operation) {
            return invalid(format!("operation {} is invalid", self.operation));
        }
        if !matches!(self.permission_type, DENY | ALLOW) {
            return invalid(format!(
                "permission type {} is invalid: it is deny or allow",
                self.permission_type
            ));
        }
        if !self.principal.contains(':') {
            return invalid(format!(
                "{:?} is no principal: there is no colon after its type",
                self.principal
            ));
        }
        Ok(())
    }
}

impl AclFilter {
    fn check(&self) -> Result<(), AdminError> {
        let is_known = |code: i8, max: i8| (ANY..=max).contains(&code);
        let are_known = is_known(self.resource_type, RESOURCE_TYPE_MAX)
            && is_known(self.pattern_type, PREFIXED)
            && is_known(self.operation, OPERATION_MAX)
            && is_known(self.permission_type, ALLOW);
        match are_known {
            true => Ok(()),
            false => Err(AdminError::new(ErrorCode::InvalidRequest, "a filter with an unknown type")),
        }
    }

    pub(crate) fn codes(&self) -> [i8; 4] {
        [self.resource_type, self.pattern_type, self.operation, self.permission_type]
    }

    fn matches(&self, acl: &Acl) -> bool {
        let is_meant = |wanted: i8, actual: i8| wanted == ANY || wanted == actual;
        let is_named = |wanted: &Option<ByteStr>, actual: &ByteStr| {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        };
        is_meant(self.resource_type, acl.resource_type)
            && is_meant(self.operation, acl.operation)
            && is_meant(self.permission_type, acl.permission_type)
            && is_named(&self.principal, &acl.principal)
            && is_named(&self.host, &acl.host)
            && self.matches_pattern(acl)
    }

    /// `MATCH` finds every rule that holds for the named resource (Java: `ResourcePatternFilter.matches`).
    fn matches_pattern(&self, acl: &Acl) -> bool {
        if !matches!(self.pattern_type, ANY | PATTERN_MATCH) && self.pattern_type != acl.pattern_type {
            return false;
        }
        let Some(name) = &self.resource_name else { return true };
        if self.pattern_type != PATTERN_MATCH {
            return *name == acl.resource_name;
        }
        match acl.pattern_type {
            LITERAL => *name == acl.resource_name || acl.resource_name == WILDCARD,
            _ => name.starts_with(&*acl.resource_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, pattern_type: i8) -> Acl {
        Acl {
            resource_type: 2,
            resource_name: name.into(),
            pattern_type,
            principal: "User:a".into(),
            host: "*".into(),
            operation: 3,
            permission_type: ALLOW,
        }
    }

    fn named(name: Option<&str>, pattern_type: i8) -> AclFilter {
        AclFilter {
            resource_type: ANY,
            resource_name: name.map(ByteStr::from),
            pattern_type,
            principal: None,
            host: None,
            operation: ANY,
            permission_type: ANY,
        }
    }

    #[test]
    fn a_match_finds_what_holds_for_a_resource_and_other_patterns_only_themselves() {
        let mut acls = Acls::default();
        for acl in
            [topic("orders", LITERAL), topic("ord", PREFIXED), topic("*", LITERAL), topic("x", LITERAL)]
        {
            acls.add(acl).expect("valid");
        }
        let found = |filter: &AclFilter| -> Vec<String> {
            acls.find(filter).iter().map(|acl| acl.resource_name.to_string()).collect()
        };
        assert_eq!(found(&named(Some("orders"), PATTERN_MATCH)), ["*", "ord", "orders"]);
        assert_eq!(found(&named(Some("ord"), PREFIXED)), ["ord"]);
        assert_eq!(found(&named(Some("ord"), LITERAL)), Vec::<String>::new());
        assert_eq!(found(&named(None, ANY)).len(), 4);
        let others = AclFilter { principal: Some("User:b".into()), ..named(None, ANY) };
        assert!(found(&others).is_empty());
    }

    #[test]
    fn removed_rules_are_returned_and_gone() {
        let mut acls = Acls::default();
        acls.add(topic("a", LITERAL)).expect("valid");
        acls.add(topic("a", LITERAL)).expect("valid again");
        assert_eq!(acls.remove(&named(Some("a"), ANY)).map(|gone| gone.len()), Ok(1));
        assert!(acls.find(&named(None, ANY)).is_empty());
        assert!(acls.remove(&named(None, UNKNOWN)).is_err());
    }

    #[test]
    fn there_is_room_for_so_many_rules_and_again_after_one_was_removed() {
        let mut acls = Acls::default();
        for number in 0..crate::state::room::ENTRIES_MAX {
            acls.add(topic(&number.to_string(), LITERAL)).expect("there is room");
        }
        let refused = |acls: &mut Acls| acls.add(topic("more", LITERAL)).map_err(|error| error.code);
        assert_eq!(refused(&mut acls), Err(ErrorCode::PolicyViolation));
        assert!(acls.add(topic("7", LITERAL)).is_ok(), "it is there already");
        acls.remove(&named(Some("7"), LITERAL)).expect("valid");
        assert_eq!(refused(&mut acls), Ok(()));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        let good = topic("a", LITERAL);
        for bad in [
            Acl { resource_type: RESOURCE_TYPE_CLUSTER, ..good.clone() },
            Acl { resource_type: ANY, ..good.clone() },
            Acl { resource_name: "".into(), ..good.clone() },
            Acl { pattern_type: PATTERN_MATCH, ..good.clone() },
            Acl { operation: ANY, ..good.clone() },
            Acl { permission_type: ANY, ..good.clone() },
            Acl { principal: "nobody".into(), ..good.clone() },
        ] {
            assert_eq!(Acls::default().add(bad).map_err(|error| error.code), Err(ErrorCode::InvalidRequest));
        }
    }
}
