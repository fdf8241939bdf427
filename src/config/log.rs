//! Reads `[log]`: which calls get a line in the log, and where a line of every call is written.

use std::path::PathBuf;
use std::time::Duration;

use super::section::{Place, Section};
use crate::error::Code;

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// Which calls get a line in the log; a reload changes it.
    pub lines: CallLines,
    /// Where a line of every call is written, if it is.
    pub access: Option<AccessLog>,
}

/// Which calls get a line in the log, besides those that fail or are partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLines {
    /// Those that take at least so long. Default 1 s.
    pub slow: Duration,
    /// So many per second and event loop, whatever became of them. Default 0.
    pub sampled: usize,
    /// Lines have parameters and results. Default: no.
    pub values: bool,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// The file; `None` for stdout.
    pub path: Option<PathBuf>,
    /// Lines are JSON objects. Default: text.
    pub json: bool,
    /// How many lines may wait to be written. Default 8192.
    pub queue: usize,
}

const SLOW: Duration = Duration::from_secs(1);
const QUEUE: usize = 8192;

/// Reads `[log]` from the whole file.
pub(crate) fn read_log(root: &mut Section<'_>) -> Option<LogConfig> {
    let mut section = root.section("log")?;
    let slow = section.timeout("slow").unwrap_or(SLOW);
    let sampled = section.integer("sampled", 0..=1000);
    let values = section.bool("values").unwrap_or(false);
    let access = section.string("access");
    let json = section.word("access_format", &["text", "json"]);
    let has_queue = section.place_of("access_queue");
    let queue = section.count("access_queue", QUEUE, 1_000_000);
    let unused = [json.as_ref().map(|(_, place)| place), has_queue.as_ref()];
    if let (None, Some(place)) = (&access, unused.into_iter().flatten().next()) {
        let help = "add `access = \"stdout\"` or the path of a file";
        section.bad(place, "there is no access log", Some(help.into()));
    }
    let access = access.map(|(text, place)| {
        if text.is_empty() {
            let help = "`\"stdout\"` or the path of a file";
            section.bad(&place, "not a path", Some(help.into()));
        }
        check_path(&section, &text, &place);
        AccessLog {
            path: (text != "stdout").then(|| section.relative(&text)),
            json: matches!(json, Some(("json", _))),
            queue,
        }
    });
    section.finish();
    Some(LogConfig {
        lines: CallLines {
            slow,
            sampled: sampled.and_then(|it| usize::try_from(it).ok()).unwrap_or(0),
            values,
        },
        access,
    })
}

/// Warns of a path that is probably not meant, or that can't be written to here.
fn check_path(section: &Section<'_>, text: &str, place: &Place) {
    let document = section.document();
    if matches!(text, "stderr" | "-" | "syslog" | "true") {
        let message = format!("`{text}` is a file of this name");
        let help =
            format!("for stdout write `\"stdout\"`; if the file is meant, write `\"./{text}\"`");
        document.warning(place, Code::ConfigBadValue, message, Some(help));
    }
    let path = section.relative(text);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| text != "stdout" && !folder.is_dir()) {
        let message = format!("there is no folder `{}`", folder.display());
        let help = "make it before the server starts: it creates the file, but no folder";
        document.warning(place, Code::ConfigFile, message, Some(help.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(keys: &str) -> (Option<LogConfig>, Vec<String>) {
        let document = document(keys);
        let read = read_log(&mut whole(&document));
        let problems = document.problems.into_vec().into_iter();
        (read, problems.map(|problem| problem.message).collect())
    }

    #[test]
    fn lines_of_calls_and_the_access_log_are_there_if_they_are_configured() {
        assert_eq!(read(""), (None, vec![]));
        let lines = CallLines {
            slow: SLOW,
            sampled: 0,
            values: false,
        };
        let access = None;
        let (config, problems) = read("log = {}");
        assert_eq!(config, Some(LogConfig { lines, access }));
        assert!(problems.is_empty(), "{problems:?}");
        let access = |keys: &str| read(&format!("[log]\n{keys}")).0?.access;
        let of = access("access = 'stdout'").expect("configured");
        assert_eq!((of.path, of.json, of.queue), (None, false, QUEUE));
        let of = access("access = 'calls.log'\naccess_format = 'json'\naccess_queue = 7");
        let of = of.expect("configured");
        assert!(of.path.is_some_and(|path| path.ends_with("calls.log")));
        assert_eq!((of.json, of.queue), (true, 7));
    }

    #[test]
    fn a_path_that_is_no_file_is_warned_of() {
        let warned = |path: &str| {
            let document = document(&format!("[log]\naccess = '{path}'"));
            drop(read_log(&mut whole(&document)));
            let warnings = document.warnings.into_vec();
            assert!(
                warnings
                    .iter()
                    .all(|of| of.help.is_some() && of.place.is_some())
            );
            warnings.len()
        };
        assert_eq!(warned("stderr"), 1);
        assert_eq!(warned("no-such-folder/calls.log"), 1);
        for fine in ["stdout", "calls.log", "./stderr"] {
            assert_eq!(warned(fine), 0, "{fine}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let problems = |keys: &str| read(&format!("[log]\n{keys}")).1;
        assert_eq!(
            problems("access_format = 'json'"),
            ["there is no access log"]
        );
        assert_eq!(problems("access_queue = 7"), ["there is no access log"]);
        assert_eq!(problems("access = ''"), ["not a path"]);
        assert_eq!(problems("slow = '0s'").len(), 1);
        assert_eq!(problems("sampled = -1").len(), 1);
        assert_eq!(problems("level = 'debug'").len(), 1);
    }
}
