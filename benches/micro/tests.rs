use std::collections::BTreeSet;

use crate::callgrind;
use crate::case::{self, Corpus};
use crate::measure::{Measured, allocations};
use crate::table;

#[test]
fn what_is_done_for_each_record_allocates_nothing() {
    for corpus in &Corpus::all() {
        for mut case in case::all(corpus) {
            let is_of_records = ["partition", "append", "check", "validate", "iterate"];
            if is_of_records.iter().any(|step| case.step.starts_with(step)) {
                let allocated = allocations(&mut *case.work);
                assert_eq!(allocated.count_total, 0, "{}, {} bytes: {allocated:?}", case.step, corpus.size);
            }
        }
    }
}

/// A codec may make tables for each batch, though the common ones do not.
#[test]
fn what_is_done_for_each_batch_allocates_a_count_of_references_at_most() {
    let codecs_with_tables = ["zstd", "gzip"];
    for corpus in &Corpus::all() {
        for mut case in case::all(corpus) {
            if codecs_with_tables.iter().all(|codec| !case.step.ends_with(codec)) {
                let allocated = allocations(&mut *case.work);
                assert!(allocated.count_total <= 1, "{}: {allocated:?}", case.step);
                assert!(allocated.bytes_total < 64, "{}: {allocated:?}", case.step);
            }
        }
    }
}

#[test]
fn batches_are_full_and_every_step_runs() {
    for corpus in &Corpus::all() {
        let record_bytes_max = corpus.size + if corpus.with_headers { 170 } else { 30 };
        let cases = case::all(corpus);
        let steps: BTreeSet<_> = cases.iter().map(|case| case.step.clone()).collect();
        assert_eq!((steps.len(), cases.len()), (15, 15), "{steps:?}");
        for mut case in cases {
            assert!(case.records * record_bytes_max > 60_000, "{} records", case.records);
            callgrind::run_once(&mut *case.work);
        }
    }
}

#[test]
fn callgrinds_total_is_found() {
    let dump = "version: 1\nevents: Ir\n\nfn=(1) main\n0 12\ntotals: 48213\n";
    assert_eq!(callgrind::total(dump), Some(48_213));
    assert_eq!(callgrind::total("version: 1\n"), None);
}

#[test]
fn the_table_tells_none_from_few() {
    let row = |allocations, instructions| Measured {
        step: "append".to_owned(),
        size: 100,
        with_headers: true,
        nanoseconds: 12.345,
        allocations,
        instructions,
    };
    let table = table::markdown(&[row(0.0, Some(150.25)), row(0.002, None)]);
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(
        rows[0],
        "| append                |   100 |       5 |     12.35 |           0 |        150.2 |"
    );
    assert!(rows[1].ends_with("|      0.0020 |            - |"), "{table}");
}
