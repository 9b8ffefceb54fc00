//! The properties of librdkafka 2.15 that Kafka's Java clients do not have: other names for the same
//! thing, things of its own, and things without a meaning here.

use super::definition::{Clients, Definition, Importance};
use super::kind::{INT_MAX, Kind};
use crate::config::choices::{AddressFamily, OauthMethod};

use Importance::{High, Low, Medium};
use Kind::{Boolean, Integer, List, OneOf, Secret, Text};

/// Another name for a property.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Alias {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) canonical: &'static str,
    pub(in crate::config) convert: Convert,
}

/// How an alias's values differ from those of the property it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Convert {
    Same,
    /// It counts units of 1024 bytes.
    Kibibytes,
    /// Its 0 is the canonical -1, the operating system's own choice.
    ZeroIsSystems,
    /// Its 0 is for ever.
    ZeroIsForever,
}

impl Alias {
    /// The canonical value. What is no number stays as it is, to be refused as such.
    pub(in crate::config) fn convert(&self, value: &str) -> String {
        match self.convert {
            Convert::Kibibytes => match value.parse::<i64>() {
                Ok(kibibytes) => kibibytes.saturating_mul(1024).to_string(),
                Err(_) => value.to_owned(),
            },
            Convert::ZeroIsSystems if value == "0" => "-1".to_owned(),
            Convert::ZeroIsForever if value == "0" => INT_MAX.to_string(),
            _ => value.to_owned(),
        }
    }
}

const fn alias(name: &'static str, canonical: &'static str) -> Alias {
    Alias { name, canonical, convert: Convert::Same }
}

const fn converted(name: &'static str, canonical: &'static str, convert: Convert) -> Alias {
    Alias { name, canonical, convert }
}

