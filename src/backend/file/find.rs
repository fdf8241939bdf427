//! Finds rows of a table: by an index, by comparing every row, or all of them.
//!
//! Long work is done in stretches, between which the other tasks of the loop run.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::task::yield_now;

use super::index::Index;
use super::key::{equals, key};
use super::loaded::Loaded;
use super::table::{Row, Table};
use crate::backend::{LookupError, rows::Rows};
use crate::error::Code;
use crate::value::{FieldNames, Record, Value};

/// How many rows are compared or values made in one stretch: well below a millisecond.
const STRETCH: usize = 4096;

/// A compiled lookup with the table it asks.
#[derive(Debug)]
pub struct Find {
    loaded: Arc<Loaded>,
    terms: Vec<Term>,
    /// Rows by the terms' columns; without it, every row is compared.
    index: Option<Arc<Index>>,
    columns: Option<Columns>,
    rows: Rows,
}

/// One column and the value it has to hold.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) name: Arc<str>,
    pub(super) column: usize,
    pub(super) want: Want,
}

/// The value that a column has to hold.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// A parameter, by position.
    Param(usize),
    /// The same value in every call.
    Literal(Value),
}

/// A choice of columns, in the order of the answer.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) names: FieldNames,
    pub(super) positions: Vec<usize>,
}

impl Find {
    /// Compiles a lookup. With `indexed`, this also indexes the rows by the terms' columns.
    pub(super) fn new(
        loaded: &Arc<Loaded>,
        terms: Vec<Term>,
        indexed: bool,
        columns: Option<Columns>,
        rows: Rows,
    ) -> Self {
        let by: Vec<usize> = terms.iter().map(|term| term.column).collect();
        Find {
            index: indexed.then(|| loaded.index(&by)),
            loaded: Arc::clone(loaded),
            terms,
            columns,
            rows,
        }
    }

    /// The same lookup in another table, which may lack a column.
    pub(super) fn of(&self, loaded: &Arc<Loaded>) -> Result<Find, String> {
        let table = &loaded.table;
        let column = |name: &Arc<str>| match table.names.position(name) {
            Some(at) => Ok(at),
            None if table.has_any_column() => Ok(0),
            None => Err(format!("a lookup uses the column `{name}`, which it lacks")),
        };
        let mut terms = self.terms.clone();
        for term in &mut terms {
            term.column = column(&term.name)?;
        }
        let mut columns = self.columns.clone();
        if let Some(Columns { names, positions }) = &mut columns {
            *positions = names.iter().map(column).collect::<Result<_, String>>()?;
        }
        if self.rows == Rows::Value && columns.is_none() && table.names.len() > 1 {
            return Err("a lookup answers with its only column, and there are several".into());
        }
        let indexed = self.index.is_some();
        Ok(Find::new(loaded, terms, indexed, columns, self.rows))
    }

    /// The rows that match the terms, shaped.
    pub(super) async fn answer(&self, params: &[Value]) -> Result<Value, LookupError> {
        let mut shaping = self.rows.start();
        if !self.can_match(params)? {
            return Ok(shaping.value());
        }
        if let Some(index) = &self.index {
            let mut next = index.first(self.table(), || self.keys(params));
            let mut work = 0;
            while let Some(number) = next {
                let record = self.record(self.table().row(number));
                work += record.values.len();
                if !shaping.push(record)? {
                    break;
                }
                rest(&mut work).await;
                next = index.after(number);
            }
            return Ok(shaping.value());
        }
        let keys: Vec<_> = self.keys(params).collect();
        let (mut scratch, mut work) = (Vec::new(), 0);
        for row in self.table().rows() {
            work += 1;
            if self.fits(row, &keys, &mut scratch) {
                let record = self.record(row);
                work += record.values.len();
                if !shaping.push(record)? {
                    break;
                }
            }
            rest(&mut work).await;
        }
        Ok(shaping.value())
    }

    fn table(&self) -> &Table {
        &self.loaded.table
    }

    fn fits(&self, row: Row<'_>, keys: &[Cow<'_, [u8]>], scratch: &mut Vec<u8>) -> bool {
        let mut terms = self.terms.iter().zip(keys);
        terms.all(|(term, key)| equals(row, term.column, key, scratch))
    }

    /// The value that a term's column has to hold.
    fn wanted<'k>(term: &'k Term, params: &'k [Value]) -> &'k Value {
        match &term.want {
            Want::Literal(value) => value,
            Want::Param(at) => params.get(*at).unwrap_or(&Value::Null),
        }
    }

    /// The keys to compare the terms' columns with.
    fn keys<'k>(&'k self, params: &'k [Value]) -> impl Iterator<Item = Cow<'k, [u8]>> {
        let terms = self.terms.iter();
        terms.filter_map(|term| key(Self::wanted(term, params)))
    }

    /// Whether any row can match: no column equals null. Of other values without a key, a lookup is not to be asked.
    fn can_match(&self, params: &[Value]) -> Result<bool, LookupError> {
        for term in &self.terms {
            let value = Self::wanted(term, params);
            if value.is_null() {
                return Ok(false);
            }
            if !matches!(value, Value::Text(_)) && key(value).is_none() {
                let detail = format!("column `{}` can't equal {}", term.name, value.kind());
                return Err(LookupError::new(Code::LookupBadParam, detail));
            }
        }
        Ok(true)
    }

    fn record(&self, row: Row<'_>) -> Record {
        match &self.columns {
            None => Record {
                names: self.table().names.clone(),
                values: row.values(self.table().names.len()),
            },
            Some(columns) => Record {
                names: columns.names.clone(),
                values: columns.positions.iter().map(|at| row.value(*at)).collect(),
            },
        }
    }
}

/// Lets the loop's other tasks run after a stretch of work.
#[inline]
async fn rest(work: &mut usize) {
    if *work >= STRETCH {
        *work = 0;
        yield_now().await;
    }
}
