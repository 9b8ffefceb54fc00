use super::Kind;

/// A property: its name, which clients have it, what it can be.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Definition {
    /// The name, such as `linger.ms`.
    pub name: &'static str,
    /// Which clients have it.
    pub clients: Clients,
    /// What values it can have.
    pub kind: Kind,
    /// The default, as text; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Defaults that differ in one client.
    pub defaults_by_role: &'static [(Role, &'static str)],
    /// How much it matters, in Kafka's eyes.
    pub importance: Importance,
    /// Whether it does anything here.
    pub effect: Effect,
}

/// A kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A producer.
    Producer,
    /// A consumer.
    Consumer,
    /// An administration client.
    Admin,
}

/// A set of [`Role`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clients(u8);

impl Clients {
    /// Producers.
    pub const PRODUCER: Self = Self(1);
    /// Consumers.
    pub const CONSUMER: Self = Self(2);
    /// Administration clients.
    pub const ADMIN: Self = Self(4);
    /// Every client.
    pub const ALL: Self = Self(7);

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `role` is one of these.
    pub const fn contain(self, role: Role) -> bool {
        let bit = match role {
            Role::Producer => Self::PRODUCER,
            Role::Consumer => Self::CONSUMER,
            Role::Admin => Self::ADMIN,
        };
        self.0 & bit.0 != 0
    }
}

/// How much a property matters, in Kafka's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Few need to set it.
    Low,
    /// Some do.
    Medium,
    /// Look at it first.
    High,
}

/// Whether a property does anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what it does in Kafka's client or in librdkafka.
    Applies,
    /// It does nothing, which is worth a warning: why, and what there is instead.
    Ignored(&'static str),
    /// It does nothing, and its absence would matter: an error that says why, and what there is instead.
    Unsupported(&'static str),
    /// Only this value is possible; any other is [`Unsupported`](Self::Unsupported).
    Only(&'static str, &'static str),
}

impl Definition {
    pub(super) const fn new(
        name: &'static str,
        clients: Clients,
        kind: Kind,
        default: Option<&'static str>,
        importance: Importance,
    ) -> Self {
        Self { name, clients, kind, default, defaults_by_role: &[], importance, effect: Effect::Applies }
    }

    pub(super) const fn but(self, defaults_by_role: &'static [(Role, &'static str)]) -> Self {
        Self { defaults_by_role, ..self }
    }

    pub(super) const fn ignored(self, instead: &'static str) -> Self {
        Self { effect: Effect::Ignored(instead), ..self }
    }

    pub(super) const fn unsupported(self, instead: &'static str) -> Self {
        Self { effect: Effect::Unsupported(instead), ..self }
    }

    pub(super) const fn only(self, value: &'static str, instead: &'static str) -> Self {
        Self { effect: Effect::Only(value, instead), ..self }
    }

    /// Whether its value must not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Jaas)
    }

    /// Whether `value` may be shown: the property is not secret, and what should be an address or a URL
    /// has no user and password in it.
    pub fn may_show(&self, value: &str) -> bool {
        let has_user = matches!(self.kind, Kind::Url | Kind::Addresses) && value.contains('@');
        !self.is_secret() && !has_user
    }

    /// The default in one kind of client.
    pub fn default_for(&self, role: Role) -> Option<&'static str> {
        let own = self.defaults_by_role.iter().find(|(other, _)| *other == role);
        own.map(|(_, value)| *value).or(self.default)
    }
}
