//! Writes what commands print: data to stdout, everything else to stderr.
//!
//! Knows whether each of them is coloured and how wide the terminal is. A reader that closes the pipe (`tributary call ... |
//! head`) ends the output quietly; any other failure to write to stdout is reported once, by [`Output::finish`].

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use super::exit::ExitStatus;
use crate::diagnostic::Problem;

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Always, also in files and pipes
    Always,
    /// Never
    Never,
}

/// The width if it is unknown.
const WIDTH: usize = 100;
/// The smallest width for which text can be laid out.
const WIDTH_MIN: usize = 40;

/// Where a command writes.
pub struct Output {
    data: Stream,
    rest: Stream,
}

/// Boxed, so that commands need no type parameter just for tests that read their output.
struct Stream {
    to: Box<dyn Write>,
    terminal: bool,
    color: bool,
    /// Columns.
    width: usize,
    error: Option<io::Error>,
}

impl Output {
    /// This process's stdout and stderr.
    pub fn stdio() -> Self {
        let columns = env::var("COLUMNS").ok();
        let width = |terminal| width_of(columns.as_deref(), terminal);
        let (stdout, stderr) = (columns_of(io::stdout()), columns_of(io::stderr()));
        let mut out = Output {
            data: Stream::new(Box::new(io::stdout()), io::stdout().is_terminal()),
            rest: Stream::new(Box::new(io::stderr()), io::stderr().is_terminal()),
        };
        // Of two streams, one may be a file; text for the other is as wide as the terminal.
        out.data.width = width(stdout.or(stderr));
        out.rest.width = width(stderr.or(stdout));
        out.set_color(Color::Auto);
        out
    }

    /// Applies `--color`.
    pub fn set_color(&mut self, color: Color) {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        for stream in [&mut self.data, &mut self.rest] {
            stream.color = match color {
                Color::Auto => stream.terminal && !plain,
                Color::Always => true,
                Color::Never => false,
            };
        }
    }

    /// Whether stdout is coloured.
    pub fn data_color(&self) -> bool {
        self.data.color
    }

    /// Whether stderr is coloured.
    pub fn note_color(&self) -> bool {
        self.rest.color
    }

    /// The columns of stdout: those of `COLUMNS`, otherwise those of the terminal.
    pub fn data_width(&self) -> usize {
        self.data.width
    }

    /// The columns of stderr.
    pub fn note_width(&self) -> usize {
        self.rest.width
    }

    /// Whether stdout is a terminal.
    pub fn data_terminal(&self) -> bool {
        self.data.terminal
    }

    /// Writes data. Adds a line end if there is none.
    pub fn data(&mut self, text: &str) {
        self.data.write(text);
    }

    /// Writes a message. Adds a line end if there is none.
    pub fn note(&mut self, text: &str) {
        self.rest.write(text);
    }

    /// Reports an error, and what to do.
    pub fn error(&mut self, message: &str, help: Option<&str>) {
        let (red, cyan, reset) = if self.rest.color {
            ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let mut text = format!("{red}error{reset}: {message}\n");
        if let Some(help) = help {
            // Writing to a String can't fail.
            let _infallible = writeln!(text, "  {cyan}help{reset}: {help}");
        }
        self.note(&text);
    }

    /// Reports all problems of a configuration or an IDL, and their number.
    pub fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            let text = problem.render(self.rest.color);
            self.note(text.trim_end());
            self.note("\n");
        }
        self.note(&count(problems.len(), "problem"));
    }

    /// Reports warnings, and their number.
    pub fn warnings(&mut self, warnings: &[Problem]) {
        for warning in warnings {
            let text = warning.render_warning(self.rest.color);
            self.note(text.trim_end());
            self.note("\n");
        }
        if !warnings.is_empty() {
            self.note(&count(warnings.len(), "warning"));
        }
    }

    /// Flushes the output. If data could not be written, a command that succeeded fails after all.
    pub fn finish(mut self, status: ExitStatus) -> ExitStatus {
        self.data.flush();
        match self.data.error.take() {
            Some(err) if err.kind() != io::ErrorKind::BrokenPipe => {
                self.error(&format!("can't write to stdout: {err}"), None);
                if status == ExitStatus::Done {
                    ExitStatus::Failed
                } else {
                    status
                }
            }
            _ => status,
        }
    }
}

impl Stream {
    fn new(to: Box<dyn Write>, terminal: bool) -> Self {
        Stream {
            to,
            terminal,
            color: false,
            width: WIDTH,
            error: None,
        }
    }

    /// Writes, unless an earlier write failed: text with gaps would be useless.
    fn write(&mut self, text: &str) {
        if self.error.is_some() {
            return;
        }
        let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
        let written = self.to.write_all(text.as_bytes());
        self.error = written.and_then(|()| self.to.write_all(end)).err();
    }

    fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.to.flush().err();
        }
    }
}

/// `1 lookup`, `8 lookups`
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// The width by `COLUMNS`, otherwise by the terminal.
fn width_of(columns: Option<&str>, terminal: Option<usize>) -> usize {
    let columns = columns.and_then(|text| text.trim().parse().ok());
    columns.or(terminal).unwrap_or(WIDTH).max(WIDTH_MIN)
}

/// The columns of a terminal; `None` for a file or a pipe, and for a terminal that does not know.
fn columns_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
