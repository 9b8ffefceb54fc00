//! The offsets at which reading begins.

use std::collections::BTreeMap;

use milena::config::choices::OffsetReset;
use milena::consumer::OffsetAndTimestamp;
use milena::{Consumer, TopicPartition};

use super::start::Start;
use crate::failure::Failure;

/// Partitions that are told one by one when an offset is not in them.
const TOLD_MAX: usize = 5;

type Offsets = BTreeMap<TopicPartition, i64>;

/// Where each partition is read from, and where it ends just now.
pub(super) struct Starts {
    pub(super) offsets: Offsets,
    pub(super) ends: Offsets,
}

impl Starts {
    /// `reset` is what the user wants in place of an offset that is not there; without it, such an offset is an error.
    pub(super) async fn look_up(
        start: Start,
        reset: Option<OffsetReset>,
        consumer: &Consumer,
        partitions: &[TopicPartition],
    ) -> Result<Self, Failure> {
        let beginnings = consumer.beginning_offsets(partitions).await.map_err(Failure::operation)?;
        let ends = consumer.end_offsets(partitions).await.map_err(Failure::operation)?;
        let offsets = match start {
            Start::Beginning => beginnings,
            Start::End => ends.clone(),
            Start::Tail(count) => tail(count, beginnings, &ends),
            Start::Offset(offset) => at(offset, reset, beginnings, &ends).map_err(Failure::Operation)?,
            Start::Timestamp(timestamp) => {
                let times = partitions.iter().map(|partition| (partition.clone(), timestamp));
                let found = consumer.offsets_for_times(times).await.map_err(Failure::operation)?;
                not_before(found, &ends)
            }
        };
        Ok(Self { offsets, ends })
    }
}

fn tail(count: i64, mut beginnings: Offsets, ends: &Offsets) -> Offsets {
    for (partition, start) in &mut beginnings {
        *start = (*start).max(ends.get(partition).map_or(0, |end| end - count));
    }
    beginnings
}

/// Without a record of that time or later, a partition is read from its end.
fn not_before(found: BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, ends: &Offsets) -> Offsets {
    let start = |(partition, found): (TopicPartition, Option<OffsetAndTimestamp>)| {
        let offset = found.map(|found| found.offset).or_else(|| ends.get(&partition).copied());
        (partition, offset.unwrap_or(0))
    };
    found.into_iter().map(start).collect()
}

/// `offset` in every partition. It may be the end: the next record written is at it.
fn at(
    offset: i64,
    reset: Option<OffsetReset>,
    beginnings: Offsets,
    ends: &Offsets,
) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    let mut missing = Vec::new();
    for (partition, beginning) in beginnings {
        let end = ends.get(&partition).copied().unwrap_or(beginning);
        let start = match reset {
            _ if (beginning..=end).contains(&offset) => Some(offset),
            Some(OffsetReset::Earliest) => Some(beginning),
            Some(OffsetReset::Latest) => Some(end),
            _ => None,
        };
        match start {
            Some(start) => drop(offsets.insert(partition, start)),
            None => missing.push(format!("{partition} {}", what_is_there(beginning, end))),
        }
    }
    if missing.is_empty() {
        return Ok(offsets);
    }
    let more = missing.len().saturating_sub(TOLD_MAX);
    missing.truncate(TOLD_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(format!(
        "--from {offset}: that offset is out of range: {}{more}; choose another one or a partition (-p), or say what to do \
         with -X auto.offset.reset=earliest or latest",
        missing.join(", ")
    ))
}

fn what_is_there(beginning: i64, end: i64) -> String {
    match end - beginning {
        ..=0 => format!("is empty (the next record gets {end})"),
        _ => format!("has {beginning} to {}", end - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(of: &[(i32, i64)]) -> Offsets {
        of.iter().map(|(partition, offset)| (TopicPartition::new("t", *partition), *offset)).collect()
    }

    #[test]
    fn an_offset_out_of_range_is_told_with_what_is_there() {
        let (beginnings, ends) = (offsets(&[(0, 10), (1, 0), (2, 7)]), offsets(&[(0, 20), (1, 43), (2, 7)]));
        let error = at(42, None, beginnings.clone(), &ends).unwrap_err();
        assert!(error.contains("t-0 has 10 to 19, t-2 is empty (the next record gets 7);"), "{error}");
        let error = at(9, Some(OffsetReset::None), beginnings, &ends).unwrap_err();
        assert!(error.contains("t-0 has 10 to 19") && !error.contains("t-1"), "{error}");
        let many: Vec<_> = (0..9).map(|partition| (partition, 0)).collect();
        let error = at(1, None, offsets(&many), &offsets(&many)).unwrap_err();
        assert!(error.contains("t-4 is empty") && error.contains(", and 4 more;"), "{error}");
    }

    #[test]
    fn the_end_is_in_range_and_a_reset_takes_what_is_not() {
        let (beginnings, ends) = (offsets(&[(0, 10), (1, 0)]), offsets(&[(0, 20), (1, 5)]));
        let at = |offset, reset| at(offset, reset, beginnings.clone(), &ends);
        assert_eq!(at(20, Some(OffsetReset::Earliest)), Ok(offsets(&[(0, 20), (1, 0)])));
        assert_eq!(at(5, Some(OffsetReset::Latest)), Ok(offsets(&[(0, 20), (1, 5)])));
    }

    #[test]
    fn the_last_records_are_no_more_than_there_are() {
        let (beginnings, ends) = (offsets(&[(0, 10), (1, 0)]), offsets(&[(0, 12), (1, 50)]));
        assert_eq!(tail(5, beginnings, &ends), offsets(&[(0, 10), (1, 45)]));
    }
}
