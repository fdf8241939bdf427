//! One statement, prepared on one connection: encodes its parameters and decodes its columns.

use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Column, Row, Statement};

use super::batch_key;
use super::decode::{Cell, Decoder};
use super::encode::{self, Param};
use super::failure::{Failure, Recovery};
use crate::backend::lookup::{are_large, owned};
use crate::backend::memory::Reading;
use crate::backend::rows::{RowList, Rows};
use crate::backend::{Answer, Held, LookupError, format::bad_answer};
use crate::coop::Breaks;
use crate::error::Code;
use crate::offload::{LARGE_BYTES, offload};
use crate::value::{FieldNames, Record, Value};

/// A prepared statement and its types.
pub(super) struct Prepared {
    statement: Statement,
    columns: Arc<Columns>,
    /// Only for a statement that batches.
    pub(super) key: Option<Key>,
}

/// The columns of a statement.
struct Columns {
    names: FieldNames,
    decoders: Vec<Decoder>,
}

/// The key of a batch.
pub(super) struct Key {
    /// The type of one key.
    pub(super) element: Type,
    /// The column that holds it.
    pub(super) column: usize,
}

/// The rows of one answer.
#[derive(Clone, Default)]
pub(super) struct QueryRows {
    /// Not more than `rows_read`.
    pub(super) rows: RowList,
    /// When the first row came.
    pub(super) first: Option<Instant>,
    /// Keeps their memory counted.
    pub(super) held: Held,
}

impl QueryRows {
    /// The answer that the rows make.
    pub(super) fn answer(self, rows: Rows) -> Result<Answer, LookupError> {
        Ok(Answer {
            first_answer: self.first,
            ..self.rows.answer(rows)?.holding(self.held)
        })
    }
}

impl Prepared {
    /// Prepares `sql`; `key` is the column of a batch.
    pub(super) async fn new(
        client: &Client,
        sql: &str,
        rows: Rows,
        key: Option<&str>,
    ) -> Result<Self, Failure> {
        let statement = client.prepare(sql).await.map_err(|err| {
            let failure = Failure::from(&err);
            // It was only just prepared, so preparing it again would not help.
            let recovery = match failure.recovery {
                Recovery::Prepare => Recovery::None,
                other => other,
            };
            Failure {
                recovery,
                ..failure
            }
        })?;
        let columns = statement.columns();
        check_names(columns, rows)?;
        let names = FieldNames::new(columns.iter().map(Column::name));
        let decoders = columns.iter().map(decoder).collect::<Result<_, _>>()?;
        let key = key
            .map(|key| find_key(key, &statement, &names))
            .transpose()?;
        Ok(Prepared {
            statement,
            columns: Arc::new(Columns { names, decoders }),
            key,
        })
    }

    /// The parameters, encoded by the statement's types.
    pub(super) async fn encode(&self, values: &[Value]) -> Result<Vec<Param>, LookupError> {
        if !are_large(values) {
            return encode(&self.statement, values);
        }
        let (statement, values) = (self.statement.clone(), owned(values).await);
        offload(move || encode(&statement, &values)).await?
    }

    /// Asks, and reads at most `rows_read` rows, which are counted in `memory`. This waits for nothing but the loop's other
    /// tasks while rows arrive, because the whole connection would wait too.
    pub(super) async fn query(
        &self,
        client: &Client,
        params: Vec<Param>,
        (rows_read, mut memory): (usize, Reading),
    ) -> Result<QueryRows, Failure> {
        let failed = |err| Failure::from(&err);
        let rows = client.query_raw(&self.statement, params).await;
        let mut rows = pin!(rows.map_err(failed)?);
        let mut found = QueryRows::default();
        let (mut taken, mut breaks) = (0, Breaks::default());
        while found.rows.len() < rows_read
            && let Some(row) = rows.try_next().await.map_err(failed)?
        {
            found.first.get_or_insert_with(Instant::now);
            let bytes = row.raw_size_bytes();
            taken += bytes + size_of::<Value>() * (1 + self.columns.decoders.len());
            memory.now(taken).map_err(LookupError::from)?;
            found.rows.push(Value::Record(self.record(row).await?));
            if breaks.is_due_after(bytes) {
                yield_now().await;
            }
        }
        found.held = memory.held();
        Ok(found)
    }

    async fn record(&self, row: Row) -> Result<Record, LookupError> {
        if row.raw_size_bytes() <= LARGE_BYTES {
            return self.columns.record(&row);
        }
        let columns = Arc::clone(&self.columns);
        offload(move || columns.record(&row)).await?
    }
}

impl Columns {
    fn record(&self, row: &Row) -> Result<Record, LookupError> {
        // Not collected: that would move each value several times, and grow the list.
        let mut values = Vec::with_capacity(self.decoders.len());
        for (at, decoder) in self.decoders.iter().enumerate() {
            let cell = row.try_get::<_, Cell<'_>>(at);
            let Cell(bytes) = cell.map_err(|err| bad_answer(err.to_string()))?;
            values.push(match bytes {
                None => Value::Null,
                Some(bytes) => decoder.decode(bytes).map_err(|err| {
                    let column = &self.names[at];
                    bad_answer(format!("column `{column}`: {err}"))
                })?,
            });
        }
        Ok(Record {
            names: self.names.clone(),
            values,
        })
    }
}

fn encode(statement: &Statement, values: &[Value]) -> Result<Vec<Param>, LookupError> {
    let types = statement.params();
    if types.len() != values.len() {
        let detail = format!("the statement has {} parameters", types.len());
        return Err(LookupError::new(Code::LookupRefused, detail));
    }
    let encoded = values.iter().zip(types);
    encoded
        .map(|(value, ty)| encode::text(value, ty).map(Param))
        .collect()
}

fn check_names(columns: &[Column], rows: Rows) -> Result<(), LookupError> {
    let refuse = |why: String| Err(LookupError::new(Code::LookupRefused, why));
    if columns.is_empty() {
        return refuse("the statement returns no columns: a lookup is one `select`".into());
    }
    let mut names = columns.iter().map(Column::name).enumerate();
    let twice = names.find(|(at, name)| columns[..*at].iter().any(|have| have.name() == *name));
    match twice {
        Some((_, name)) if rows != Rows::Value => refuse(format!(
            "two columns are called `{name}`: name one of them with `as`"
        )),
        _ => Ok(()),
    }
}

pub(super) fn decoder(column: &Column) -> Result<Decoder, LookupError> {
    let (name, ty) = (column.name(), column.type_());
    Decoder::of(ty).ok_or_else(|| {
        bad_answer(format!(
            "column `{name}` has the type `{ty}`, which is not understood: select `{name}::text`"
        ))
    })
}

/// Checks that a statement can batch: a wrong match would give a lookup another one's rows, or none.
pub(super) fn find_key(
    key: &str,
    statement: &Statement,
    names: &FieldNames,
) -> Result<Key, LookupError> {
    let refuse = |why: String| LookupError::new(Code::LookupRefused, why);
    let Some(column) = names.position(key) else {
        return Err(refuse(format!("no column is called `{key}` (`batch.key`)")));
    };
    let of_param = statement.params().first().map(Type::kind);
    let Some(Kind::Array(element)) = of_param else {
        let why = "`batch` needs an array as the parameter, as in `= any(:keys)`";
        return Err(refuse(why.into()));
    };
    if !batch_key::is_exact(element) {
        let why =
            format!("`batch` works with integers, text, uuid and enums, not with `{element}`");
        return Err(refuse(why));
    }
    Ok(Key {
        element: element.clone(),
        column,
    })
}
