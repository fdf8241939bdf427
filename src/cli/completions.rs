//! `tributary completions`: prints the script with which a shell completes commands and options.

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::ExitStatus;
use super::output::Output;

/// Print a script that lets your shell complete `tributary`'s commands and options
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  tributary completions bash > ~/.local/share/bash-completion/completions/tributary
  tributary completions zsh > ~/.zfunc/_tributary
  tributary completions fish > ~/.config/fish/completions/tributary.fish";

pub(super) fn run(options: &Completions, mut command: Command, out: &mut Output) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "tributary", &mut script);
    out.data(&String::from_utf8_lossy(&script));
    ExitStatus::Done
}
