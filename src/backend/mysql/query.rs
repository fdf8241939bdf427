//! Asks one question on a connection and assigns the rows of its answer: to one lookup, or by a key to many.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_common::packets::Column;
use mysql_common::value::Value as Stored;
use tokio::time::Instant;

use super::client::Connection;
use super::error::Error;
use super::value::value;
use crate::backend::memory::Reading;
use crate::backend::rows::{RowList, Rows};
use crate::backend::{Held, LookupError, format::bad_answer};
use crate::coop::Breaks;
use crate::error::Code;
use crate::offload::{LARGE_BYTES, offload};
use crate::value::{FieldNames, Record, Value, uuid_text};

/// How many unwanted rows are read to keep the connection; with more of them, it is closed instead.
const UNWANTED_MAX: usize = 1000;

/// One statement with its values.
pub(super) struct BoundStatement {
    /// The lookup's number, under which a connection keeps the names of its columns.
    pub(super) statement: usize,
    pub(super) sql: Arc<str>,
    pub(super) params: Vec<Stored>,
    pub(super) rows: Rows,
    pub(super) sorting: Sorting,
    /// Until when a large answer may wait for memory. None: it does not wait, because lookups share it that may have less
    /// time.
    pub(super) waits_until: Option<Instant>,
}

impl BoundStatement {
    /// The longest that the message with its values can be.
    pub(super) fn bytes_most(&self) -> usize {
        // Besides the values themselves: a header, and for each value its type, its length and a bit for null.
        let overhead = 64 + self.params.len() * 16;
        self.params.iter().map(bytes_of).sum::<usize>() + overhead
    }
}

/// Which rows belong to which lookup.
pub(super) enum Sorting {
    /// All rows belong to the one lookup.
    None,
    /// A row belongs to the lookup whose key is in this column.
    ByKey {
        column: Arc<str>,
        keys: Vec<Key>,
        /// The statement that asks for a single key.
        alone: Arc<str>,
    },
}

/// A value in the form in which keys are compared: text and integers as text, bytes unchanged.
pub(super) type Key = Vec<u8>;

