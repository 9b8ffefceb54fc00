//! The report, in Markdown.

use std::fmt::Write;

use milena_testcontainers::KafkaVersion;

use crate::load::Load;
use crate::rest::Rest;
use crate::subject::Subject;
use crate::{Args, proc};

/// What came of a load on each broker.
pub(crate) struct Row {
    pub(crate) load: Load,
    /// Records per second of the broker's processor time, by round; Milena's and Kafka's.
    pub(crate) rates: [Vec<f64>; 2],
}

pub(crate) struct Report {
    markdown: String,
}

impl Row {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, rates: [Vec::new(), Vec::new()] }
    }

    fn kafka(&self) -> f64 {
        median(&sorted(&self.rates[1]))
    }

    fn markdown(&self) -> String {
        let [milena, kafka] = self.rates.each_ref().map(|rates| median(&sorted(rates)));
        let ratios: Vec<f64> =
            self.rates[0].iter().zip(&self.rates[1]).map(|(one, other)| one / other).collect();
        let ratios = sorted(&ratios);
        let (low, high) = (ratios.first().unwrap_or(&0.0), ratios.last().unwrap_or(&0.0));
        format!(
            "| {} | {milena:.0} | {kafka:.0} | {:.1} | {low:.1} to {high:.1} |",
            self.load,
            milena / kafka
        )
    }
}

impl Report {
    pub(crate) fn new(
        args: &Args,
        rest: Rest,
        subjects: &[Subject; 2],
        rows: Vec<Row>,
        floor_rates: Vec<f64>,
    ) -> Self {
        let mut markdown = String::new();
        let mut line = |text: &str| writeln!(markdown, "{text}").expect("a string takes everything");
        let Args { rounds, warmup_rounds, records, reads, size, starts, .. } = args;
        line("# What the embedded broker costs\n");
        line(
            "Written by `cargo xtask bench-broker`, which anyone can run where tests on a real Kafka run; continuous integration does not.\n",
        );
        line("## Start and memory\n");
        line(&format!("{rest}\n"));
        line("## Records per second of the broker's processor time\n");
        line("| client | Milena | Kafka | ratio | of single rounds |");
        line("| --- | ---: | ---: | ---: | ---: |");
        rows.iter().for_each(|row| line(&row.markdown()));
        line(&format!(
            "\nMedians of {rounds} rounds, after {warmup_rounds} to warm up. In a round, each client writes {records} records of {size} bytes to a new \
             topic of six partitions and reads them {reads} times, on one broker and then on the other. Processor time is that of the broker's process, user \
             and system (`/proc/PID/stat`), all its threads included: the JVM's compiler and collector count, and so does the copying that \
             the kernel does for a broker's sockets and files. It hardly depends on what else the machine does, as time on the clock would. \
             Milena keeps records in memory and Kafka writes them to the page cache; neither waits for a disk.\n"
        ));
        let floor = median(&sorted(&floor_rates));
        let kafka = rows.iter().find(|row| row.load == Load::FLOOR).map_or(f64::NAN, Row::kafka);
        line("The goal is a ratio of 3.\n");
        line(&format!(
            "What a broker on these sockets can have at best is what one has that does nothing but send: `nullbroker` of `benches/peers`, \
             which makes its few batches before it listens and hands them to the kernel again and again, gives {} {floor:.0} records per second of its \
             processor time, {:.1} times what Kafka gives.\n",
            Load::FLOOR,
            floor / kafka
        ));
        line("## Where\n");
        line(&format!("- Machine: {}; load averages at the end: {}", proc::machine(), proc::load_averages()));
        line(&format!("- Milena: commit {}, release profile; `milena broker`", args.commit));
        line(&format!(
            "- Kafka: {kafka}, one combined node, configured as for the tests (heap of 512 MiB); its clients, {kafka}",
            kafka = KafkaVersion::LATEST
        ));
        line(&format!(
            "- Command: `cargo xtask bench-broker --rounds {rounds} --warmup-rounds {warmup_rounds} --records {records} --reads {reads} --size {size} --starts {starts}`"
        ));
        let memory = |subject: &Subject| proc::memory_kib(subject.pid, "VmHWM").map_or(0, |kib| kib / 1024);
        let [milena, kafka] = subjects.each_ref().map(memory);
        line(&format!(
            "- Most memory that the brokers of the second table ever held: Milena {milena} MiB, Kafka {kafka} MiB"
        ));
        Self { markdown }
    }

    pub(crate) fn markdown(&self) -> &str {
        &self.markdown
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of values that are in order, the upper one of two.
pub(crate) fn median<T: Copy + Default>(sorted: &[T]) -> T {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
