//! The one way from a command to the terminal: data to stdout, everything else to stderr.
//!
//! Knows whether either is coloured and how wide the terminal is. A reader that goes away (`tributary call ... |
//! head`) ends the output quietly; any other failure to write stdout is told once, by [`Output::finish`].

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use super::exit::ExitStatus;
use crate::diagnostic::Problem;

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

/// Columns when nothing tells.
const WIDTH: usize = 100;
/// Columns below which nothing can be laid out.
const WIDTH_MIN: usize = 40;

/// Where a command writes to.
pub struct Output {
    data: Stream,
    rest: Stream,
    width: usize,
}

/// Boxed, so that commands need no type parameter for the sake of tests that read what they write.
struct Stream {
    to: Box<dyn Write>,
    terminal: bool,
    color: bool,
    error: Option<io::Error>,
}

impl Output {
    /// This process's stdout and stderr.
    pub fn stdio() -> Self {
        let width = env::var("COLUMNS").ok();
        let mut out = Output {
            data: Stream::new(Box::new(io::stdout()), io::stdout().is_terminal()),
            rest: Stream::new(Box::new(io::stderr()), io::stderr().is_terminal()),
            width: width_of(width.as_deref()),
        };
        out.set_color(Color::Auto);
        out
    }

    /// Follows `--color`.
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

    /// Whether what goes to stdout is coloured.
    pub fn data_color(&self) -> bool {
        self.data.color
    }

    /// Whether what goes to stderr is coloured.
    pub fn note_color(&self) -> bool {
        self.rest.color
    }

    /// Columns of the terminal.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether stdout is a terminal.
    pub fn data_terminal(&self) -> bool {
        self.data.terminal
    }

    /// Columns of the terminal that stdout is, unless `COLUMNS` says otherwise.
    pub fn terminal_width(&self) -> usize {
        let named = env::var_os("COLUMNS").is_some();
        match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if !named && size.ws_col > 0 => usize::from(size.ws_col).max(WIDTH_MIN),
            _ => self.width,
        }
    }

    /// Writes data; a line end is added if there is none.
    pub fn data(&mut self, text: &str) {
        self.data.write(text);
    }

    /// Writes what is said beside the data; a line end is added if there is none.
    pub fn note(&mut self, text: &str) {
        self.rest.write(text);
    }

    /// Says that something is wrong, and what would be right.
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

    /// Says everything that is wrong with a configuration or an IDL, and how much that is.
    pub fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            let text = problem.render(self.rest.color);
            self.note(text.trim_end());
            self.note("\n");
        }
        self.note(&count(problems.len(), "problem"));
    }

    /// Says what may become wrong.
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

    /// Hands over what is still buffered. Data that could not be written makes a command fail that was done.
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
            error: None,
        }
    }

    /// Writes unless an earlier write has failed: half of a text helps nobody.
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

fn width_of(columns: Option<&str>) -> usize {
    let columns = columns.and_then(|text| text.trim().parse().ok());
    columns.unwrap_or(WIDTH).max(WIDTH_MIN)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
