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

/// The types of columns, as the key `types` gives them.
type Types = Vec<(String, CellType, Place)>;

/// Reads the keys and the file.
pub(super) fn read(section: &mut Section<'_>) -> Option<Table> {
    let before = section.document().problems.len();
    let path = section.required_string("path", "path = \"airports.csv\"");
    let bytes_max = section.size("bytes_max").unwrap_or(BYTES_MAX);
    let null = section.string("null");
    let types = read_types(section);
    let (path, place) = path?;
    let full = section.relative(&path);
    let extension = full.extension().map(OsStr::to_ascii_lowercase);
    let csv = match extension.as_ref().and_then(|ext| ext.to_str()) {
        Some("csv") => true,
        Some("json") => false,
        _ => {
            let help = Some("a path ending in `.csv` or `.json`".into());
            section.bad(&place, format!("`{path}` has an unknown format"), help);
            return None;
        }
    };
    if let (false, Some(place)) = (csv, null.as_ref().map(|(_, place)| place)) {
        section.bad(place, "JSON has its own null", Some("leave it out".into()));
    }
    if let (false, Some((_, _, place))) = (csv, types.first()) {
        section.bad(
            place,
            "JSON has its own types",
            Some("leave `types` out".into()),
        );
    }
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
    let table = if csv {
        read_csv(&bytes, &null, &types, section)
    } else {
        json::read(&bytes).map_err(|mistake| vec![mistake])
    };
    let table = table
        .map_err(|mistakes| report(&path, &mistakes, &place, section))
        .ok()?;
    (section.document().problems.len() == before).then_some(table)
}

fn read_csv(
    bytes: &[u8],
    null: &str,
    types: &Types,
    section: &Section<'_>,
) -> Result<Table, Vec<String>> {
    let file = CsvFile::open(bytes).map_err(|mistake| vec![mistake])?;
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
        let Some((value, place)) = section.take_named(&column) else {
            continue;
        };
        if let Some(kind) = value.as_str().and_then(CellType::parse) {
            types.push((column, kind, place));
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
