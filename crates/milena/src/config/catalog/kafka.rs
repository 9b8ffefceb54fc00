//! The properties of Kafka's Java clients, version 4.3.1: `ProducerConfig`, `ConsumerConfig`,
//! `AdminClientConfig`, and what these take from `CommonClientConfigs`, `SslConfigs`, `SaslConfigs`.

use super::definition::{Clients, Definition, Importance, Role};
use super::kind::{INT_MAX, Kind, LONG_MAX};
use crate::config::choices::{
    DnsLookup, GroupProtocol, IsolationLevel, MetadataRecoveryStrategy, SaslMechanism, SecurityProtocol,
    ShareAcknowledgementMode, ShareAcquireMode,
};

use Importance::{High, Low, Medium};
use Kind::{
    Addresses, Assignors, Boolean, Class, Decimal, Integer, IntegerOr, Jaas, List, NonEmptyText, OffsetReset,
    OneOf, OneOfIgnoringCase, Secret, Text, Url,
};

const P: Clients = Clients::PRODUCER;
const C: Clients = Clients::CONSUMER;
const A: Clients = Clients::ADMIN;
const PC: Clients = P.and(C);
const PA: Clients = P.and(A);
const CA: Clients = C.and(A);
const ALL: Clients = Clients::ALL;

/// An `int` or `long` that is not negative.
const NATURAL_INT: Kind = Integer(0, INT_MAX);
const NATURAL_LONG: Kind = Integer(0, LONG_MAX);
const POSITIVE_INT: Kind = Integer(1, INT_MAX);
/// A `long` whose negative values mean something. (Where Java has no bounds but a negative number would
/// be nonsense, there is one here.)
const ANY_LONG: Kind = Integer(i64::MIN, LONG_MAX);
/// A `double` that is not negative; as a number of milliseconds it still fits a `Duration`.
const NATURAL_DOUBLE: Kind = Decimal(0.0, LONG_MAX as f64);

const fn key(
    name: &'static str,
    clients: Clients,
    kind: Kind,
    default: &'static str,
    importance: Importance,
) -> Definition {
    Definition::new(name, clients, kind, Some(default), importance)
}

/// Without a default.
const fn unset(name: &'static str, clients: Clients, kind: Kind, importance: Importance) -> Definition {
    Definition::new(name, clients, kind, None, importance)
}

const FORMATS_IN_CODE: &str =
    "names a Java class: the formats of keys and values are chosen in code, by type";
const PLUGIN: &str = "it names Java classes, which cannot run here";
const PROVIDERS: &str = "values are not fetched from elsewhere: put them into the file, or add them in code";
const INTERCEPTORS: &str = "it names Java classes; add interceptors in code";
const TLS_PROVIDER: &str = "chooses among Java's TLS providers; there is one here";
const KERBEROS: &str =
    "is about Kerberos (GSSAPI), which is not implemented; use SCRAM, OAUTHBEARER or PLAIN";
const VALIDATION: &str = "is about checking tokens, which brokers do";

