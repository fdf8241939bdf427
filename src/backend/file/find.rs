//! Finds rows of a table: by an index, by comparing every row, or all of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::table::{Table, equals, write_key};
use crate::backend::{LookupError, rows::Rows};
use crate::error::Code;
use crate::value::{FieldNames, Record, Value};

/// A compiled lookup with the table it asks.
#[derive(Debug)]
pub struct Find {
    table: Arc<Table>,
    terms: Vec<Term>,
    /// Rows by the joined keys of the terms' columns; without it, every row is compared.
    index: Option<HashMap<Box<[u8]>, Vec<usize>>>,
    columns: Option<Columns>,
    rows: Rows,
}

/// One column and the value it has to hold.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) column: usize,
    pub(super) want: Want,
}

/// The value that a column has to hold.
#[derive(Debug)]
pub(super) enum Want {
    /// A parameter, by position.
    Param(usize),
    /// The same value in every call.
    Literal(Value),
}

/// A choice of columns, in the order of the answer.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) names: FieldNames,
    pub(super) positions: Vec<usize>,
}

impl Find {
    /// Compiles a lookup. With `indexed`, this also indexes the rows by the terms' columns.
    pub(super) fn new(
        table: &Arc<Table>,
        terms: Vec<Term>,
        indexed: bool,
        columns: Option<Columns>,
        rows: Rows,
    ) -> Self {
        Find {
            table: Arc::clone(table),
            index: indexed.then(|| index(table, &terms)),
            terms,
            columns,
            rows,
        }
    }

    /// The rows that match the terms, shaped.
    pub(super) fn answer(&self, params: &[Value]) -> Result<Value, LookupError> {
        let Some(keys) = self.keys(params)? else {
            return self.rows.shape(std::iter::empty());
        };
        let rows = &self.table.rows;
        if let Some(index) = &self.index {
            let found = index.get(&*join(keys.iter().map(Vec::as_slice)));
            let found = found.into_iter().flatten();
            return self.rows.shape(found.map(|at| Ok(self.record(&rows[*at]))));
        }
        let mut scratch = Vec::new();
        let mut fits = |row: &&Vec<Value>| {
            let mut terms = self.terms.iter().zip(&keys);
            terms.all(|(term, key)| equals(&row[term.column], key, &mut scratch))
        };
        let found = rows.iter().filter(|row| fits(row));
        self.rows.shape(found.map(|row| Ok(self.record(row))))
    }

    /// The keys to compare the terms' columns with; `None` if one of them is null, which equals nothing.
    fn keys(&self, params: &[Value]) -> Result<Option<Vec<Vec<u8>>>, LookupError> {
        let mut keys = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let value = match &term.want {
                Want::Literal(value) => value,
                Want::Param(at) => params.get(*at).unwrap_or(&Value::Null),
            };
            let mut key = Vec::new();
            if !write_key(value, &mut key) {
                if value.is_null() {
                    return Ok(None);
                }
                let column = self.table.names.get(term.column);
                let column = column.map_or(String::new(), |name| format!(" `{name}`"));
                let detail = format!("column{column} can't equal {}", value.kind());
                return Err(LookupError::new(Code::LookupBadParam, detail));
            }
            keys.push(key);
        }
        Ok(Some(keys))
    }

    fn record(&self, row: &[Value]) -> Record {
        match &self.columns {
            None => Record {
                names: self.table.names.clone(),
                values: row.to_vec(),
            },
            Some(columns) => Record {
                names: columns.names.clone(),
                values: columns
                    .positions
                    .iter()
                    .map(|at| row[*at].clone())
                    .collect(),
            },
        }
    }
}

fn index(table: &Table, terms: &[Term]) -> HashMap<Box<[u8]>, Vec<usize>> {
    let mut index: HashMap<Box<[u8]>, Vec<usize>> = HashMap::with_capacity(table.rows.len());
    let mut cells = vec![Vec::new(); terms.len()];
    for (at, row) in table.rows.iter().enumerate() {
        let whole = terms.iter().zip(&mut cells).all(|(term, cell)| {
            cell.clear();
            write_key(&row[term.column], cell)
        });
        if whole {
            let key = join(cells.iter().map(Vec::as_slice));
            index.entry(key.into()).or_default().push(at);
        }
    }
    index
}

/// Joins several keys into one. Each but the last is preceded by its length, so that different keys never join to the same.
fn join<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Vec<u8> {
    let last = keys.len().saturating_sub(1);
    let mut joined = Vec::new();
    for (at, key) in keys.enumerate() {
        if at < last {
            joined.extend_from_slice(&key.len().to_le_bytes());
        }
        joined.extend_from_slice(key);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_keys_do_not_run_into_each_other() {
        let pairs: [[&[u8]; 2]; 3] = [[b"ab", b"c"], [b"a", b"bc"], [b"", b"abc"]];
        let joined: Vec<_> = pairs
            .iter()
            .map(|pair| join(pair.iter().copied()))
            .collect();
        assert!(joined[0] != joined[1] && joined[1] != joined[2]);
    }
}
