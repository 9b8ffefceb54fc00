use std::time::Duration;

use super::catalog::Role;
use super::choices::{OauthMethod, SaslMechanism, SecurityProtocol};
use super::jaas::JaasConfig;
use super::reader::Reader;
use super::{ClientProperties, ConfigError, ConfigWarning, Secret};

/// How connections are encrypted and authenticated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecurityProperties {
    /// Kafka: `security.protocol`.
    pub protocol: SecurityProtocol,
    /// `ssl.*`.
    pub tls: TlsProperties,
    /// `sasl.*`.
    pub sasl: SaslProperties,
}

/// TLS, under Kafka's `ssl.*` and librdkafka's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsProperties {
    /// Kafka: `ssl.enabled.protocols`.
    pub enabled_protocols: Vec<String>,
    /// Kafka: `ssl.cipher.suites`. Empty is the library's choice.
    pub cipher_suites: Vec<String>,
    /// Whether the broker's name must be in its certificate. Kafka: `ssl.endpoint.identification.algorithm`.
    pub verify_hostname: bool,
    /// Whether the broker's certificate must be trusted. librdkafka: `enable.ssl.certificate.verification`.
    pub verify_certificate: bool,
    /// Kafka: `ssl.truststore.type`, `.location`, `.password`, `.certificates`.
    pub truststore: KeystoreProperties,
    /// Kafka: `ssl.keystore.type`, `.location`, `.password`, `.certificate.chain`.
    pub keystore: KeystoreProperties,
    /// Kafka: `ssl.keystore.key`.
    pub keystore_key: Option<Secret>,
    /// Kafka and librdkafka: `ssl.key.password`.
    pub key_password: Option<Secret>,
    /// librdkafka: `ssl.ca.location`.
    pub ca_location: Option<String>,
    /// librdkafka: `ssl.ca.pem`.
    pub ca_pem: Option<String>,
    /// librdkafka: `ssl.certificate.location`.
    pub certificate_location: Option<String>,
    /// librdkafka: `ssl.certificate.pem`.
    pub certificate_pem: Option<String>,
    /// librdkafka: `ssl.key.location`.
    pub key_location: Option<String>,
    /// librdkafka: `ssl.key.pem`.
    pub key_pem: Option<Secret>,
    /// librdkafka: `ssl.crl.location`.
    pub crl_location: Option<String>,
}

/// A file of certificates and keys, or the same as PEM text.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeystoreProperties {
    /// `JKS`, `PKCS12` or `PEM`.
    pub kind: String,
    /// The file.
    pub location: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Certificates as PEM text.
    pub pem: Option<Secret>,
}

/// SASL, under Kafka's `sasl.*` and librdkafka's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SaslProperties {
    /// Kafka: `sasl.mechanism`.
    pub mechanism: SaslMechanism,
    /// librdkafka: `sasl.username`; Kafka: the option `username` of `sasl.jaas.config`.
    pub username: Option<String>,
    /// librdkafka: `sasl.password`; Kafka: the option `password` of `sasl.jaas.config`.
    pub password: Option<Secret>,
    /// Kafka: `sasl.jaas.config`.
    pub jaas: Option<JaasConfig>,
    /// Kafka: `sasl.login.connect.timeout.ms`.
    pub login_connect_timeout: Option<Duration>,
    /// Kafka: `sasl.login.read.timeout.ms`.
    pub login_read_timeout: Option<Duration>,
    /// Kafka: `sasl.login.retry.backoff.ms`.
    pub login_retry_backoff: Duration,
    /// Kafka: `sasl.login.retry.backoff.max.ms`.
    pub login_retry_backoff_max: Duration,
    /// Kafka: `sasl.login.refresh.buffer.seconds`.
    pub login_refresh_buffer: Duration,
    /// Kafka: `sasl.login.refresh.min.period.seconds`.
    pub login_refresh_min_period: Duration,
    /// Kafka: `sasl.login.refresh.window.factor`.
    pub login_refresh_window_factor: f64,
    /// Kafka: `sasl.login.refresh.window.jitter`.
    pub login_refresh_window_jitter: f64,
    /// `sasl.oauthbearer.*`.
    pub oauth: OauthProperties,
}

