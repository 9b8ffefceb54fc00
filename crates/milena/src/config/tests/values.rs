//! What values are accepted, and what is said of others.

use super::*;

#[test]
fn an_invalid_value_is_an_error_that_tells_what_is_accepted() {
    let cases = [
        (("batch.size", "big"), "code: `batch.size` is `big`, but an integer of at least 0 is required"),
        (
            ("compression.type", "brotli"),
            "code: `compression.type` is `brotli`, but none, gzip, snappy, lz4 or zstd is required",
        ),
        (
            ("compression.gzip.level", "0"),
            "code: `compression.gzip.level` is `0`, but an integer from 1 to 9, or -1 is required",
        ),
        (("enable.idempotence", "yes"), "code: `enable.idempotence` is `yes`, but true or false is required"),
        (
            ("queue.buffering.max.kbytes", "x"),
            "code: `queue.buffering.max.kbytes` is `x`, but an integer of at least 0 is required",
        ),
        (("linger.ms", "inf"), "code: `linger.ms` is `inf`, but a number of at least 0 is required"),
        (
            ("auto.offset.reset", "by_duration:6H"),
            "code: `auto.offset.reset` is `by_duration:6H`, but earliest, latest, none or by_duration:PnDTnHnMnS (such as by_duration:PT6H) is required",
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(refused([given]), expected);
    }
    assert!(refused([("bootstrap.servers", "a:1,a:1")]).contains("different addresses"));
    assert!(refused([("bootstrap.servers", "")]).contains("host:port"));
    assert!(refused([("partitioner", "murmur3")]).contains("a partitioner of your own is given in code"));
    assert!(refused([("partition.assignment.strategy", "com.example.Mine")]).contains("cooperative-sticky"));
}

#[test]
fn blanks_around_a_value_are_nothing_but_in_a_secret() {
    let client = resolved([("acks", " 1 "), ("sasl.password", " p "), ("sasl.username", "u ")]);
    assert_eq!(client.producer().unwrap().acks, Acks::Leader);
    let sasl = client.common().unwrap().security.sasl;
    assert_eq!(sasl.password.unwrap().expose(), " p ");
    assert_eq!(sasl.username.as_deref(), Some("u"));
}

#[test]
fn names_of_values_are_read_in_the_case_that_java_reads_them() {
    let client =
        resolved([("security.protocol", "ssl"), ("group.protocol", "CLASSIC"), ("check.crcs", "False")]);
    let consumer = client.consumer().unwrap();
    assert_eq!(consumer.common.security.protocol, SecurityProtocol::Ssl);
    assert!(!consumer.check_crcs);
    assert!(refused([("isolation.level", "READ_COMMITTED")]).contains("read_committed"));
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_text() {
    let mut properties = Properties::new();
    properties.add_text("a.properties", "# first\nlinger=5\n\nbatch.size=-1\n").unwrap();
    properties.add_options(["acks=2"]).unwrap();
    assert_eq!(
        properties.resolve().unwrap_err().to_string(),
        "a.properties:2: unknown property `linger`; did you mean `linger.ms`?\n\
         a.properties:4: `batch.size` is `-1`, but an integer of at least 0 is required\n\
         -X: `acks` is `2`, but all, -1, 0 or 1 is required"
    );
}
