//! The configuration of a subscription to clients' metrics (KIP-714; Java: `ClientMetricsConfigs`).

use milena_protocol::ErrorCode;

use super::definition::{Definition, Kind, Valid};
use super::{Values, split_list};

/// How often clients may be asked to push: from a tenth of a second to an hour.
const INTERVAL_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

/// What a client can be chosen by.
const MATCH_PARAMETERS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// In alphabetical order.
pub(crate) static CLIENT_METRICS_KEYS: &[Definition] = &[
    Definition::new("interval.ms", Kind::Int, "300000", Valid::Any),
    Definition::new("match", Kind::List, "", Valid::Any),
    Definition::new("metrics", Kind::List, "", Valid::Any),
];

/// Checks the values of a subscription.
pub(crate) fn check_client_metrics(values: &Values) -> Result<(), (ErrorCode, String)> {
    if let Some(name) = values.keys().find(|name| CLIENT_METRICS_KEYS.iter().all(|key| key.name != **name)) {
        return Err((ErrorCode::InvalidRequest, format!("unknown client metrics config {name}")));
    }
    for key in CLIENT_METRICS_KEYS {
        if let Some(value) = values.get(key.name) {
            key.check(value).map_err(|message| (ErrorCode::InvalidConfig, message))?;
        }
    }
    let interval = values.get("interval.ms").and_then(|value| value.trim().parse::<i64>().ok());
    if let Some(interval) = interval.filter(|interval| !INTERVAL_MS.contains(interval)) {
        let (min, max) = INTERVAL_MS.into_inner();
        let message = format!("interval.ms={interval}: give a number from {min} to {max}");
        return Err((ErrorCode::InvalidRequest, message));
    }
    let patterns = values.get("match").map(|value| split_list(value)).unwrap_or_default();
    match patterns.into_iter().find(|pattern| !is_pattern(pattern)) {
        None => Ok(()),
        Some(pattern) => Err((
            ErrorCode::InvalidConfig,
            format!(
                "match={pattern}: give a parameter and a pattern, as client_id=orders-.*; parameters are {}",
                MATCH_PARAMETERS.join(", ")
            ),
        )),
    }
}

/// Whether it is `parameter=pattern`; the pattern itself is not used, as metrics are taken by nobody.
fn is_pattern(pattern: &str) -> bool {
    let Some((parameter, value)) = pattern.split_once('=') else { return false };
    MATCH_PARAMETERS.contains(&parameter.trim()) && !value.is_empty() && !value.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Option<ErrorCode> {
        let values = Values::from([(name.to_owned(), value.to_owned())]);
        check_client_metrics(&values).err().map(|(code, _)| code)
    }

    #[test]
    fn each_mistake_has_its_error() {
        for (name, value, expected) in [
            ("interval.ms", "100", None),
            ("interval.ms", "99", Some(ErrorCode::InvalidRequest)),
            ("interval.ms", "soon", Some(ErrorCode::InvalidConfig)),
            ("match", "client_id=a.*,client_source_port=9", None),
            ("match", "client_id", Some(ErrorCode::InvalidConfig)),
            ("match", "port=9", Some(ErrorCode::InvalidConfig)),
            ("metrics", "org.apache.kafka.", None),
            ("no.such.key", "1", Some(ErrorCode::InvalidRequest)),
        ] {
            assert_eq!(check(name, value), expected, "{name}={value}");
        }
    }
}