/// OAuth, under Kafka's `sasl.oauthbearer.*` and librdkafka's (KIP-768, KIP-1139, KIP-1258).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OauthProperties {
    /// librdkafka: `sasl.oauthbearer.method`.
    pub method: OauthMethod,
    /// Kafka: `sasl.oauthbearer.token.endpoint.url`.
    pub token_endpoint_url: Option<String>,
    /// Kafka: `sasl.oauthbearer.client.credentials.client.id`; or `clientId` of `sasl.jaas.config`.
    pub client_id: Option<String>,
    /// Kafka: `sasl.oauthbearer.client.credentials.client.secret`; or `clientSecret` of `sasl.jaas.config`.
    pub client_secret: Option<Secret>,
    /// Kafka: `sasl.oauthbearer.scope`; or `scope` of `sasl.jaas.config`.
    pub scope: Option<String>,
    /// librdkafka: `sasl.oauthbearer.extensions`.
    pub extensions: Option<String>,
    /// librdkafka: `sasl.oauthbearer.grant.type`.
    pub grant_type: String,
    /// Kafka: `sasl.oauthbearer.header.urlencode`.
    pub header_urlencode: bool,
    /// Kafka: `sasl.oauthbearer.scope.claim.name`.
    pub scope_claim_name: String,
    /// Kafka: `sasl.oauthbearer.sub.claim.name`.
    pub sub_claim_name: String,
    /// Unsecured tokens, for tests. librdkafka: `enable.sasl.oauthbearer.unsecure.jwt`.
    pub unsecured_jwt: bool,
    /// What unsecured tokens say. librdkafka: `sasl.oauthbearer.config`.
    pub unsecured_config: Option<Secret>,
    /// librdkafka: `https.ca.location`.
    pub https_ca_location: Option<String>,
    /// librdkafka: `https.ca.pem`.
    pub https_ca_pem: Option<String>,
    /// `sasl.oauthbearer.assertion.*`.
    pub assertion: AssertionProperties,
}

/// A signed assertion in place of a client secret, under Kafka's `sasl.oauthbearer.assertion.*` (KIP-1258).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssertionProperties {
    /// Kafka: `.algorithm`, `RS256` or `ES256`.
    pub algorithm: String,
    /// Kafka: `.claim.aud`.
    pub claim_aud: Option<String>,
    /// Kafka: `.claim.iss`.
    pub claim_iss: Option<String>,
    /// Kafka: `.claim.sub`.
    pub claim_sub: Option<String>,
    /// Kafka: `.claim.exp.seconds`.
    pub claim_exp: Duration,
    /// Kafka: `.claim.nbf.seconds`.
    pub claim_nbf: Duration,
    /// Kafka: `.claim.jti.include`.
    pub claim_jti: bool,
    /// Kafka: `.file`.
    pub file: Option<String>,
    /// Kafka: `.template.file`.
    pub template_file: Option<String>,
    /// Kafka: `.private.key.file`.
    pub private_key_file: Option<String>,
    /// Kafka: `.private.key.passphrase`.
    pub private_key_passphrase: Option<Secret>,
    /// librdkafka: `.private.key.pem`.
    pub private_key_pem: Option<Secret>,
}

impl ClientProperties {
    /// How connections are to be protected, whether or not the rest goes with it.
    pub(crate) fn security_protocol(&self) -> SecurityProtocol {
        Reader::new(self, Role::Consumer).parsed("security.protocol")
    }
}

