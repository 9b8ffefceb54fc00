//! Development commands: `cargo xtask <command>`.

mod bench_broker;
mod bench_micro;
mod bench_report;
mod ci;
mod codegen;
mod deny;
mod features;
mod no_c;
mod peers;
mod process;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "bench-broker" => bench_broker::run(&arguments),
        "bench-micro" => bench_micro::run(&arguments),
        "bench-report" => bench_report::run(&arguments),
        "ci" => ci::run(&arguments),
        "codegen" => codegen::run(&arguments),
        "deny" => deny::run(&arguments),
        "features" => features::run(&arguments),
        "no-c" => no_c::run(&arguments),
        "sim" => sim::run(&arguments),
        "test" => test::run(&arguments),
        "tidy" => tidy::run(&arguments),
        _ => Err(format!(
            "unknown command `{command}`; there are: bench-broker, bench-micro, bench-report, ci, codegen, deny, features, no-c, sim, test, tidy"
        )
        .into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error}");
            ExitCode::FAILURE
        }
    }
}
