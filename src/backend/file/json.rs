//! A JSON file as a table: an array of objects, an object of objects whose names become the column `key`, or one object
//! per line.
//!
//! An empty array is a table without rows that has any column. The columns are the field names of all objects, in order of
//! first appearance; fields that an object lacks are null. Nested arrays and objects stay lists and maps. Each object is
//! read by itself; only a file with a mistake is read from its beginning, to say what and where it is.

use std::ops::Range;

use super::index::Index;
use super::json_columns::{Columns, KEY};
use super::json_elements::{Body, cut, elements, name_and_value};
use super::json_mistake;
use super::mistakes::Mistakes;
use super::pieces::{PIECE_BYTES, Progress, read_pieces};
use super::table::{Packed, Table};
use crate::value::{FieldNames, Value};

/// How a piece of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Array,
    Object,
    Lines,
}

/// The rows of one piece and the columns that it knows.
struct Piece {
    columns: Columns,
    rows: Packed,
}

/// There is a mistake in the file.
#[derive(Debug)]
struct Bad;

/// Reads the whole file.
pub(super) fn read(bytes: &[u8], progress: &Progress<'_>) -> Result<Table, Mistakes> {
    read_in(bytes, progress, PIECE_BYTES)
}

/// Reads the whole file in pieces of at least `piece_bytes`.
pub(super) fn read_in(
    bytes: &[u8],
    progress: &Progress<'_>,
    piece_bytes: usize,
) -> Result<Table, Mistakes> {
    let read = |Body { is_object, pieces }| {
        let layout = if is_object {
            Layout::Object
        } else {
            Layout::Array
        };
        let table = File { bytes, layout }.table(&pieces, progress);
        let is_final = |table: &Table| !is_object || !Index::new(table, &[0]).has_repeats();
        match table {
            Ok(table) if is_final(&table) => Ok(table),
            Err(Bad) if !is_object || !json_mistake::is_json(bytes) => Err(Bad),
            // Of equal names the last one counts, whatever the others are; such a file is too rare for a quick way.
            _ => repeated(bytes),
        }
    };
    let table = cut(bytes, piece_bytes).ok_or(Bad).and_then(read);
    finish(table, || json_mistake::find(bytes))
}

/// Reads a file with one object per line. Lines of blanks only are passed over.
pub(super) fn read_lines(bytes: &[u8], progress: &Progress<'_>) -> Result<Table, Mistakes> {
    read_lines_in(bytes, progress, PIECE_BYTES)
}

/// Reads the lines in pieces of at least `piece_bytes`.
pub(super) fn read_lines_in(
    bytes: &[u8],
    progress: &Progress<'_>,
    piece_bytes: usize,
) -> Result<Table, Mistakes> {
    let begin = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let (mut pieces, mut begin) = (Vec::new(), begin);
    while begin < bytes.len() {
        let least = begin.saturating_add(piece_bytes.max(1)) - 1;
        let more = bytes.get(least..).unwrap_or_default();
        let end = more.iter().position(|byte| *byte == b'\n');
        let end = end.map_or(bytes.len(), |at| least + at + 1);
        pieces.push(begin..end);
        begin = end;
    }
    let layout = Layout::Lines;
    let table = File { bytes, layout }.table(&pieces, progress);
    finish(table, || json_mistake::find_in_lines(bytes))
}

/// Without any row, nothing is known of the columns: every lookup finds nothing.
fn finish(table: Result<Table, Bad>, mistake: impl FnOnce() -> String) -> Result<Table, Mistakes> {
    match table {
        Ok(table) if table.names.is_empty() && !table.is_empty() => Err(Mistakes::one(
            "line 1: there are no columns: no object has a field",
        )),
        Ok(table) => Ok(table),
        Err(Bad) => Err(Mistakes::one(mistake())),
    }
}

struct File<'b> {
    bytes: &'b [u8],
    layout: Layout,
}

impl File<'_> {
    fn table(&self, pieces: &[Range<usize>], progress: &Progress<'_>) -> Result<Table, Bad> {
        let mut columns = Columns::default();
        if self.layout == Layout::Object {
            columns.position(KEY, 0);
        }
        // Nearly always the first piece has all columns, and the others find them known.
        let (first, others) = pieces.split_at(pieces.len().min(1));
        let mut read = Vec::new();
        for some in [first, others] {
            let known = &columns;
            let some = read_pieces(some, progress, |piece| self.piece(piece, known.clone()));
            let some = some.into_iter().collect::<Result<Vec<_>, Bad>>()?;
            for piece in &some {
                columns.add_all(&piece.columns);
            }
            read.extend(some);
        }
        let mut rows = Vec::with_capacity(read.len());
        for (piece, range) in read.into_iter().zip(pieces) {
            // A piece that met new columns in another order than the file is read once more.
            let is_right = columns.begin_with(&piece.columns);
            let piece = if is_right {
                piece
            } else {
                self.piece(range.clone(), columns.clone())?
            };
            rows.push(piece.rows);
        }
        Table::new(FieldNames::new(columns.into_names()), rows).map_err(|_| Bad)
    }

    fn piece(&self, range: Range<usize>, columns: Columns) -> Result<Piece, Bad> {
        let rows = Packed::new(self.bytes.len());
        let mut piece = Piece { columns, rows };
        let text = &self.bytes[range];
        match self.layout {
            Layout::Array => {
                elements(text).try_for_each(|element| piece.add_object(element, None))?;
            }
            Layout::Object => elements(text).try_for_each(|element| {
                let (name, value) = name_and_value(element).ok_or(Bad)?;
                let name = Value::from_json(name).map_err(|_| Bad)?;
                piece.add_object(value, Some(name))
            })?,
            Layout::Lines => {
                for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
                    if !line.is_empty() {
                        piece.add(line, None)?;
                    }
                }
            }
        }
        Ok(piece)
    }
}

impl Piece {
    fn add_object(&mut self, text: &[u8], key: Option<Value>) -> Result<(), Bad> {
        // Anything else is a mistake, among which a byte order mark.
        if text.first() == Some(&b'{') {
            self.add(text, key)
        } else {
            Err(Bad)
        }
    }

    fn add(&mut self, text: &[u8], key: Option<Value>) -> Result<(), Bad> {
        let Ok(Value::Map(fields)) = Value::from_json(text) else {
            return Err(Bad);
        };
        self.columns.pack(fields, key, &mut self.rows).ok_or(Bad)
    }
}

/// Reads an object in which names are repeated.
fn repeated(bytes: &[u8]) -> Result<Table, Bad> {
    let Ok(Value::Map(pairs)) = Value::from_json(bytes) else {
        return Err(Bad);
    };
    let mut columns = Columns::default();
    columns.position(KEY, 0);
    let mut rows = Packed::new(bytes.len());
    for (name, value) in pairs {
        let Value::Map(fields) = value else {
            return Err(Bad);
        };
        columns.pack(fields, Some(name), &mut rows).ok_or(Bad)?;
    }
    Table::new(FieldNames::new(columns.into_names()), [rows]).map_err(|_| Bad)
}