pub(super) static ALIASES: &[Alias] = &[
    alias("auto.commit.enable", "enable.auto.commit"),
    alias("compression.codec", "compression.type"),
    alias("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    alias("fetch.wait.max.ms", "fetch.max.wait.ms"),
    alias("max.in.flight", "max.in.flight.requests.per.connection"),
    alias("message.max.bytes", "max.request.size"),
    alias("message.send.max.retries", "retries"),
    converted("message.timeout.ms", "delivery.timeout.ms", Convert::ZeroIsForever),
    alias("metadata.broker.list", "bootstrap.servers"),
    // Both choose the partitioner, by librdkafka's name and by Java's class.
    alias("partitioner", "partitioner.class"),
    converted("queue.buffering.max.kbytes", "buffer.memory", Convert::Kibibytes),
    alias("queue.buffering.max.ms", "linger.ms"),
    alias("request.required.acks", "acks"),
    alias("sasl.mechanisms", "sasl.mechanism"),
    alias("sasl.oauthbearer.assertion.jwt.template.file", "sasl.oauthbearer.assertion.template.file"),
    alias("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.credentials.client.id"),
    alias("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.credentials.client.secret"),
    converted("socket.receive.buffer.bytes", "receive.buffer.bytes", Convert::ZeroIsSystems),
    converted("socket.send.buffer.bytes", "send.buffer.bytes", Convert::ZeroIsSystems),
    alias("socket.timeout.ms", "request.timeout.ms"),
    alias("topic.metadata.refresh.interval.ms", "metadata.max.age.ms"),
];

const P: Clients = Clients::PRODUCER;
const C: Clients = Clients::CONSUMER;
const ALL: Clients = Clients::ALL;

const fn key(
    name: &'static str,
    clients: Clients,
    kind: Kind,
    default: &'static str,
    importance: Importance,
) -> Definition {
    Definition::new(name, clients, kind, Some(default), importance)
}

const fn unset(name: &'static str, clients: Clients, kind: Kind) -> Definition {
    Definition::new(name, clients, kind, None, Medium)
}

/// Whatever its value, it does nothing.
const fn ignored(name: &'static str, clients: Clients, why: &'static str) -> Definition {
    Definition::new(name, clients, Text, None, Low).ignored(why)
}

/// What librdkafka takes from code, under a name in its list of properties.
const fn in_code(name: &'static str, clients: Clients) -> Definition {
    Definition::new(name, clients, Text, None, Low).unsupported("it is not text; give it in code")
}

const OBSOLETE: &str = "has no effect, in librdkafka neither";
const LOGGING: &str = "has no effect: events go to the `tracing` subscriber, which filters them";
const VERSIONS: &str = "has no effect: versions are negotiated on every connection";
const METADATA: &str = "has no effect: metadata are asked for as Java's client does";
const BYTES: &str = "has no effect: buffers are bounded by bytes, not records";
const CALLBACKS: &str = "has no effect: records and results are awaited, not called back";
const OFFSET_FILES: &str = "it keeps offsets in files; keep them in the broker, or seek to your own";
const OPENSSL: &str = "it configures OpenSSL, which is not used here";
const KERBEROS: &str =
    "is about Kerberos (GSSAPI), which is not implemented; use SCRAM, OAUTHBEARER or PLAIN";

pub(super) static DEFINITIONS: &[Definition] = &[
    // Its own, with a meaning here.
    key("broker.address.family", ALL, OneOf(AddressFamily::NAMES), "any", Low),
    unset("compression.level", P, Integer(-1, 12)),
    key("enable.auto.offset.store", C, Boolean, "true", High),
    key("enable.sasl.oauthbearer.unsecure.jwt", ALL, Boolean, "false", Low),
    key("enable.ssl.certificate.verification", ALL, Boolean, "true", Low),
    unset("https.ca.location", ALL, Text),
    unset("https.ca.pem", ALL, Text),
    unset("queued.max.messages.kbytes", C, Integer(1, 2_097_151)),
    key("receive.message.max.bytes", ALL, Integer(1000, INT_MAX), "100000000", Medium),
    unset("sasl.oauthbearer.assertion.private.key.pem", ALL, Secret),
    unset("sasl.oauthbearer.config", ALL, Secret),
    unset("sasl.oauthbearer.extensions", ALL, Text),
    key(
        "sasl.oauthbearer.grant.type",
        ALL,
        OneOf(&["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]),
        "client_credentials",
        Low,
    ),
    key("sasl.oauthbearer.method", ALL, OneOf(OauthMethod::NAMES), "default", Low),
    unset("sasl.password", ALL, Secret),
    unset("sasl.username", ALL, Text),
    key("socket.keepalive.enable", ALL, Boolean, "false", Low),
    unset("ssl.ca.location", ALL, Text),
    unset("ssl.ca.pem", ALL, Text),
    unset("ssl.certificate.location", ALL, Text),
    unset("ssl.certificate.pem", ALL, Text),
    unset("ssl.crl.location", ALL, Text),
    unset("ssl.key.location", ALL, Text),
    unset("ssl.key.pem", ALL, Secret),
    // With one value that is the case here.
    key("api.version.request", ALL, Boolean, "true", High).only("true", "versions are always negotiated"),
    key("delivery.report.only.error", P, Boolean, "false", Low).ignored(CALLBACKS),
    key("enable.gapless.guarantee", P, Boolean, "false", Low).only(
        "false",
        "a failed record does not end the producer; stop at the first failed delivery instead",
    ),
    key("enable.partition.eof", C, Boolean, "false", Low)
        .only("false", "the end of a partition is no event; compare the position with the end offsets"),
    key("group.protocol.type", C, Text, "consumer", Low).only("consumer", "groups are consumer groups"),
    key("offset.store.method", C, OneOf(&["none", "file", "broker"]), "broker", Low)
        .only("broker", OFFSET_FILES),
    key("produce.offset.report", P, Boolean, "false", Low)
        .ignored("has no effect: offsets are always reported"),
    key("queuing.strategy", P, OneOf(&["fifo", "lifo"]), "fifo", Low)
        .only("fifo", "records of a partition are sent in order"),
    key("sasl.oauthbearer.metadata.authentication.type", ALL, Text, "none", Low).only(
        "none",
        "tokens from a cloud's metadata service are not implemented; give a token provider in code",
    ),
    key("socket.nagle.disable", ALL, Boolean, "true", Low).only("true", "Nagle's algorithm is always off"),
    // Without a meaning here.
    ignored("api.version.fallback.ms", ALL, VERSIONS),
    ignored("api.version.request.timeout.ms", ALL, VERSIONS),
    ignored("batch.num.messages", P, "has no effect: batch.size alone bounds batches"),
    ignored("broker.address.ttl", ALL, "has no effect: names are resolved again for every connection"),
    ignored("broker.version.fallback", ALL, VERSIONS),
    ignored("builtin.features", ALL, "has no effect: Cargo's features say what is built in"),
    ignored("consume.callback.max.messages", C, CALLBACKS),
    ignored(
        "coordinator.query.interval.ms",
        C,
        "has no effect: the coordinator is looked up when it is lost",
    ),
    ignored("debug", ALL, LOGGING),
    ignored("enable.random.seed", ALL, "has no effect: random numbers need no seed from outside"),
    ignored("enabled_events", ALL, CALLBACKS),
    ignored(
        "fetch.error.backoff.ms",
        C,
        "has no effect: retry.backoff.ms says how long to wait after an error",
    ),
    ignored("fetch.queue.backoff.ms", C, "has no effect: fetching goes on as soon as there is room"),
    ignored(
        "internal.termination.signal",
        ALL,
        "has no effect: there are no threads to be woken by a signal",
    ),
    ignored("log.connection.close", ALL, LOGGING),
    ignored("log.queue", ALL, LOGGING),
    ignored("log.thread.name", ALL, LOGGING),
    ignored("log_level", ALL, LOGGING),
    ignored("message.copy.max.bytes", ALL, "has no effect: a record is copied once, into its batch"),
    ignored(
        "queue.buffering.backpressure.threshold",
        P,
        "has no effect: batches gather while the broker is busy",
    ),
    ignored("queue.buffering.max.messages", P, BYTES),
    ignored("queued.min.messages", C, BYTES),
    ignored("reconnect.backoff.jitter.ms", ALL, OBSOLETE),
    ignored("sasl.kerberos.keytab", ALL, KERBEROS),
    ignored("sasl.kerberos.principal", ALL, KERBEROS),
    ignored("socket.blocking.max.ms", ALL, OBSOLETE),
    ignored("socket.max.fails", ALL, "has no effect: a connection is closed at its first timed-out request"),
    ignored("statistics.interval.ms", ALL, "has no effect: read `metrics()` whenever you like"),
    ignored(
        "sticky.partitioning.linger.ms",
        P,
        "has no effect: the sticky partition changes by bytes (batch.size)",
    ),
    ignored("topic.metadata.propagation.max.ms", ALL, METADATA),
    ignored("topic.metadata.refresh.fast.cnt", ALL, METADATA),
    ignored("topic.metadata.refresh.fast.interval.ms", ALL, METADATA),
    ignored("topic.metadata.refresh.sparse", ALL, METADATA),
    // Whose absence would matter.
    unset("offset.store.path", C, Text).unsupported(OFFSET_FILES),
    unset("offset.store.sync.interval.ms", C, Text).unsupported(OFFSET_FILES),
    unset("plugin.library.paths", ALL, List)
        .unsupported("native libraries are not loaded; add interceptors in code"),
    unset("ssl.ca.certificate.stores", ALL, Text)
        .unsupported("certificates come from files, PEM text or the system"),
    unset("ssl.curves.list", ALL, Text).unsupported(OPENSSL),
    unset("ssl.engine.id", ALL, Text).unsupported(OPENSSL),
    unset("ssl.engine.location", ALL, Text).unsupported(OPENSSL),
    unset("ssl.providers", ALL, Text).unsupported(OPENSSL),
    unset("ssl.sigalgs.list", ALL, Text).unsupported(OPENSSL),
    unset("topic.blacklist", ALL, List).unsupported("say in the subscription which topics to read"),
    in_code("background_event_cb", ALL),
    in_code("closesocket_cb", ALL),
    in_code("connect_cb", ALL),
    in_code("consume_cb", C),
    in_code("default_topic_conf", ALL),
    in_code("dr_cb", P),
    in_code("dr_msg_cb", P),
    in_code("error_cb", ALL),
    in_code("interceptors", ALL),
    in_code("log_cb", ALL),
    in_code("msg_order_cmp", P),
    in_code("oauthbearer_token_refresh_cb", ALL),
    in_code("offset_commit_cb", C),
    in_code("opaque", ALL),
    in_code("open_cb", ALL),
    in_code("partitioner_cb", P),
    in_code("rebalance_cb", C),
    in_code("resolve_cb", ALL),
    in_code("socket_cb", ALL),
    in_code("ssl.certificate.verify_cb", ALL),
    in_code("ssl_ca", ALL),
    in_code("ssl_certificate", ALL),
    in_code("ssl_engine_callback_data", ALL),
    in_code("ssl_key", ALL),
    in_code("stats_cb", ALL),
    in_code("throttle_cb", ALL),
];
