//! The API keys and error codes, compared with what Java 4.3.1 says of them.

use std::fmt::Write;

use milena_protocol::{ApiKey, ErrorCode};

#[test]
fn api_keys_versions_and_header_versions_are_those_of_java() {
    let mut facts = String::new();
    for key in ApiKey::ALL {
        let versions = key.versions();
        write!(facts, "{} {key} {} {}", key.code(), versions.min, versions.max).unwrap();
        for version in versions.min..=versions.max {
            let (request, response) =
                (key.request_header_version(version), key.response_header_version(version));
            write!(facts, " {request}{response}").unwrap();
        }
        facts.push('\n');
        assert_eq!(ApiKey::try_from(key.code()), Ok(*key));
    }
    assert_eq!(facts, without_comments(include_str!("../golden/apis.txt")));
}

#[test]
fn error_codes_and_their_families_are_those_of_java() {
    let mut facts = String::new();
    for error in ErrorCode::ALL {
        write!(facts, "{} {}", error.code(), error.name()).unwrap();
        if error.is_retriable() {
            facts.push_str(" retriable");
        }
        if error.invalidates_metadata() {
            facts.push_str(" invalid-metadata");
        }
        facts.push('\n');
        assert_eq!(ErrorCode::from(error.code()), *error);
    }
    assert_eq!(facts, without_comments(include_str!("../golden/errors.txt")));
}

#[test]
fn an_error_code_from_a_newer_broker_survives() {
    for code in [i16::MIN, -2, 134, i16::MAX] {
        let error = ErrorCode::from(code);
        assert_eq!(error, ErrorCode::Unknown(code));
        assert_eq!(error.code(), code);
        assert!(!error.is_ok() && !error.is_retriable() && !error.invalidates_metadata());
    }
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}
