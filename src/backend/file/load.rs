//! Reads the keys of `[backends.NAME]` and the file they name, once.
//!
//! A file that is missing, too large or malformed is a problem of the configuration, reported with the line of the file
//! where possible.

use std::ffi::OsStr;
use std::sync::Arc;

use super::csv::CellType;
use super::loaded::Loaded;
use super::mistakes::Mistakes;
use super::reading::{Format, LoadError, Reading};
use super::source::Source;
use super::terms;
use super::watched::Watched;
use crate::config::{Place, Section};
use crate::diagnostic::list;
use crate::error::Code;

/// The largest file, unless `bytes_max` says otherwise.
const BYTES_MAX: usize = 256 << 20;

/// `[backends.NAME]` of `kind = "file"`: the file has been read.
#[derive(Debug)]
pub enum Config {
    /// A table that stays.
    Read(Arc<Loaded>),
    /// A table that is replaced when its file changes.
    Watched(Arc<Watched>),
}

impl Config {
    /// The present table.
    pub(super) fn loaded(&self) -> Arc<Loaded> {
        match self {
            Config::Read(loaded) => Arc::clone(loaded),
            Config::Watched(watched) => Arc::clone(&watched.generation().loaded),
        }
    }
}

/// The words of the key `format`. They are endings of paths too, and there are more of these.
const FORMATS: [(&str, Format); 3] = [
    ("csv", Format::Csv),
    ("json", Format::Json),
    ("jsonl", Format::JsonLines),
];

/// The format of a word or of an ending.
fn format_of(word: &str) -> Option<Format> {
    let word = word.to_ascii_lowercase();
    let mut formats = FORMATS.into_iter().chain([("ndjson", Format::JsonLines)]);
    formats.find_map(|(known, format)| (word == known).then_some(format))
}

/// The key `separator`: one character of ASCII that means nothing else in a CSV file.
fn read_separator((text, place): &(String, Place), section: &Section<'_>) -> Option<u8> {
    match text.as_bytes() {
        [separator] if separator.is_ascii() && !b"\"\r\n".contains(separator) => Some(*separator),
        _ => {
            let message = format!("`{}` does not separate cells", text.escape_debug());
            let help =
                r#"one character of ASCII, such as `";"` or `"\t"`, but no quote and no line end"#;
            section.bad(place, message, Some(help.into()));
            None
        }
    }
}

/// The types of columns, as the key `types` gives them.
type Types = Vec<(String, CellType, Place)>;

/// Reads the keys and the file.
pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
    let before = section.document().problems.len();
    let path = section.required_string("path", "path = \"airports.csv\"");
    let bytes_max = section.size("bytes_max").unwrap_or(BYTES_MAX);
    let named = section.has("format");
    let format = section.word("format", &FORMATS.map(|(word, _)| word));
    let null = section.string("null");
    let separator = section.string("separator");
    let types = read_types(section);
    let is_watched = section.word("reload", &["on_change"]).is_some();
    let (path, place) = path?;
    let full = section.relative(&path);
    let format = match (format, named) {
        (Some((word, _)), _) => format_of(word),
        // A format that is not known has been reported.
        (None, true) => return None,
        (None, false) => full.extension().and_then(OsStr::to_str).and_then(format_of),
    };
    let Some(format) = format else {
        let help = "a path ending in `.csv`, `.json`, `.jsonl` or `.ndjson`, or the key `format`";
        let message = format!("`{path}` has an unknown format");
        section.bad(&place, message, Some(help.into()));
        return None;
    };
    if format != Format::Csv {
        let null = null.as_ref().map(|(_, place)| ("null", place));
        let separator = separator.as_ref().map(|(_, place)| ("separator", place));
        let types = types.first().map(|(_, _, place)| ("types", place));
        refuse(section, [null, separator, types].into_iter().flatten());
    }
    let separator = separator.map_or(Some(b','), |read| read_separator(&read, section))?;
    let columns = types
        .iter()
        .map(|(column, kind, _)| (column.clone(), *kind));
    let source = Source {
        path: full,
        bytes_max,
        reading: Reading {
            format,
            separator,
            null: null.map_or(String::new(), |(text, _)| text),
            types: columns.collect(),
        },
    };
    section.document().reads_data(&source.path);
    let loaded = source.load().map_err(|err| match err {
        LoadError::Io(err) => {
            let message = format!("can't read `{}`: {err}", source.path.display());
            section
                .document()
                .problem(&place, Code::ConfigFile, message, None);
        }
        LoadError::Mistakes(mistakes) => report(&path, &mistakes, &place, section),
        LoadError::Columns(names) => {
            for (column, _, place) in &types {
                if names.position(column).is_none() {
                    terms::unknown_column(&names, column, place, section);
                }
            }
        }
    });
    let loaded = loaded.ok()?;
    (section.document().problems.len() == before).then(|| {
        if is_watched {
            Config::Watched(Arc::new(Watched::new(source, loaded)))
        } else {
            Config::Read(loaded)
        }
    })
}

/// Refuses keys that mean nothing for JSON.
fn refuse<'p>(section: &Section<'_>, keys: impl Iterator<Item = (&'static str, &'p Place)>) {
    for (key, place) in keys {
        let message = match key {
            "null" => "JSON has its own null",
            "separator" => "JSON has no cells",
            _ => "JSON has its own types",
        };
        section.bad(place, message, Some(format!("leave `{key}` out")));
    }
}

fn read_types(section: &mut Section<'_>) -> Types {
    let Some(mut section) = section.section("types") else {
        return Vec::new();
    };
    let mut types = Vec::new();
    for column in section.keys() {
        let name_place = section.place_of_name(&column);
        let Some((value, place)) = section.take_named(&column) else {
            continue;
        };
        if let Some(kind) = value.as_str().and_then(CellType::parse) {
            types.push((column, kind, name_place.unwrap_or(place)));
        } else {
            let help = format!("one of {}", list(CellType::ALL.map(CellType::as_str)));
            section.bad(&place, "unknown type of a column", Some(help));
        }
    }
    types
}

fn report(path: &str, mistakes: &Mistakes, place: &Place, section: &Section<'_>) {
    let problem = |message: String| {
        section
            .document()
            .problem(place, Code::ConfigFile, message, None);
    };
    for mistake in &mistakes.first {
        problem(format!("`{path}`, {mistake}"));
    }
    if mistakes.more > 0 {
        problem(format!("`{path}`: {} more cells are wrong", mistakes.more));
    }
}
