//! A CSV file as a table: the first line names the columns, cells are text unless a type says otherwise.
//!
//! Nothing is guessed: a cell that does not parse as its column's type is an error with its line, and so are rows of
//! another length and text that is not UTF-8.

use std::ops::Range;

use csv::{ByteRecord, ReaderBuilder};

use super::mistakes::{Mistakes, Wrong};
use super::pieces::{PIECE_BYTES, Progress, read_pieces};
use super::table::{Packed, Table};
use super::{cell, csv_quotes};
use crate::value::{FieldNames, Value, parse_double};

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

    /// Appends the cell that is spelt `text`; false if it is not of this type.
    fn write(self, text: &str, out: &mut Vec<u8>) -> bool {
        let value = match self {
            CellType::Text => {
                cell::write_text(text.as_bytes(), out);
                return true;
            }
            CellType::Double => {
                let number = parse_double(text);
                number.inspect(|number| cell::write_double(*number, text, out));
                return number.is_some();
            }
            CellType::I64 => text.parse().ok().map(Value::I64),
            CellType::Bool => match text {
                "1" => Some(Value::Bool(true)),
                "0" => Some(Value::Bool(false)),
                word if word.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
                word if word.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
                _ => None,
            },
        };
        value.inspect(|value| cell::write(value, out)).is_some()
    }
}

/// A CSV file whose first line has been read.
pub(super) struct CsvFile<'b> {
    bytes: &'b [u8],
    separator: u8,
    /// What follows the first line, in pieces.
    pieces: Vec<Range<usize>>,
    /// The columns.
    pub(super) names: FieldNames,
}

/// What one piece of a file holds.
struct Piece {
    rows: Packed,
    wrong: Wrong,
    /// It has a row of another length, after which nothing is read.
    is_last: bool,
}

impl<'b> CsvFile<'b> {
    /// Reads the first line.
    pub(super) fn open(bytes: &'b [u8], separator: u8) -> Result<Self, String> {
        Self::in_pieces(bytes, separator, PIECE_BYTES)
    }

    /// Reads the first line, and the rest later in pieces of at least this size.
    pub(super) fn in_pieces(
        bytes: &'b [u8],
        separator: u8,
        piece_bytes: usize,
    ) -> Result<Self, String> {
        let pieces = csv_quotes::cut(bytes, separator, piece_bytes)?;
        let mut reader = ReaderBuilder::new().delimiter(separator).from_reader(bytes);
        let header = reader.headers().map_err(|err| header_mistake(&err))?;
        let names = names(header, separator)?;
        let begin = usize::try_from(reader.position().byte()).unwrap_or(bytes.len());
        let pieces = pieces.into_iter().filter(|piece| piece.end > begin);
        let pieces = pieces.map(|piece| piece.start.max(begin)..piece.end);
        Ok(CsvFile {
            bytes,
            separator,
            pieces: pieces.collect(),
            names,
        })
    }

    /// Reads the rows, with one kind per column. A cell that equals `null` is null, whatever the kind of its column.
    pub(super) fn rows(
        self,
        kinds: &[CellType],
        null: &str,
        progress: &Progress<'_>,
    ) -> Result<Table, Mistakes> {
        let mut wrong = Wrong::default();
        let mut rows = Vec::new();
        for piece in read_pieces(&self.pieces, progress, |piece| {
            self.piece(piece, kinds, null)
        }) {
            wrong.add(piece.wrong);
            rows.push(piece.rows);
            if piece.is_last {
                break;
            }
        }
        if wrong.first.is_empty() {
            Table::new(self.names, rows).map_err(Mistakes::one)
        } else {
            Err(wrong.with_lines(self.bytes))
        }
    }

    fn piece(&self, piece: Range<usize>, kinds: &[CellType], null: &str) -> Piece {
        let mut read = Piece {
            rows: Packed::new(self.bytes.len()),
            wrong: Wrong::default(),
            is_last: false,
        };
        let begin = piece.start;
        let piece = &self.bytes[piece];
        let is_text = std::str::from_utf8(piece).is_ok();
        let mut reader = ReaderBuilder::new()
            .delimiter(self.separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(piece);
        let mut record = ByteRecord::new();
        // Reading bytes of a slice can't fail.
        while let Ok(true) = reader.read_byte_record(&mut record) {
            let at = record.position().map_or(0, csv::Position::byte);
            let at = begin + usize::try_from(at).unwrap_or_default();
            if record.len() != kinds.len() {
                let what = format!(
                    "{} cells where there are {} columns",
                    record.len(),
                    kinds.len()
                );
                read.wrong.push(at, || what);
                read.is_last = true;
                break;
            }
            for (column, (bytes, kind)) in record.iter().zip(kinds).enumerate() {
                if bytes == null.as_bytes() {
                    read.rows.null();
                } else if *kind == CellType::Text && is_text {
                    cell::write_text(bytes, read.rows.cell());
                } else if let Err(what) = write_cell(bytes, *kind, read.rows.cell()) {
                    read.wrong
                        .push(at, || format!("column `{}`: {what}", self.names[column]));
                }
            }
            if let Err(what) = read.rows.end_row() {
                read.wrong.push(at, || what);
            }
        }
        read
    }
}

/// The names of the columns, which the first line has.
fn names(header: &csv::StringRecord, separator: u8) -> Result<FieldNames, String> {
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
    Ok(FieldNames::new(names))
}

fn write_cell(cell: &[u8], kind: CellType, out: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(cell).map_err(|_| "not UTF-8".to_owned())?;
    if kind.write(text, out) {
        Ok(())
    } else {
        Err(format!("`{text}` is not of type `{}`", kind.as_str()))
    }
}

fn header_mistake(err: &csv::Error) -> String {
    let line = err.position().map_or(1, csv::Position::line);
    let what = match err.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => err.to_string(),
    };
    format!("line {line}: {what}")
}
