//! ApiVersions (KIP-35, KIP-511, KIP-584).

use milena_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::{ApiKey, ByteStr, ErrorCode};

use super::Api;
use crate::node::{OFFERED, Reply, RequestContext};
use crate::state::FEATURES;

/// From this version on clients can read a feature whose lowest level is 0 (KAFKA-17492).
const LEVEL_ZERO_SINCE_VERSION: i16 = 4;

/// The lowest version of Produce that is told, though only 3 and later are served: librdkafka looks for it
/// (KAFKA-18659).
const PRODUCE_TOLD_FROM: i16 = 0;

impl Api for ApiVersionsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ApiVersionsResponse> {
        let is_named =
            is_valid_name(&self.client_software_name) && is_valid_name(&self.client_software_version);
        if context.version >= 3 && !is_named {
            return self.refuse(context, ErrorCode::InvalidRequest);
        }
        let mut offered: Vec<_> = OFFERED.iter().collect();
        offered.sort_unstable_by_key(|api| api.code());
        let api_keys = offered.into_iter().map(|api| ApiVersion {
            api_key: api.code(),
            min_version: if *api == ApiKey::Produce { PRODUCE_TOLD_FROM } else { api.versions().min },
            max_version: api.versions().max,
            ..Default::default()
        });
        let readable = |min: i16| min > 0 || context.version >= LEVEL_ZERO_SINCE_VERSION;
        let supported =
            FEATURES.iter().filter(|feature| readable(feature.min)).map(|feature| SupportedFeatureKey {
                name: ByteStr::from_static(feature.name),
                min_version: feature.min,
                max_version: feature.max,
                ..Default::default()
            });
        let (features, epoch) = {
            let state = context.shared.state();
            (state.features().clone(), state.metadata_offset())
        };
        let levels = FEATURES.iter().map(|feature| (feature.name, features.level(feature.name)));
        let finalized = levels.filter(|(_, level)| *level > 0).map(|(name, level)| FinalizedFeatureKey {
            name: ByteStr::from_static(name),
            min_version_level: level,
            max_version_level: level,
            ..Default::default()
        });
        let response = ApiVersionsResponse {
            api_keys: api_keys.collect(),
            supported_features: supported.collect(),
            finalized_features: finalized.collect(),
            finalized_features_epoch: epoch,
            ..Default::default()
        };
        response.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ApiVersionsResponse> {
        ApiVersionsResponse { error_code, ..Default::default() }.into()
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (Java: `ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN`).
fn is_valid_name(name: &str) -> bool {
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let inner = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.');
    ends(name.chars().next()) && ends(name.chars().next_back()) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::is_valid_name;

    #[test]
    fn software_names_follow_kafkas_pattern() {
        for name in ["a", "apache-kafka-java", "4.3.1", "x-1.0-rc2"] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", "-a", "a.", "a b", "a_b", "ä"] {
            assert!(!is_valid_name(name), "{name}");
        }
    }
}