impl SecurityProperties {
    pub(super) fn read(
        reader: Reader<'_>,
        errors: &mut Vec<ConfigError>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Self {
        let security = Self {
            protocol: reader.parsed("security.protocol"),
            tls: TlsProperties::read(reader),
            sasl: SaslProperties::read(reader),
        };
        security.check(reader, errors);
        security.warn(reader, warnings);
        security
    }

    fn check(&self, reader: Reader<'_>, errors: &mut Vec<ConfigError>) {
        let mut contradiction = |text: String| errors.push(ConfigError::Contradiction(text));
        let Self { protocol, sasl, .. } = self;
        if sasl.jaas.is_some() && (reader.is_set("sasl.username") || reader.is_set("sasl.password")) {
            contradiction(
                "`sasl.jaas.config` and `sasl.username` or `sasl.password` both say who logs in; keep one of them"
                    .to_owned(),
            );
        }
        if !protocol.has_sasl() {
            return;
        }
        let mechanism = sasl.mechanism;
        match mechanism {
            SaslMechanism::Gssapi => contradiction(format!(
                "`security.protocol` is {protocol}, but `sasl.mechanism` is GSSAPI (Kafka's default), which is not \
                 implemented; set it to SCRAM-SHA-512, SCRAM-SHA-256, OAUTHBEARER or PLAIN"
            )),
            SaslMechanism::OauthBearer => {}
            _ if sasl.username.is_none() || sasl.password.is_none() => contradiction(format!(
                "`sasl.mechanism` is {mechanism}, but nobody logs in; set `sasl.username` and `sasl.password`, or \
                 `sasl.jaas.config`"
            )),
            _ => {}
        }
    }

    fn warn(&self, reader: Reader<'_>, warnings: &mut Vec<ConfigWarning>) {
        let protocol = self.protocol;
        let mut unused = |names: &[&'static str]| {
            for name in names.iter().filter(|name| reader.is_set(name)) {
                let message = format!("is not used, because security.protocol is {protocol}");
                warnings.push(ConfigWarning::new(*name, message));
            }
        };
        if !protocol.has_sasl() {
            unused(&["sasl.mechanism", "sasl.jaas.config", "sasl.username", "sasl.password"]);
        }
        if !protocol.has_tls() {
            unused(&[
                "ssl.truststore.location",
                "ssl.keystore.location",
                "ssl.ca.location",
                "ssl.certificate.location",
            ]);
        }
        if protocol.has_tls() && !self.tls.verify_certificate {
            let message = "is off: anybody can pose as a broker";
            warnings.push(ConfigWarning::new("enable.ssl.certificate.verification", message));
        }
    }
}

impl TlsProperties {
    fn read(reader: Reader<'_>) -> Self {
        let list = |name| reader.list(name).map(str::to_owned).collect();
        Self {
            enabled_protocols: list("ssl.enabled.protocols"),
            cipher_suites: list("ssl.cipher.suites"),
            verify_hostname: reader.text("ssl.endpoint.identification.algorithm").as_deref() == Some("https"),
            verify_certificate: reader.flag("enable.ssl.certificate.verification"),
            truststore: KeystoreProperties {
                kind: reader.parsed("ssl.truststore.type"),
                location: reader.text("ssl.truststore.location"),
                password: reader.secret("ssl.truststore.password"),
                pem: reader.secret("ssl.truststore.certificates"),
            },
            keystore: KeystoreProperties {
                kind: reader.parsed("ssl.keystore.type"),
                location: reader.text("ssl.keystore.location"),
                password: reader.secret("ssl.keystore.password"),
                pem: reader.secret("ssl.keystore.certificate.chain"),
            },
            keystore_key: reader.secret("ssl.keystore.key"),
            key_password: reader.secret("ssl.key.password"),
            ca_location: reader.text("ssl.ca.location"),
            ca_pem: reader.text("ssl.ca.pem"),
            certificate_location: reader.text("ssl.certificate.location"),
            certificate_pem: reader.text("ssl.certificate.pem"),
            key_location: reader.text("ssl.key.location"),
            key_pem: reader.secret("ssl.key.pem"),
            crl_location: reader.text("ssl.crl.location"),
        }
    }
}

impl SaslProperties {
    fn read(reader: Reader<'_>) -> Self {
        let jaas: Option<JaasConfig> = reader
            .secret("sasl.jaas.config")
            .map(|entry| entry.expose().parse().expect("the catalog accepted the entry"));
        let option = |name| jaas.as_ref().and_then(|jaas| jaas.option(name)).cloned();
        let option_text = |name| option(name).map(|secret| secret.expose().to_owned());
        let mut oauth = OauthProperties::read(reader);
        oauth.client_id = oauth.client_id.or_else(|| option_text("clientId"));
        oauth.client_secret = oauth.client_secret.or_else(|| option("clientSecret"));
        oauth.scope = oauth.scope.or_else(|| option_text("scope"));
        Self {
            mechanism: reader.parsed("sasl.mechanism"),
            username: reader.text("sasl.username").or_else(|| option_text("username")),
            password: reader.secret("sasl.password").or_else(|| option("password")),
            login_connect_timeout: reader.millis_if_set("sasl.login.connect.timeout.ms"),
            login_read_timeout: reader.millis_if_set("sasl.login.read.timeout.ms"),
            login_retry_backoff: reader.millis("sasl.login.retry.backoff.ms"),
            login_retry_backoff_max: reader.millis("sasl.login.retry.backoff.max.ms"),
            login_refresh_buffer: reader.seconds("sasl.login.refresh.buffer.seconds"),
            login_refresh_min_period: reader.seconds("sasl.login.refresh.min.period.seconds"),
            login_refresh_window_factor: reader.parsed("sasl.login.refresh.window.factor"),
            login_refresh_window_jitter: reader.parsed("sasl.login.refresh.window.jitter"),
            oauth,
            jaas,
        }
    }
}

impl OauthProperties {
    fn read(reader: Reader<'_>) -> Self {
        Self {
            method: reader.parsed("sasl.oauthbearer.method"),
            token_endpoint_url: reader.text("sasl.oauthbearer.token.endpoint.url"),
            client_id: reader.text("sasl.oauthbearer.client.credentials.client.id"),
            client_secret: reader.secret("sasl.oauthbearer.client.credentials.client.secret"),
            scope: reader.text("sasl.oauthbearer.scope"),
            extensions: reader.text("sasl.oauthbearer.extensions"),
            grant_type: reader.parsed("sasl.oauthbearer.grant.type"),
            header_urlencode: reader.flag("sasl.oauthbearer.header.urlencode"),
            scope_claim_name: reader.parsed("sasl.oauthbearer.scope.claim.name"),
            sub_claim_name: reader.parsed("sasl.oauthbearer.sub.claim.name"),
            unsecured_jwt: reader.flag("enable.sasl.oauthbearer.unsecure.jwt"),
            unsecured_config: reader.secret("sasl.oauthbearer.config"),
            https_ca_location: reader.text("https.ca.location"),
            https_ca_pem: reader.text("https.ca.pem"),
            assertion: AssertionProperties {
                algorithm: reader.parsed("sasl.oauthbearer.assertion.algorithm"),
                claim_aud: reader.text("sasl.oauthbearer.assertion.claim.aud"),
                claim_iss: reader.text("sasl.oauthbearer.assertion.claim.iss"),
                claim_sub: reader.text("sasl.oauthbearer.assertion.claim.sub"),
                claim_exp: reader.seconds("sasl.oauthbearer.assertion.claim.exp.seconds"),
                claim_nbf: reader.seconds("sasl.oauthbearer.assertion.claim.nbf.seconds"),
                claim_jti: reader.flag("sasl.oauthbearer.assertion.claim.jti.include"),
                file: reader.text("sasl.oauthbearer.assertion.file"),
                template_file: reader.text("sasl.oauthbearer.assertion.template.file"),
                private_key_file: reader.text("sasl.oauthbearer.assertion.private.key.file"),
                private_key_passphrase: reader.secret("sasl.oauthbearer.assertion.private.key.passphrase"),
                private_key_pem: reader.secret("sasl.oauthbearer.assertion.private.key.pem"),
            },
        }
    }
}
