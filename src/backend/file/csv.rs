//! A CSV file as a table: the first line names the columns, cells are text unless a type says otherwise.
//!
//! The texts of one row share one buffer. Nothing is guessed: a cell that does not parse as its column's type
//! is an error with its line, and so are rows of another length and text that is not UTF-8.

use bytes::Bytes;
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::table::Table;
use crate::value::{FieldNames, Text, Value, parse_double};

/// The type of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellType {
    Text,
    I64,
    Double,
    Bool,
}

impl CellType {
    pub(super) const ALL: [CellType; 4] = [
        CellType::Text,
        CellType::I64,
        CellType::Double,
        CellType::Bool,
    ];

    /// The word in the configuration.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            CellType::Text => "text",
            CellType::I64 => "i64",
            CellType::Double => "double",
            CellType::Bool => "bool",
        }
    }

    /// The kind called `word`.
    pub(super) fn parse(word: &str) -> Option<CellType> {
        CellType::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    fn value(self, text: Text) -> Option<Value> {
        match self {
            CellType::Text => Some(Value::Text(text)),
            CellType::I64 => text.as_str().parse().ok().map(Value::I64),
            CellType::Double => parse_double(text.as_str()).map(Value::Double),
            CellType::Bool => match text.as_str() {
                "1" => Some(Value::Bool(true)),
                "0" => Some(Value::Bool(false)),
                word if word.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
                word if word.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
                _ => None,
            },
        }
    }
}

/// A CSV file whose first line has been read.
pub(super) struct CsvFile<'b> {
    reader: Reader<&'b [u8]>,
    /// The columns.
    pub(super) names: FieldNames,
}

impl<'b> CsvFile<'b> {
    /// Reads the first line.
    pub(super) fn open(bytes: &'b [u8], separator: u8) -> Result<Self, String> {
        super::csv_quotes::check(bytes, separator)?;
        let mut reader = ReaderBuilder::new().delimiter(separator).from_reader(bytes);
        let header = reader.headers().map_err(|err| mistake(&err))?;
        let names: Vec<&str> = header.iter().collect();
        if names.is_empty() {
            return Err("line 1: the column names are missing".into());
        }
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(format!("line 1: column {} has no name", at + 1));
            }
            if names[..at].contains(name) {
                return Err(format!("line 1: two columns are called `{name}`"));
            }
        }
        if let [name] = names[..]
            && let Some(other) = name.chars().find(|c| matches!(c, ',' | ';' | '\t' | '|'))
        {
            return Err(format!(
                "line 1: the only column is called `{}`: cells are separated by `{}` here; for `{other}`, set `separator = \"{other}\"`",
                name.escape_debug(),
                char::from(separator).escape_debug(),
                other = other.escape_debug()
            ));
        }
        let names = FieldNames::new(names);
        Ok(CsvFile { reader, names })
    }

    /// Reads the rows, with one kind per column. A cell that equals `null` is null, whatever the kind of its column.
    pub(super) fn rows(mut self, kinds: &[CellType], null: &str) -> Result<Table, Vec<String>> {
        let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
        let mut record = ByteRecord::new();
        loop {
            match self.reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(err) => {
                    mistakes.push(mistake(&err));
                    break;
                }
            }
            let line = record.position().map_or(0, csv::Position::line);
            let shared = Bytes::copy_from_slice(record.as_slice());
            let mut row = Vec::with_capacity(kinds.len());
            for (column, kind) in kinds.iter().enumerate() {
                let cell = shared.slice(record.range(column).unwrap_or_default());
                match read_cell(cell, *kind, null) {
                    Ok(value) => row.push(value),
                    Err(what) => {
                        let name = &self.names[column];
                        mistakes.push(format!("line {line}: column `{name}`: {what}"));
                    }
                }
            }
            rows.push(row);
        }
        if mistakes.is_empty() {
            let names = self.names;
            Ok(Table { names, rows })
        } else {
            Err(mistakes)
        }
    }
}

fn read_cell(cell: Bytes, kind: CellType, null: &str) -> Result<Value, String> {
    if cell == null.as_bytes() {
        return Ok(Value::Null);
    }
    let text = Text::from_utf8(cell).map_err(|_| "not UTF-8".to_owned())?;
    kind.value(text.clone())
        .ok_or_else(|| format!("`{}` is not of type `{}`", text.as_str(), kind.as_str()))
}

fn mistake(err: &csv::Error) -> String {
    let line = err.position().map_or(1, csv::Position::line);
    let what = match err.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} cells where there are {expected_len} columns"),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => err.to_string(),
    };
    format!("line {line}: {what}")
}
