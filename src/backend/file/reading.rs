//! How the bytes of a file become a table.

use std::fmt;
use std::io;
use std::path::Path;

use super::csv::{CellType, CsvFile};
use super::json;
use super::mistakes::Mistakes;
use super::pieces::Progress;
use super::table::Table;
use crate::value::FieldNames;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
    JsonLines,
}

/// How bytes become a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) format: Format,
    pub(super) separator: u8,
    pub(super) null: String,
    pub(super) types: Vec<(String, CellType)>,
}

/// Why there is no table.
#[derive(Debug)]
pub(super) enum LoadError {
    Io(io::Error),
    Mistakes(Mistakes),
    /// The key `types` names a column that the file lacks; it has these.
    Columns(FieldNames),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Io(err) => write!(f, "it can't be read: {err}"),
            LoadError::Mistakes(mistakes) => f.write_str(mistakes.first()),
            LoadError::Columns(_) => f.write_str("it lacks a column of `types`"),
        }
    }
}

impl Reading {
    /// The table in `bytes`; `path` is for the log.
    pub(super) fn table(&self, bytes: &[u8], path: &Path) -> Result<Table, LoadError> {
        let path = path.to_string_lossy();
        let progress = Progress::new(&path, bytes.len());
        let Reading {
            format,
            separator,
            null,
            types,
        } = self;
        let table = match format {
            Format::Csv => {
                let file = CsvFile::open(bytes, *separator);
                let file = file.map_err(|mistake| LoadError::Mistakes(Mistakes::one(mistake)))?;
                let mut kinds = vec![CellType::Text; file.names.len()];
                for (column, kind) in types {
                    match file.names.position(column) {
                        Some(at) => kinds[at] = *kind,
                        None => return Err(LoadError::Columns(file.names)),
                    }
                }
                file.rows(&kinds, null, &progress)
            }
            Format::Json => json::read(bytes, &progress),
            Format::JsonLines => json::read_lines(bytes, &progress),
        };
        table.map_err(LoadError::Mistakes)
    }
}
