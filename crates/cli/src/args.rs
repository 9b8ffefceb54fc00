//! The command line.

use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::broker::BrokerArgs;
use crate::completions::CompletionsArgs;
use crate::consume::ConsumeArgs;
use crate::demo::DemoArgs;
use crate::produce::ProduceArgs;
use crate::stress::StressArgs;
use crate::topic::TopicCommand;

/// The exit codes, as the help shows them.
pub(crate) const EXIT_CODES: &str = "  0    done; of `milena broker`, ended by Ctrl-C or SIGTERM
  1    the operation failed, wholly or in part
  2    the command line, a property or an input file is wrong
  3    no broker answered
  130  any other command ended by Ctrl-C, after what was sent was brought to its end
  143  ended by SIGTERM, in the same way";

/// A Kafka client in pure Rust, on the command line.
///
/// Works with every Kafka since 2.1. `demo`, `bench` and `broker` need none: they start an embedded one.
#[derive(Parser, Debug)]
#[command(name = "milena", version, styles = STYLES, after_long_help = after_help(), propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How much is said on standard error.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Verbosity {
    /// Logs more to standard error than warnings: with -v what is tried again, with -vv each request.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Says nothing but errors on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Plays a story of user events through Kafka and checks what comes back.
    Demo(DemoArgs),
    /// Runs a Kafka-compatible broker, or several, to develop and test against.
    ///
    /// Ctrl-C and SIGTERM are its ordinary end: the exit code is 0. Records are kept in memory only.
    Broker(BrokerArgs),
    /// Lists, creates, describes and deletes topics.
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Sends lines of a file or of standard input as records.
    Produce(ProduceArgs),
    /// Prints the records of a topic.
    Consume(ConsumeArgs),
    /// Measures throughput and latency.
    Bench(BenchArgs),
    /// Loads a cluster, takes down what happens, and checks that nothing was lost, repeated or reordered.
    ///
    /// The history is one JSON event a line; any checker can judge it afterwards. The exit code is 1 when a promise was broken.
    Stress(StressArgs),
    /// Prints completions for a shell.
    Completions(CompletionsArgs),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default());

fn after_help() -> String {
    let examples = examples(&[
        ("See it work, with nothing installed", "milena demo"),
        ("A broker to develop against", "milena broker -t orders:6"),
        (
            "Send and read",
            "milena produce -b localhost:9092 -t orders orders.txt\n  milena consume -b localhost:9092 -t orders --from beginning -e",
        ),
    ]);
    format!("{examples}\n\nExit codes:\n{EXIT_CODES}")
}

/// The part of a command's help that shows examples.
pub(crate) fn examples(examples: &[(&str, &str)]) -> StyledStr {
    let mut text = String::from("Examples:");
    for (what, command) in examples {
        text += &format!("\n  # {what}\n  {command}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// All commands, with the commands below them, as they are shown in a terminal of any width.
    fn commands() -> Vec<clap::Command> {
        let mut cli = Cli::command().term_width(0);
        cli.build();
        let below = cli.get_subcommands().flat_map(|command| command.get_subcommands().chain([command]));
        below.chain([&cli]).cloned().collect()
    }

    #[test]
    fn every_example_is_a_command_line_that_parses() {
        let mut seen = 0;
        for mut command in commands() {
            let help = command.render_long_help().to_string().replace("|\n", "| ");
            for example in help.lines().map(str::trim).filter(|line| line.starts_with("milena ")) {
                for command in
                    example.split('|').map(str::trim).filter(|command| command.starts_with("milena "))
                {
                    let words = words(command.split('>').next().unwrap_or_default());
                    let parsed = Cli::try_parse_from(&words);
                    assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
                    seen += 1;
                }
            }
        }
        assert!(seen > 20, "only {seen} examples were found");
    }

    #[test]
    fn examples_are_not_broken_at_the_width_of_help() {
        const WIDTH: usize = 100;
        for mut command in commands() {
            let help = command.render_long_help().to_string();
            let (_, examples) = help.split_once("Examples:").unwrap_or_default();
            for line in examples.lines() {
                assert!(line.len() <= WIDTH, "{} is too long: {line}", command.get_name());
            }
        }
    }

    /// Splits a line as a shell would, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
