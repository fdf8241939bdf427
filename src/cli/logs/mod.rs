//! Writes the program's logs to stderr, without ever waiting for their reader.

mod writer; // writes on its own thread, drops lines that would have to wait
mod panics;
mod fields; // of lines of text

use std::io;
use std::panic;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::error::CommandError;
use super::output::Output;
use crate::supervise::is_news;
use fields::WordFields;
use panics::Panics;
pub(super) use writer::Flush;
use writer::LogWriter;

/// The options of logging.
#[derive(Clone, Debug, Args)]
pub(super) struct LogArgs {
    /// The format of log lines
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// What to log: error, warn, info, debug or trace, or per module as in `info,tributary::view=trace`
    /// [default: the environment variable `RUST_LOG`, or info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging, for the rest of the process. The last lines are written when the returned value is dropped.
pub(super) fn start(args: &LogArgs, out: &Output) -> Result<Flush, CommandError> {
    let filter = filter(args.log.as_deref())?;
    let format = args.log_format;
    let cant = |err: &dyn std::fmt::Display| {
        CommandError::failed(format_args!("can't start logging: {err}"))
    };
    let notice = move |dropped| {
        own_line(
            format,
            " WARN",
            &lines_dropped(dropped),
            ("dropped", dropped),
        )
    };
    let (writer, flush) = LogWriter::start(io::stderr(), notice).map_err(|err| cant(&err))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer.clone())
        // If stderr can't be written to, reporting that on stderr would panic.
        .log_internal_errors(false)
        .with_ansi(out.note_color());
    let started = match format {
        LogFormat::Text => builder.fmt_fields(WordFields).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|err| cant(&err))?;
    // The standard hook writes to stderr directly, and would wait for its reader.
    let panics = Panics::default();
    panic::set_hook(Box::new(move |panicked| {
        if !is_news(panicked.location()) {
            return;
        }
        if let Some((message, suppressed)) = panics.message(panicked) {
            let line = own_line(format, "ERROR", &message, ("suppressed", suppressed));
            writer.take(line.as_bytes());
        }
    }));
    Ok(flush)
}

fn lines_dropped(dropped: u64) -> String {
    match dropped {
        1 => "1 line of the log was dropped".to_owned(),
        _ => format!("{dropped} lines of the log were dropped"),
    }
}

/// A line that is written whatever the filter says, since it is not an event. As text, the message says the number too.
fn own_line(format: LogFormat, level: &str, message: &str, (name, number): (&str, u64)) -> String {
    let mut now = String::new();
    // Writing to a String can't fail.
    let _infallible = SystemTime.format_time(&mut Writer::new(&mut now));
    let target = module_path!();
    match format {
        LogFormat::Text => format!("{now} {level} {target}: {message}\n"),
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": now,
                "level": level.trim_start(),
                "fields": { "message": message, name: number },
                "target": target,
            });
            format!("{line}\n")
        }
    }
}

fn filter(option: Option<&str>) -> Result<EnvFilter, CommandError> {
    let variable = std::env::var("RUST_LOG").ok();
    let (name, text) = match (option, &variable) {
        (Some(text), _) => ("--log", text),
        (None, Some(text)) if !text.is_empty() => ("RUST_LOG", text.as_str()),
        _ => ("--log", "info"),
    };
    EnvFilter::try_new(text).map_err(|err| {
        CommandError::misuse(format_args!(
            "`{name}`: `{text}` is not a log filter: {err}"
        ))
        .help("for example `info`, or `warn,tributary::view=trace`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ExitStatus;

    #[test]
    fn a_filter_is_checked() {
        let filter_text = filter(Some("warn,tributary::view=trace")).expect("two directives");
        assert!(filter_text.to_string().contains("tributary::view=trace"));
        let failure = filter(Some("tributary=loud")).expect_err("no such level");
        assert_eq!(failure.status, ExitStatus::Misuse);
    }

    #[test]
    fn a_line_without_an_event_has_the_usual_format() {
        let text = own_line(LogFormat::Text, " WARN", &lines_dropped(5), ("dropped", 5));
        let (time, rest) = text.split_once(' ').expect("a time");
        assert!(time.ends_with('Z'), "{text}");
        assert_eq!(
            rest,
            " WARN tributary::cli::logs: 5 lines of the log were dropped\n"
        );
        let json = own_line(LogFormat::Json, " WARN", "two\nlines", ("dropped", 5));
        assert_eq!(json.lines().count(), 1, "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["level"], "WARN");
        let fields = serde_json::json!({ "message": "two\nlines", "dropped": 5 });
        assert_eq!(json["fields"], fields);
    }
}
