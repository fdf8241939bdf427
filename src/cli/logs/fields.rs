//! Writes the fields of a line of the text log as `key=value`, so that whatever splits words as a shell does can read them.
//!
//! Strings are in quotes, as are other values unless they are one plain word, such as a code, a number or an address.
//! Errors and paths are always in quotes, whatever they contain: what looks for them in a log needs one form only.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The field that holds an event's message, which is written without its name.
const MESSAGE: &str = "message";
/// Fields with the words of others.
const FREE: [&str; 2] = ["error", "path"];
/// What may be in a word without quotes, besides letters and digits: nothing that a shell expands or takes for itself.
const PLAIN: &str = "-_.:/@+,%[]";

/// Formats fields for people and for what splits lines.
pub(super) struct WordFields;

impl<'writer> FormatFields<'writer> for WordFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut words = Words {
            writer,
            is_first: true,
            written: Ok(()),
        };
        fields.record(&mut words);
        words.written
    }
}

struct Words<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    written: fmt::Result,
}

impl Words<'_> {
    fn field(&mut self, name: &str, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if name == MESSAGE {
            return escaped(&mut self.writer, value);
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.writer.has_ansi_escapes() {
            // As the library does: the name in italics, the sign dimmed.
            write!(
                self.writer,
                "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"
            )
        } else {
            write!(self.writer, "{name}={value}")
        }
    }
}

impl Visit for Words<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.written.is_ok() {
            self.written = match field.name() {
                MESSAGE => self.field(MESSAGE, value),
                name => self.field(name, &format!("{value:?}")),
            };
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.written.is_ok() {
            let (name, text) = (field.name(), format!("{value:?}"));
            self.written = match name {
                _ if name == MESSAGE || is_word(&text) && !FREE.contains(&name) => {
                    self.field(name, &text)
                }
                _ => self.field(name, &format!("{text:?}")),
            };
        }
    }
}

fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || PLAIN.contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

/// A message without control characters, which would end its line or reach the terminal.
fn escaped(writer: &mut Writer<'_>, message: &str) -> fmt::Result {
    message.chars().try_for_each(|c| match c {
        c if c.is_control() => write!(writer, "{}", c.escape_debug()),
        c => writer.write_char(c),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{File, read_to_string};
    use std::sync::Arc;

    use tracing::{Level, debug_span, warn};

    use super::*;

    /// The words of a line, as a shell splits them.
    fn split(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let (mut is_quoted, mut chars) = (false, line.trim().chars());
        while let Some(c) = chars.next() {
            let word = words.last_mut().expect("there is always one");
            match c {
                '"' => is_quoted = !is_quoted,
                '\\' if is_quoted => match chars.next() {
                    Some(c @ ('"' | '\\')) => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                    None => panic!("it ends in the middle: {line}"),
                },
                ' ' if !is_quoted => words.push(String::new()),
                c => word.push(c),
            }
        }
        assert!(!is_quoted, "{line}");
        words
    }

    /// What is logged, without colour.
    fn logged(log: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        let file = Arc::new(File::create(&path).expect("the folder is ours"));
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(file)
            .with_ansi(false)
            .fmt_fields(WordFields)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        read_to_string(&path).expect("it is written")
    }

    #[test]
    fn a_shell_reads_every_field_of_a_line() {
        let error = std::io::Error::other("can't open \"a b\": code=7\nand\\more");
        let line = logged(|| {
            let _span = debug_span!("connection", peer = %"[::1]:4711").entered();
            warn!(
                code = %"lookup.timeout", error = %error, why = %"refused", path = %"/run/s",
                detail = "two words", took_us = 1203_u64, after = ?std::time::Duration::from_micros(1500),
                "it fails"
            );
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("connection{peer=[::1]:4711}: "), "{line}");
        let words = split(&line);
        let at = words.iter().position(|word| word == "fails");
        let expected = [
            "code=lookup.timeout",
            "error=can't open \"a b\": code=7\\nand\\more",
            "why=refused",
            "path=/run/s",
            "detail=two words",
            "took_us=1203",
            "after=1.5ms",
        ];
        assert_eq!(words[at.expect("the message") + 1..], expected, "{line}");
        assert!(
            line.contains("path=\"/run/s\"") && line.contains("why=refused"),
            "{line}"
        );
    }

    #[test]
    fn a_message_stays_in_its_line() {
        let line = logged(|| warn!("it {}", "fails\n\u{1b}[31m"));
        assert!(line.ends_with("it fails\\n\\u{1b}[31m\n"), "{line}");
    }
}
