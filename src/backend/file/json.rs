//! A JSON file as a table: an array of objects, an object of objects whose names become the column `key`, or one object
//! per line.
//!
//! An empty array is a table without rows that has any column. The columns are the field names of all objects, in order of
//! first appearance; fields that an object lacks are null. Nested arrays and objects stay lists and maps.

use std::collections::HashMap;

use super::table::Table;
use crate::value::{FieldNames, Value};

/// The column that holds an outer object's names.
const KEY: &str = "key";

/// Reads the whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Table, String> {
    let json = Value::from_json(bytes)
        .map_err(|err| format!("line {}: it is not valid JSON: {err}", err.line()))?;
    let mut columns = Columns::default();
    match json {
        Value::List(items) => {
            for (at, item) in items.into_iter().enumerate() {
                let what = || format!("element {}", at + 1);
                columns.add(item, None, &what)?;
            }
        }
        Value::Map(pairs) => {
            columns.position(KEY);
            for (key, item) in pairs {
                let key = key.as_str().unwrap_or_default();
                let what = || format!("element `{key}`");
                columns.add(item, Some(key), &what)?;
            }
        }
        _ => return Err("line 1: expected an array of objects, or an object of objects".into()),
    }
    columns.table()
}

/// Reads a file with one object per line. Lines of blanks only are passed over.
pub(super) fn read_lines(bytes: &[u8]) -> Result<Table, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut columns = Columns::default();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let what = || format!("line {}: it", at + 1);
        let item = Value::from_json(line)
            .map_err(|err| format!("line {}: it is not valid JSON: {err}", at + 1))?;
        columns.add(item, None, &what)?;
    }
    columns.table()
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    rows: Vec<Vec<Value>>,
}

impl Columns {
    fn position(&mut self, name: &str) -> usize {
        if let Some(at) = self.positions.get(name) {
            return *at;
        }
        let at = self.names.len();
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), at);
        at
    }

    fn add(
        &mut self,
        item: Value,
        key: Option<&str>,
        what: &dyn Fn() -> String,
    ) -> Result<(), String> {
        if key.is_some() && item.get(KEY).is_some() {
            let what = what();
            return Err(format!(
                "{what} has a field `{KEY}`, which is what the outer names are called"
            ));
        }
        let Value::Map(fields) = item else {
            return Err(format!("{} is not an object", what()));
        };
        let mut row = vec![Value::Null; self.names.len()];
        if let Some(key) = key {
            row[0] = Value::from(key);
        }
        for (name, value) in fields {
            let at = self.position(name.as_str().unwrap_or_default());
            if at >= row.len() {
                row.resize(at + 1, Value::Null);
            }
            row[at] = value;
        }
        self.rows.push(row);
        Ok(())
    }

    fn table(mut self) -> Result<Table, String> {
        // Without any row, nothing is known of the columns: every lookup finds nothing.
        if self.names.is_empty() && !self.rows.is_empty() {
            return Err("line 1: there are no columns: no object has a field".into());
        }
        // Rows from before a column first appeared are shorter.
        for row in &mut self.rows {
            row.resize(self.names.len(), Value::Null);
        }
        Ok(Table {
            names: FieldNames::new(self.names),
            rows: self.rows,
        })
    }
}
