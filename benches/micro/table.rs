//! The table, in Markdown that reads well as it is.

use std::fmt::Write;

use crate::measure::Measured;

pub(crate) fn markdown(rows: &[Measured]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        let [step, size, headers, time, allocations, instructions] = cells;
        writeln!(
            text,
            "| {step:<21} | {size:>5} | {headers:>7} | {time:>9} | {allocations:>11} | {instructions:>12} |"
        )
        .expect("a string takes everything");
    };
    line(["for a record", "bytes", "headers", "ns", "allocations", "instructions"]);
    line(["---", "---:", "---:", "---:", "---:", "---:"]);
    for row in rows {
        line([
            &row.step,
            &row.size.to_string(),
            if row.with_headers { "5" } else { "0" },
            &format!("{:.2}", row.nanoseconds),
            &allocations(row.allocations),
            &row.instructions.map_or("-".to_owned(), |count| format!("{count:.1}")),
        ]);
    }
    text
}

/// None at all looks different from a few for many records.
fn allocations(count: f64) -> String {
    if count == 0.0 { "0".to_owned() } else { format!("{count:.4}") }
}
