//! UpdateFeatures (KIP-584, 778; Java: `FeatureControlManager.updateFeatures`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::update_features_request::FeatureUpdateKey;
use milena_protocol::messages::update_features_response::UpdatableFeatureResult;
use milena_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{FeatureUpdate, UpgradeType};

/// Before this version a flag stood for the type of the change.
const TYPES_SINCE_VERSION: i16 = 1;
/// Up to this version every feature has a result of its own, though they succeed or fail together.
const RESULTS_UP_TO_VERSION: i16 = 1;

impl Api for UpdateFeaturesRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<UpdateFeaturesResponse> {
        let update = |asked: &FeatureUpdateKey| FeatureUpdate {
            feature: asked.feature.to_string(),
            level: asked.max_version_level,
            upgrade_type: match asked.upgrade_type {
                _ if context.version < TYPES_SINCE_VERSION && asked.allow_downgrade => {
                    Some(UpgradeType::SafeDowngrade)
                }
                _ if context.version < TYPES_SINCE_VERSION => Some(UpgradeType::Upgrade),
                1 => Some(UpgradeType::Upgrade),
                2 => Some(UpgradeType::SafeDowngrade),
                3 => Some(UpgradeType::UnsafeDowngrade),
                _ => None,
            },
        };
        let updates: Vec<_> = self.feature_updates.iter().map(update).collect();
        let updated = context.shared.state_mut().update_features(&updates, self.validate_only);
        match updated {
            Ok(()) => {
                let result = |asked: FeatureUpdateKey| UpdatableFeatureResult {
                    feature: asked.feature,
                    error_message: Some("NONE".into()),
                    ..Default::default()
                };
                let results = match context.version <= RESULTS_UP_TO_VERSION {
                    true => self.feature_updates.into_iter().map(result).collect(),
                    false => Vec::new(),
                };
                UpdateFeaturesResponse { results, error_message: None, ..Default::default() }.into()
            }
            Err(error) => UpdateFeaturesResponse {
                error_code: error.code,
                error_message: Some(error.message.into()),
                ..Default::default()
            }
            .into(),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<UpdateFeaturesResponse> {
        UpdateFeaturesResponse { error_code, error_message: message(error_code), ..Default::default() }.into()
    }
}