pub(super) static DEFINITIONS: &[Definition] = &[
    key("acks", P, OneOf(&["all", "-1", "0", "1"]), "all", Low),
    key("allow.auto.create.topics", C, Boolean, "true", Medium),
    key("auto.commit.interval.ms", C, NATURAL_INT, "5000", Low),
    key("auto.offset.reset", C, OffsetReset, "latest", Medium),
    key("batch.size", P, NATURAL_INT, "16384", Medium),
    unset("bootstrap.controllers", A, Addresses, High),
    unset("bootstrap.servers", ALL, Addresses, High),
    key("buffer.memory", P, NATURAL_LONG, "33554432", High),
    key("check.crcs", C, Boolean, "true", Low),
    key("client.dns.lookup", ALL, OneOf(DnsLookup::NAMES), "use_all_dns_ips", Medium),
    key("client.id", ALL, Text, "", Medium),
    key("client.rack", C, Text, "", Low),
    key("compression.gzip.level", P, IntegerOr(1, 9, -1), "-1", Medium),
    key("compression.lz4.level", P, Integer(1, 17), "9", Medium),
    key("compression.type", P, OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), "none", High),
    key("compression.zstd.level", P, Integer(-131_072, 22), "3", Medium),
    key("config.providers", ALL, List, "", Low).only("", PROVIDERS),
    key("connections.max.idle.ms", ALL, ANY_LONG, "540000", Medium).but(&[(Role::Admin, "300000")]),
    key("default.api.timeout.ms", CA, NATURAL_INT, "60000", Medium),
    key("delivery.timeout.ms", P, NATURAL_INT, "120000", Medium),
    key("enable.auto.commit", C, Boolean, "true", Medium),
    key("enable.idempotence", P, Boolean, "true", Low),
    key("enable.metrics.push", ALL, Boolean, "true", Low).but(&[(Role::Admin, "false")]),
    key("exclude.internal.topics", C, Boolean, "true", Medium),
    key("fetch.max.bytes", C, NATURAL_INT, "52428800", Medium),
    key("fetch.max.wait.ms", C, NATURAL_INT, "500", Low),
    key("fetch.min.bytes", C, NATURAL_INT, "1", High),
    unset("group.id", C, Text, High),
    unset("group.instance.id", C, NonEmptyText, Medium),
    key("group.protocol", C, OneOfIgnoringCase(GroupProtocol::NAMES), "classic", High),
    unset("group.remote.assignor", C, Text, Medium),
    key("heartbeat.interval.ms", C, NATURAL_INT, "3000", High),
    key("interceptor.classes", PC, List, "", Low).only("", INTERCEPTORS),
    key("internal.throw.on.fetch.stable.offset.unsupported", C, Boolean, "false", Low)
        .ignored("is internal to Java's client"),
    key("isolation.level", C, OneOf(IsolationLevel::NAMES), "read_uncommitted", Medium),
    unset("key.deserializer", C, Class, High).ignored(FORMATS_IN_CODE),
    unset("key.serializer", P, Class, High).ignored(FORMATS_IN_CODE),
    // Java takes whole numbers only, librdkafka fractions, too.
    key("linger.ms", P, NATURAL_DOUBLE, "5", Medium),
    key("max.block.ms", P, NATURAL_LONG, "60000", Medium),
    key("max.in.flight.requests.per.connection", P, POSITIVE_INT, "5", Low),
    key("max.partition.fetch.bytes", C, NATURAL_INT, "1048576", High),
    key("max.poll.interval.ms", C, POSITIVE_INT, "300000", Medium),
    key("max.poll.records", C, POSITIVE_INT, "500", Medium),
    key("max.request.size", P, NATURAL_INT, "1048576", Medium),
    key("metadata.max.age.ms", ALL, NATURAL_LONG, "300000", Low),
    key("metadata.max.idle.ms", P, Integer(5000, LONG_MAX), "300000", Low),
    key("metadata.recovery.rebootstrap.trigger.ms", ALL, NATURAL_LONG, "300000", Low),
    key(
        "metadata.recovery.strategy",
        ALL,
        OneOfIgnoringCase(MetadataRecoveryStrategy::NAMES),
        "rebootstrap",
        Low,
    ),
    key("metric.reporters", ALL, List, "org.apache.kafka.common.metrics.JmxReporter", Low)
        .ignored("names Java classes: read `metrics()`, or give an observer in code"),
    key("metrics.num.samples", ALL, POSITIVE_INT, "2", Low),
    key("metrics.recording.level", ALL, OneOf(&["INFO", "DEBUG", "TRACE"]), "INFO", Low)
        .ignored("has no effect: all metrics are recorded"),
    key("metrics.sample.window.ms", ALL, NATURAL_LONG, "30000", Low),
    key("partition.assignment.strategy", C, Assignors, "range,cooperative-sticky", Medium),
    key("partitioner.adaptive.partitioning.enable", P, Boolean, "true", Low),
    key("partitioner.availability.timeout.ms", P, NATURAL_LONG, "0", Low),
    unset("partitioner.class", P, Kind::Partitioner, Medium),
    key("partitioner.ignore.keys", P, Boolean, "false", Medium),
    key("receive.buffer.bytes", ALL, Integer(-1, INT_MAX), "65536", Medium).but(&[(Role::Producer, "32768")]),
    key("reconnect.backoff.max.ms", ALL, NATURAL_LONG, "1000", Low),
    key("reconnect.backoff.ms", ALL, NATURAL_LONG, "50", Low),
    key("request.timeout.ms", ALL, NATURAL_INT, "30000", Medium),
    key("retries", PA, NATURAL_INT, "2147483647", High),
    key("retry.backoff.max.ms", ALL, NATURAL_LONG, "1000", Low),
    key("retry.backoff.ms", ALL, NATURAL_LONG, "100", Low),
    unset("sasl.client.callback.handler.class", ALL, Class, Medium).unsupported(PLUGIN),
    unset("sasl.jaas.config", ALL, Jaas, Medium),
    key("sasl.kerberos.kinit.cmd", ALL, Text, "/usr/bin/kinit", Low).ignored(KERBEROS),
    key("sasl.kerberos.min.time.before.relogin", ALL, NATURAL_LONG, "60000", Low).ignored(KERBEROS),
    unset("sasl.kerberos.service.name", ALL, Text, Medium).ignored(KERBEROS),
    key("sasl.kerberos.ticket.renew.jitter", ALL, NATURAL_DOUBLE, "0.05", Low).ignored(KERBEROS),
    key("sasl.kerberos.ticket.renew.window.factor", ALL, NATURAL_DOUBLE, "0.8", Low).ignored(KERBEROS),
    unset("sasl.login.callback.handler.class", ALL, Class, Medium).unsupported(PLUGIN),
    unset("sasl.login.class", ALL, Class, Medium).unsupported(PLUGIN),
    unset("sasl.login.connect.timeout.ms", ALL, NATURAL_INT, Low),
    unset("sasl.login.read.timeout.ms", ALL, NATURAL_INT, Low),
    key("sasl.login.refresh.buffer.seconds", ALL, Integer(0, 3600), "300", Low),
    key("sasl.login.refresh.min.period.seconds", ALL, Integer(0, 900), "60", Low),
    key("sasl.login.refresh.window.factor", ALL, Decimal(0.5, 1.0), "0.8", Low),
    key("sasl.login.refresh.window.jitter", ALL, Decimal(0.0, 0.25), "0.05", Low),
    key("sasl.login.retry.backoff.max.ms", ALL, NATURAL_LONG, "10000", Low),
    key("sasl.login.retry.backoff.ms", ALL, NATURAL_LONG, "100", Low),
    key("sasl.mechanism", ALL, OneOf(SaslMechanism::NAMES), "GSSAPI", Medium),
    key("sasl.oauthbearer.assertion.algorithm", ALL, OneOfIgnoringCase(&["RS256", "ES256"]), "RS256", Medium),
    unset("sasl.oauthbearer.assertion.claim.aud", ALL, Text, Medium),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", ALL, Integer(0, 86_400), "300", Low),
    unset("sasl.oauthbearer.assertion.claim.iss", ALL, Text, Medium),
    key("sasl.oauthbearer.assertion.claim.jti.include", ALL, Boolean, "false", Medium),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", ALL, Integer(0, 3600), "60", Low),
    unset("sasl.oauthbearer.assertion.claim.sub", ALL, Text, Medium),
    unset("sasl.oauthbearer.assertion.file", ALL, Text, Medium),
    unset("sasl.oauthbearer.assertion.private.key.file", ALL, Text, Medium),
    unset("sasl.oauthbearer.assertion.private.key.passphrase", ALL, Secret, Medium),
    unset("sasl.oauthbearer.assertion.template.file", ALL, Text, Medium),
    unset("sasl.oauthbearer.client.credentials.client.id", ALL, Text, Medium),
    unset("sasl.oauthbearer.client.credentials.client.secret", ALL, Secret, Medium),
    key("sasl.oauthbearer.clock.skew.seconds", ALL, NATURAL_INT, "30", Low).ignored(VALIDATION),
    key("sasl.oauthbearer.expected.audience", ALL, List, "", High).ignored(VALIDATION),
    unset("sasl.oauthbearer.expected.issuer", ALL, Text, High).ignored(VALIDATION),
    key("sasl.oauthbearer.header.urlencode", ALL, Boolean, "false", Low),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", ALL, NATURAL_LONG, "3600000", Low).ignored(VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", ALL, NATURAL_LONG, "10000", Low)
        .ignored(VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", ALL, NATURAL_LONG, "100", Low).ignored(VALIDATION),
    unset("sasl.oauthbearer.jwks.endpoint.url", ALL, Url, Medium).ignored(VALIDATION),
    key(
        "sasl.oauthbearer.jwt.retriever.class",
        ALL,
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        Medium,
    )
    .only("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", PLUGIN),
    key(
        "sasl.oauthbearer.jwt.validator.class",
        ALL,
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        Medium,
    )
    .only("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", PLUGIN),
    unset("sasl.oauthbearer.scope", ALL, Text, Medium),
    key("sasl.oauthbearer.scope.claim.name", ALL, Text, "scope", Low),
    key("sasl.oauthbearer.sub.claim.name", ALL, Text, "sub", Low),
    unset("sasl.oauthbearer.token.endpoint.url", ALL, Url, Medium),
    key("security.protocol", ALL, OneOfIgnoringCase(SecurityProtocol::NAMES), "PLAINTEXT", Medium),
    unset("security.providers", ALL, Text, Low).unsupported(PLUGIN),
    key("send.buffer.bytes", ALL, Integer(-1, INT_MAX), "131072", Medium),
    key("session.timeout.ms", C, NATURAL_INT, "45000", High),
    key("share.acknowledgement.mode", C, OneOf(ShareAcknowledgementMode::NAMES), "implicit", Medium),
    key("share.acquire.mode", C, OneOfIgnoringCase(ShareAcquireMode::NAMES), "batch_optimized", Medium),
    key("socket.connection.setup.timeout.max.ms", ALL, NATURAL_LONG, "30000", Medium),
    key("socket.connection.setup.timeout.ms", ALL, NATURAL_LONG, "10000", Medium),
    key("ssl.cipher.suites", ALL, List, "", Low),
    key("ssl.enabled.protocols", ALL, List, "TLSv1.2,TLSv1.3", Medium),
    key("ssl.endpoint.identification.algorithm", ALL, OneOf(&["https", "none", ""]), "https", Low),
    unset("ssl.engine.factory.class", ALL, Class, Low).unsupported(PLUGIN),
    unset("ssl.key.password", ALL, Secret, High),
    key("ssl.keymanager.algorithm", ALL, Text, "SunX509", Low).ignored(TLS_PROVIDER),
    unset("ssl.keystore.certificate.chain", ALL, Secret, High),
    unset("ssl.keystore.key", ALL, Secret, High),
    unset("ssl.keystore.location", ALL, Text, High),
    unset("ssl.keystore.password", ALL, Secret, High),
    key("ssl.keystore.type", ALL, OneOf(&["JKS", "PKCS12", "PEM"]), "JKS", Medium),
    key("ssl.protocol", ALL, Text, "TLSv1.3", Medium)
        .ignored("has no effect: ssl.enabled.protocols says which versions are spoken"),
    unset("ssl.provider", ALL, Text, Medium).ignored(TLS_PROVIDER),
    unset("ssl.secure.random.implementation", ALL, Text, Low).ignored(TLS_PROVIDER),
    key("ssl.trustmanager.algorithm", ALL, Text, "PKIX", Low).ignored(TLS_PROVIDER),
    unset("ssl.truststore.certificates", ALL, Secret, High),
    unset("ssl.truststore.location", ALL, Text, High),
    unset("ssl.truststore.password", ALL, Secret, High),
    key("ssl.truststore.type", ALL, OneOf(&["JKS", "PKCS12", "PEM"]), "JKS", Medium),
    key("transaction.timeout.ms", P, NATURAL_INT, "60000", Low),
    key("transaction.two.phase.commit.enable", P, Boolean, "false", Low),
    unset("transactional.id", P, NonEmptyText, Low),
    unset("value.deserializer", C, Class, High).ignored(FORMATS_IN_CODE),
    unset("value.serializer", P, Class, High).ignored(FORMATS_IN_CODE),
];
