//! Logins, TLS, and that no secret is shown.

use super::*;

const JAAS: &str = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="hunter2";"#;

#[test]
fn who_logs_in_comes_from_jaas_or_from_librdkafkas_names() {
    let sasl = |given: &[(&'static str, &'static str)]| {
        let protocol = [("security.protocol", "SASL_SSL"), ("sasl.mechanisms", "SCRAM-SHA-512")];
        resolved(protocol.into_iter().chain(given.iter().copied())).common().unwrap().security.sasl
    };
    for sasl in [
        sasl(&[("sasl.jaas.config", JAAS)]),
        sasl(&[("sasl.username", "alice"), ("sasl.password", "hunter2")]),
    ] {
        assert_eq!(sasl.mechanism, SaslMechanism::ScramSha512);
        assert_eq!(sasl.username.as_deref(), Some("alice"));
        assert_eq!(sasl.password.unwrap().expose(), "hunter2");
    }
    let oauth = resolved([
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.jaas.config", "M required clientId='id' clientSecret='s' scope='a b';"),
    ]);
    let oauth = oauth.common().unwrap().security.sasl.oauth;
    assert_eq!((oauth.client_id.as_deref(), oauth.scope.as_deref()), (Some("id"), Some("a b")));
    assert_eq!(oauth.client_secret.unwrap().expose(), "s");
}

#[test]
fn a_login_without_a_user_or_with_two_is_a_contradiction() {
    let refuses = |given: &[(&'static str, &'static str)]| {
        let protocol = [("security.protocol", "SASL_SSL")];
        resolved(protocol.into_iter().chain(given.iter().copied())).common().unwrap_err().to_string()
    };
    assert!(refuses(&[]).contains("GSSAPI (Kafka's default), which is not implemented"));
    assert!(refuses(&[("sasl.mechanism", "PLAIN"), ("sasl.username", "u")]).contains("nobody logs in"));
    let both = [("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", JAAS), ("sasl.username", "u")];
    assert!(refuses(&both).contains("keep one of them"));
}

#[test]
fn what_the_protocol_does_not_use_is_a_warning() {
    let common = resolved([("sasl.username", "u"), ("ssl.ca.location", "ca.pem")]).common().unwrap();
    assert_eq!(
        warned(&common.warnings),
        [
            "`sasl.username` is not used, because security.protocol is PLAINTEXT",
            "`ssl.ca.location` is not used, because security.protocol is PLAINTEXT",
        ]
    );
    let unverified =
        resolved([("security.protocol", "SSL"), ("enable.ssl.certificate.verification", "false")]);
    assert_eq!(
        warned(&unverified.common().unwrap().warnings),
        ["`enable.ssl.certificate.verification` is off: anybody can pose as a broker"]
    );
}

/// Every text that a person could come to see.
fn everything_shown(properties: &Properties) -> String {
    let mut shown = format!("{properties:?} {properties:#?}");
    match properties.resolve() {
        Err(errors) => shown += &format!("{errors} {errors:?}"),
        Ok(client) => {
            shown += &format!("{client:?} {client:#?} {:?}", client.warnings());
            shown += &format!("{:?} {:?}", client.producer(), client.consumer());
            shown += &format!("{:?} {:?}", client.admin(), client.common());
            for errors in [client.producer().err(), client.consumer().err(), client.admin().err()] {
                shown += &errors.map_or_else(String::new, |errors| errors.to_string());
            }
        }
    }
    shown
}

#[test]
fn secrets_are_shown_nowhere() {
    const SECRET: &str = "hunter2";
    for definition in catalog::definitions().filter(|definition| definition.is_secret()) {
        let valid = if definition.kind == Kind::Jaas { JAAS } else { SECRET };
        for protocol in ["PLAINTEXT", "SASL_SSL"] {
            let shown =
                everything_shown(&properties([(definition.name, valid), ("security.protocol", protocol)]));
            assert!(!shown.contains(SECRET), "{}: {shown}", definition.name);
            assert!(shown.contains("[hidden]"), "{}: {shown}", definition.name);
        }
    }
    // Where they do not belong, where they are misspelled, and where they are malformed.
    let elsewhere = [
        ("sasl.pasword", SECRET),
        ("hunter", SECRET),
        ("sasl.jaas.config", "M required password=\"hunter2\""),
        ("bootstrap.servers", "https://user:hunter2@kafka"),
        ("sasl.oauthbearer.token.endpoint.url", "https://user:hunter2@idp/token"),
    ];
    for given in elsewhere {
        let shown = everything_shown(&properties([given]));
        assert!(!shown.contains(SECRET), "{}: {shown}", given.0);
    }
    for option in ["sasl.password:hunter2", "hunter2"] {
        let error = Properties::new().add_options([option]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
    let error = Properties::new().add_text("f", "sasl.password=hunter2\\u12").unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}

#[test]
fn two_names_with_two_secrets_show_neither() {
    let both = [
        ("sasl.oauthbearer.client.secret", "hunter2"),
        ("sasl.oauthbearer.client.credentials.client.secret", "hunter3"),
    ];
    let errors = refused(both);
    assert!(errors.contains("are one property") && !errors.contains("hunter"), "{errors}");
}
