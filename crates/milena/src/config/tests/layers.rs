//! Where properties come from, and which of them counts.

use super::*;

#[test]
fn later_layers_override_earlier_ones_under_any_name() {
    let mut properties = Properties::new();
    properties.add_text("a", "bootstrap.servers=a:1\nlinger.ms=1\nlinger.ms=2\nacks=1").unwrap();
    properties.add_options(["metadata.broker.list=b:2", "linger.ms=3"]).unwrap();
    properties.set("acks", "0");
    let producer = properties.resolve().unwrap().producer().unwrap();
    assert_eq!(producer.common.bootstrap_servers[0].to_string(), "b:2");
    assert_eq!(producer.linger, Duration::from_millis(3));
    assert_eq!(producer.acks, Acks::None);
}

#[test]
fn within_a_file_the_last_line_counts_as_in_java() {
    let mut properties = Properties::new();
    properties.add_text("a", "linger.ms=1\nlinger.ms=2").unwrap();
    assert_eq!(properties.resolve().unwrap().producer().unwrap().linger, Duration::from_millis(2));
}

#[test]
fn an_option_is_literal_and_needs_an_equals_sign() {
    let mut properties = Properties::new();
    properties.add_options([r"sasl.password=a\b=c#d"]).unwrap();
    let sasl = properties.resolve().unwrap().common().unwrap().security.sasl;
    assert_eq!(sasl.password.unwrap().expose(), r"a\b=c#d");
    assert_eq!(
        properties.add_options(["linger.ms"]).unwrap_err().to_string(),
        "-X: `linger.ms` has no value; write linger.ms=VALUE"
    );
}

#[test]
fn an_option_of_its_own_name_wins_over_files_and_contradicts_an_option_of_the_property() {
    let with = |file: &str, options: &[&str], level: &str| {
        let mut properties = Properties::new();
        properties.add_text("a", file).unwrap();
        properties.add_options(options).unwrap();
        properties.add_flags([("-z/--compression", "compression.type", level)]);
        properties.resolve().map(|client| client.producer().unwrap().compression.compression())
    };
    let refused = |options: &[&str], level: &str| with("", options, level).unwrap_err().to_string();
    assert_eq!(with("compression.type=gzip", &[], "lz4"), Ok(Compression::Lz4));
    assert_eq!(with("", &["compression.type=lz4", "linger.ms=1"], "lz4"), Ok(Compression::Lz4));
    for option in ["compression.type=gzip", "compression.codec=gzip"] {
        let (name, _) = option.split_once('=').unwrap();
        assert_eq!(
            refused(&[option], "lz4"),
            format!(
                "-X {name} and -z/--compression are one property, but have different values; keep one of them"
            )
        );
    }
    assert!(refused(&[], "lzw").starts_with("-z/--compression is `lzw`, but "), "{}", refused(&[], "lzw"));
}

#[test]
fn a_file_is_read_as_utf8_or_else_as_latin1() {
    let directory = std::env::temp_dir().join(format!("milena-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let read = |bytes: &[u8]| {
        let path = directory.join("client.properties");
        std::fs::write(&path, bytes).unwrap();
        let mut properties = Properties::new();
        properties.add_file(&path).unwrap();
        properties.resolve().unwrap().common().unwrap().client_id
    };
    assert_eq!(read("client.id=größe".as_bytes()).as_deref(), Some("größe"));
    assert_eq!(read(b"client.id=gr\xf6\xdfe").as_deref(), Some("größe"));
    std::fs::remove_dir_all(&directory).unwrap();
    let missing = Properties::new().add_file(directory.join("client.properties")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read "), "{missing}");
}
