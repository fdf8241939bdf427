//! Starts the command line and turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tributary::cli::main(std::env::args_os()).into()
}
