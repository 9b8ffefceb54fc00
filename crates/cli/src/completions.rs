//! `milena completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::{self, Cli};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("bash", "milena completions bash > ~/.local/share/bash-completion/completions/milena"),
    ("zsh", "milena completions zsh > ~/.zfunc/_milena"),
    ("fish", "milena completions fish > ~/.config/fish/completions/milena.fish"),
];

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "milena", &mut script);
    let mut output = Output::stdout();
    output.write(&script)?;
    output.flush()
}
