//! Reads the keys of `[backends.NAME]` and the file they name, once.
//!
//! A file that is missing, too large or malformed is a problem of the configuration, reported with the line of the file
//! where possible.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::csv::{CellType, CsvFile};
use super::table::Table;
use super::{json, terms};
use crate::config::{Place, Section};
use crate::diagnostic::list;
use crate::error::Code;

/// The largest file, unless `bytes_max` says otherwise.
const BYTES_MAX: usize = 256 << 20;

/// How many bad cells are reported one by one.
const MISTAKES_MAX: usize = 5;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
    JsonLines,
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
pub(super) fn read(section: &mut Section<'_>) -> Option<Table> {
    let before = section.document().problems.len();
    let path = section.required_string("path", "path = \"airports.csv\"");
    let bytes_max = section.size("bytes_max").unwrap_or(BYTES_MAX);
    let named = section.has("format");
    let format = section.word("format", &FORMATS.map(|(word, _)| word));
    let null = section.string("null");
    let separator = section.string("separator");
    let types = read_types(section);
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
        for (key, place) in [null, separator, types].into_iter().flatten() {
            let message = match key {
                "null" => "JSON has its own null",
                "separator" => "JSON has no cells",
                _ => "JSON has its own types",
            };
            section.bad(place, message, Some(format!("leave `{key}` out")));
        }
    }
    let separator = separator.map_or(Some(b','), |read| read_separator(&read, section))?;
    let bytes = match read_bytes(&full, bytes_max) {
        Ok(bytes) => bytes,
        Err(err) => {
            let message = format!("can't read `{}`: {err}", full.display());
            section
                .document()
                .problem(&place, Code::ConfigFile, message, None);
            return None;
        }
    };
    let null = null.map_or(String::new(), |(text, _)| text);
    let table = match format {
        Format::Csv => read_csv((&bytes, separator), &null, &types, section),
        Format::Json => json::read(&bytes).map_err(|mistake| vec![mistake]),
        Format::JsonLines => json::read_lines(&bytes).map_err(|mistake| vec![mistake]),
    };
    let table = table
        .map_err(|mistakes| report(&path, &mistakes, &place, section))
        .ok()?;
    (section.document().problems.len() == before).then_some(table)
}

fn read_csv(
    (bytes, separator): (&[u8], u8),
    null: &str,
    types: &Types,
    section: &Section<'_>,
) -> Result<Table, Vec<String>> {
    let file = CsvFile::open(bytes, separator).map_err(|mistake| vec![mistake])?;
    let mut kinds = vec![CellType::Text; file.names.len()];
    for (column, kind, place) in types {
        match file.names.position(column) {
            Some(at) => kinds[at] = *kind,
            None => terms::unknown_column(&file.names, column, place, section),
        }
    }
    file.rows(&kinds, null)
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

/// The whole file, unless it is larger than `bytes_max`.
fn read_bytes(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let message = format!("it has more than {bytes_max} bytes (`bytes_max`)");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn report(path: &str, mistakes: &[String], place: &Place, section: &Section<'_>) {
    for mistake in mistakes.iter().take(MISTAKES_MAX) {
        let message = format!("`{path}`, {mistake}");
        section
            .document()
            .problem(place, Code::ConfigFile, message, None);
    }
    if mistakes.len() > MISTAKES_MAX {
        let more = mistakes.len() - MISTAKES_MAX;
        let message = format!("`{path}`: {more} more cells are wrong");
        section
            .document()
            .problem(place, Code::ConfigFile, message, None);
    }
}