/// The key of `value`. `None` for a list or a row, which can't be one, and for null, which equals nothing.
pub(super) fn key(value: &Value) -> Option<Key> {
    match value {
        Value::Text(text) => Some(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::I64(number) => Some(number.to_string().into_bytes()),
        Value::Bool(bit) => Some(u8::from(*bit).to_string().into_bytes()),
        Value::Double(number) => Some(number.to_string().into_bytes()),
        Value::Uuid(uuid) => Some(uuid_text(uuid).into_bytes()),
        Value::Enum(of) => of.name().ok().map(|name| name.as_bytes().to_vec()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Record(_) => None,
    }
}

/// The answers to a question.
pub(super) struct Found {
    /// Those of the one lookup, or of each key.
    pub(super) rows: Vec<Result<RowList, LookupError>>,
    /// When the first row came.
    pub(super) first_answer: Option<Instant>,
    /// Keeps their memory counted.
    pub(super) held: Held,
}

/// The reply, and whether it was read to its end: if not, the connection can't be used again. Rows are counted in `memory`.
pub(super) async fn ask(
    connection: &mut Connection,
    question: &BoundStatement,
    (names, mut memory): (&mut HashMap<usize, FieldNames>, Reading),
) -> Result<(Found, bool), Error> {
    let answer = connection.execute(&question.sql, &question.params);
    let Some(mut answer) = answer.await? else {
        let refused = LookupError::new(Code::LookupRefused, "the statement returns no columns");
        return Ok((Found::of(question, &refused), true));
    };
    let columns = Arc::clone(answer.columns());
    let mut sorter = match Sorter::new(question, &columns, names) {
        Ok(sorter) => sorter,
        Err(err) => return Ok((Found::of(question, &err), false)),
    };
    let mut unwanted = 0;
    let (mut taken, mut breaks) = (0, Breaks::default());
    while let Some(row) = answer.next().await? {
        let bytes = row.iter().map(bytes_of).sum();
        breaks.after(bytes).await;
        if !sorter.is_full() {
            taken += bytes + size_of::<Value>() * (1 + columns.len());
            // Meanwhile nothing more is read from this connection, which only this question uses.
            let room = match question.waits_until {
                Some(until) => memory.wait(taken, until).await,
                None => memory.now(taken),
            };
            if let Err(no_room) = room {
                return Ok((Found::of(question, &no_room.into()), false));
            }
            sorter.add(&columns, row).await;
        } else if unwanted == UNWANTED_MAX {
            return Ok((sorter.reply(memory.held()), false));
        } else {
            unwanted += 1;
        }
    }
    Ok((sorter.reply(memory.held()), true))
}

/// How many bytes a value has besides those of its type.
fn bytes_of(stored: &Stored) -> usize {
    match stored {
        Stored::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

impl Found {
    /// The same error for all.
    fn of(question: &BoundStatement, err: &LookupError) -> Self {
        let rows = vec![Err(err.clone()); question.sorting.count()];
        Found {
            rows,
            first_answer: None,
            held: Held::default(),
        }
    }
}

impl Sorting {
    /// How many lookups are answered.
    pub(super) fn count(&self) -> usize {
        match self {
            Sorting::None => 1,
            Sorting::ByKey { keys, .. } => keys.len(),
        }
    }
}

/// Assigns rows to lookups as they come.
struct Sorter<'q> {
    rows: Rows,
    names: FieldNames,
    /// The key's column, and the place of each key.
    keys: Option<(usize, HashMap<&'q [u8], usize>)>,
    found: Vec<RowList>,
    /// Why a row of each could not be read.
    failed: Vec<Option<LookupError>>,
    first_answer: Option<Instant>,
}

impl<'q> Sorter<'q> {
    fn new(
        question: &'q BoundStatement,
        columns: &[Column],
        names: &mut HashMap<usize, FieldNames>,
    ) -> Result<Self, LookupError> {
        let names = names_of(columns, question, names)?;
        let keys = match &question.sorting {
            Sorting::None => None,
            Sorting::ByKey { column, keys, .. } => {
                let at = names.position(column).ok_or_else(|| {
                    bad_answer(format!(
                        "no column `{column}`, which is the `key` of `batch`"
                    ))
                })?;
                let places = keys.iter().enumerate().map(|(place, key)| (&**key, place));
                Some((at, places.collect()))
            }
        };
        Ok(Sorter {
            rows: question.rows,
            names,
            keys,
            found: vec![RowList::default(); question.sorting.count()],
            failed: vec![None; question.sorting.count()],
            first_answer: None,
        })
    }

    /// How many rows of one lookup are kept: one more than `rows_max` shows that there are too many.
    fn most(&self) -> usize {
        match self.rows {
            Rows::One | Rows::Value => 1,
            Rows::Many { rows_max } => rows_max.saturating_add(1),
        }
    }

    /// Whether further rows can no longer change the reply.
    fn is_full(&self) -> bool {
        self.keys.is_none() && self.has_all(0)
    }

    fn has_all(&self, place: usize) -> bool {
        self.found[place].len() >= self.most() || self.failed[place].is_some()
    }

    async fn add(&mut self, columns: &Arc<[Column]>, stored: Vec<Stored>) {
        self.first_answer.get_or_insert_with(Instant::now);
        let place = match &self.keys {
            None => Some(0),
            Some((at, places)) => {
                let own = value(&columns[*at], stored[*at].clone()).ok();
                own.and_then(|own| places.get(&key(&own)?[..]).copied())
            }
        };
        let Some(place) = place.filter(|place| !self.has_all(*place)) else {
            return;
        };
        let is_long = |stored: &Stored| bytes_of(stored) > LARGE_BYTES;
        let names = self.names.clone();
        let record = if stored.iter().any(is_long) {
            let columns = Arc::clone(columns);
            let done = offload(move || record(&columns, names, stored)).await;
            done.unwrap_or_else(|why| Err(why.into()))
        } else {
            record(columns, names, stored)
        };
        match record {
            Ok(record) => self.found[place].push(Value::Record(record)),
            Err(err) => self.failed[place] = Some(err),
        }
    }

    fn reply(self, held: Held) -> Found {
        let found = self.found.into_iter().zip(self.failed);
        Found {
            rows: found
                .map(|(found, failed)| failed.map_or(Ok(found), Err))
                .collect(),
            first_answer: self.first_answer,
            held,
        }
    }
}

fn record(
    columns: &[Column],
    names: FieldNames,
    stored: Vec<Stored>,
) -> Result<Record, LookupError> {
    let values = columns.iter().zip(stored);
    let values = values.map(|(column, stored)| value(column, stored));
    Ok(Record {
        values: values.collect::<Result<_, _>>()?,
        names,
    })
}

/// The names of the columns: those of the statement's last answer, unless its table has changed since.
fn names_of(
    columns: &[Column],
    question: &BoundStatement,
    known: &mut HashMap<usize, FieldNames>,
) -> Result<FieldNames, LookupError> {
    if let Some(names) = known.get(&question.statement)
        && names.len() == columns.len()
        && names
            .iter()
            .zip(columns)
            .all(|(name, column)| name.as_bytes() == column.name_ref())
    {
        return Ok(names.clone());
    }
    let names = FieldNames::new(columns.iter().map(|column| column.name_str().into_owned()));
    let mut places = names.iter().enumerate();
    let twice = places.find(|(at, name)| names[..*at].contains(name));
    if let Some((_, name)) = twice.filter(|_| question.rows != Rows::Value) {
        let why = format!("two columns are called `{name}`: name one of them with `as`");
        return Err(LookupError::new(Code::LookupRefused, why));
    }
    known.insert(question.statement, names.clone());
    Ok(names)
}
