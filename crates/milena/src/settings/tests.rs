use super::*;
use crate::config::Properties;
use crate::config::catalog::{self, Definition, Effect, Kind};

/// Two values, so that one of them is not the default.
fn values(definition: &Definition) -> Vec<String> {
    match definition.kind {
        // Not far from the default, so that nothing else is contradicted.
        Kind::IntegerOr(min, max, _) => vec![min.to_string(), max.to_string()],
        Kind::Integer(min, max) => {
            let default = definition.default.and_then(|text| text.parse::<i64>().ok()).unwrap_or(min.max(0));
            let others = [default.saturating_add(1), default.saturating_sub(1)];
            others.into_iter().filter(|other| (min..=max).contains(other)).map(|it| it.to_string()).collect()
        }
        Kind::Decimal(min, _) => vec![format!("{}", min + 0.25)],
        Kind::Boolean => vec!["true".to_owned(), "false".to_owned()],
        Kind::OneOf(names) | Kind::OneOfIgnoringCase(names) => {
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        Kind::Addresses => vec!["elsewhere:1".to_owned()],
        Kind::OffsetReset => vec!["earliest".to_owned(), "latest".to_owned()],
        Kind::Partitioner => vec!["md5_random".to_owned(), "consistent".to_owned()],
        Kind::Assignors => vec!["roundrobin".to_owned()],
        _ => vec!["x".to_owned()],
    }
}

/// Its `Debug` leaves most out.
fn show_client(config: &ClientConfig) -> String {
    let ClientConfig { bootstrap, connection, retry_backoff, reconnect_backoff, metadata_recovery, .. } =
        config;
    let times = (config.connections_max_idle, config.metadata_max_age, config.default_api_timeout);
    let sampling = config.metrics_sampling;
    format!(
        "{bootstrap:?} {connection:?} {retry_backoff:?} {reconnect_backoff:?} {metadata_recovery:?} {times:?} {sampling:?}"
    )
}

/// Its `Debug` leaves most out.
fn show_producer(config: &ProducerConfig) -> String {
    let times = (config.max_block, config.delivery_timeout, config.request_timeout, config.metadata_max_idle);
    let ProducerConfig { retries, retry_backoff, max_in_flight, max_request_size, partitioning, .. } = config;
    let adaptive = (config.partitioner_adaptive, config.partitioner_availability_timeout);
    format!(
        "{config:?} {times:?} {retries} {retry_backoff:?} {max_in_flight} {max_request_size} {partitioning:?} {adaptive:?}"
    )
}

/// All that clients are made of, as text; what is refused is an effect, too.
fn made_of(given: &[(&str, &str)]) -> String {
    let properties: Properties = given.iter().copied().collect();
    let made = || {
        let properties = properties.resolve().map_err(|error| error.to_string())?;
        check_security(&properties).map_err(|error| error.to_string())?;
        let common = properties.common().map_err(|error| error.to_string())?;
        let client = client_config(&common).map_err(|error| error.to_string())?;
        let producer = properties.producer().map_err(|error| error.to_string())?;
        let producer = producer_config(producer).map_err(|error| error.to_string())?;
        let consumer = properties.consumer().map_err(|error| error.to_string())?;
        let consumer = consumer_config(consumer).map_err(|error| error.to_string())?;
        let connector = connector(&properties, &common);
        Ok::<_, String>(format!(
            "{} {} {consumer:?} {connector:?}",
            show_client(&client),
            show_producer(&producer)
        ))
    };
    made().unwrap_or_else(|error| error)
}

fn is_warned_of(name: &str, value: &str) -> bool {
    let properties: Properties = [(name, value)].into_iter().collect();
    properties
        .resolve()
        .is_ok_and(|properties| without_effect(&properties).any(|warning| warning.key == name))
}

#[test]
fn every_property_has_an_effect_or_says_that_it_has_none() {
    let mut silent = Vec::new();
    for definition in catalog::definitions().filter(|definition| definition.effect == Effect::Applies) {
        let name = definition.name;
        // They belong to security.protocol, which is refused as a whole.
        if ["sasl.", "ssl.", "https.ca."].iter().any(|of_security| name.contains(of_security)) {
            continue;
        }
        // What a property needs beside it.
        let beside: &[(&str, &str)] = match name {
            "compression.gzip.level" => &[("compression.type", "gzip")],
            "compression.lz4.level" => &[("compression.type", "lz4")],
            "compression.zstd.level" | "compression.level" => &[("compression.type", "zstd")],
            _ => &[],
        };
        let without = made_of(beside);
        let has_effect = values(definition).iter().any(|value| {
            let given: Vec<_> = beside.iter().copied().chain([(name, &**value)]).collect();
            made_of(&given) != without
        });
        let is_warned = values(definition).iter().any(|value| is_warned_of(name, value));
        if !has_effect && !is_warned {
            silent.push(name);
        }
    }
    assert_eq!(silent, [""; 0], "these are taken in silence");
}
