//! A topic for commands that need one.

use milena::ErrorCode;
use milena::admin::{Admin, AdminErrorReason, TopicSpec};

use crate::failure::Failure;

/// Creates the topic with `partitions` if it does not exist, and tells how many partitions it has.
pub(crate) async fn ensure_topic(admin: &Admin, name: &str, partitions: i32) -> Result<usize, Failure> {
    match admin.describe_topic(name).await {
        Ok(topic) => return Ok(topic.partitions.len()),
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
        Err(error) => return Err(Failure::operation(error)),
    }
    let spec = TopicSpec::new(name).partitions(partitions);
    let mut created = admin.create_topic(spec.clone()).await;
    // Brokers before 2.4 have no default for the replication factor.
    if created.as_ref().is_err_and(|error| matches!(error.reason, AdminErrorReason::NotSupported(_))) {
        created = admin.create_topic(spec.replication_factor(1)).await;
    }
    match created {
        // Another one was faster.
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
        Err(error) => return Err(Failure::operation(error)),
        Ok(_) => {}
    }
    let topic = admin.wait_until_ready(name).await.map_err(Failure::operation)?;
    Ok(topic.partitions.len())
}
