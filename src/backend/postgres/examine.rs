//! Asks PostgreSQL about the statements: the types of parameters and columns, and which of them may be null.
//!
//! Statements are prepared and planned, which runs nothing; the catalogue is queried once for the columns' `not null`. That is known
//! only for columns of tables: the columns of views and computed columns may or may not be null.

use std::collections::HashMap;

use futures_util::future::join_all;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Column as Stored, Statement as Prepared};

use super::config::{Batch, Config, Lookup};
use super::decode::Decoder;
use super::failure::Failure;
use super::listening::try_to_hear;
use super::open::{Opened, open};
use super::{encode, explain, statement};
use crate::backend::examine::{Column, Examination, Finding, Param, Refusal, Statement};
use crate::backend::{Enums, Invalidate, LookupError, Planned};
use crate::coerce::ColumnValues;
use crate::diagnostic::list;
use crate::error::Code;
use crate::value::{FieldNames, Value};

/// How many characters of a statement are shown, starting from the mistake.
const EXCERPT_CHARS: usize = 30;

/// Whether a column may be null, by its table and its number there.
const NULLABLE: &str = "select a.attrelid, a.attnum, not (a.attnotnull or t.typnotnull) \
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid \
    where c.relkind in ('r', 'p') and a.attrelid = any($1)";

pub(super) async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
    let opened = open(&config.settings).await;
    let Opened {
        client,
        driver,
        is_pooled,
        ..
    } = match opened {
        Ok(opened) => opened,
        Err(err) => return Examination::failed(err, planned.len()),
    };
    let asked = tokio::select! {
        asked = ask(&client, planned) => asked,
        ended = driver => Err(match ended {
            Err(err) => Failure::from(&err).error,
            Ok(()) => LookupError::new(Code::LookupUnavailable, "the server closed the connection"),
        }),
    };
    let did = if is_pooled {
        "connected through a pooler"
    } else {
        "connected"
    };
    match asked {
        Ok(mut lookups) => {
            for (finding, planned) in lookups.iter_mut().zip(planned) {
                finding.refusals.extend(unheard(config, planned).await);
            }
            Examination::prepared(did, lookups)
        }
        Err(err) => Examination::failed(err, planned.len()),
    }
}

/// Why the changes of a lookup can't be heard, if it is to be kept until it changes.
async fn unheard(config: &Config, planned: &Planned<'_, Lookup>) -> Option<Refusal> {
    let Some(Invalidate::Channel { name, .. }) = planned.invalidate else {
        return None;
    };
    let err = try_to_hear(&config.settings, name).await.err()?;
    let help = "connect to the primary, without a pooler; or leave `invalidate` out, and choose a short `ttl`";
    Some(Refusal {
        key: "cache.invalidate".into(),
        code: Code::ConfigBadValue,
        message: format!(
            "changes can't be heard on the channel `{name}`: {}",
            err.detail
        ),
        help: Some(help.into()),
    })
}

async fn ask(
    client: &Client,
    planned: &[Planned<'_, Lookup>],
) -> Result<Vec<Finding>, LookupError> {
    let prepare = planned
        .iter()
        .map(|planned| client.prepare(&planned.lookup.sql));
    let prepared = join_all(prepare).await;
    let columns = prepared.iter().flatten().flat_map(Prepared::columns);
    let nullable = nullable(client, columns).await?;
    let mut findings = Vec::with_capacity(planned.len());
    for (planned, prepared) in planned.iter().zip(prepared) {
        let lookup = planned.lookup;
        findings.push(match prepared {
            Ok(prepared) => {
                let mut finding = finding(lookup, &prepared, &nullable);
                if finding.refusals.is_empty() {
                    finding
                        .refusals
                        .extend(explain::refusal(client, &lookup.sql).await?);
                }
                finding
            }
            Err(err) => match err.as_db_error() {
                Some(said) => refused(said, &lookup.sql),
                None => return Err(Failure::from(&err).error),
            },
        });
    }
    Ok(findings)
}

type Nullable = HashMap<(u32, i16), bool>;

async fn nullable(
    client: &Client,
    columns: impl Iterator<Item = &Stored>,
) -> Result<Nullable, LookupError> {
    let tables: Vec<u32> = columns.filter_map(Stored::table_oid).collect();
    let rows = client.query(NULLABLE, &[&tables]).await;
    let rows = rows.map_err(|err| Failure::from(&err).error)?;
    let pairs = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)));
    Ok(pairs.collect())
}

/// The server's message, and the position in the statement that it refers to.
fn refused(said: &DbError, sql: &str) -> Finding {
    let mut message = format!("PostgreSQL: {} ({})", said.message(), said.code().code());
    if let Some(ErrorPosition::Original(at)) = said.position() {
        let skipped = usize::try_from(at.saturating_sub(1)).unwrap_or_default();
        let excerpt: String = sql.chars().skip(skipped).take(EXCERPT_CHARS).collect();
        if !excerpt.is_empty() {
            message = format!("{message}, at character {at}: `{}`", excerpt.trim_end());
        }
    }
    Finding::refused(message, said.hint().map(ToOwned::to_owned))
}

fn finding(lookup: &Lookup, prepared: &Prepared, nullable: &Nullable) -> Finding {
    let mut refusals = Vec::new();
    let columns = prepared.columns().iter().map(|stored| {
        let decoder = statement::decoder(stored).map_err(|err| {
            refusals.push(Refusal {
                key: "sql".into(),
                code: Code::ConfigType,
                message: err.detail,
                help: None,
            });
        });
        let place = stored.table_oid().zip(stored.column_id());
        Column {
            name: stored.name().to_owned(),
            ty: stored.type_().to_string(),
            holds: decoder.map_or(ColumnValues::Anything, |decoder| holds(&decoder)),
            strict: true,
            nullable: place.and_then(|place| nullable.get(&place).copied()),
        }
    });
    let statement = Statement {
        columns: columns.collect(),
        params: Some(params(lookup, prepared)),
        rows: lookup.rows,
    };
    refusals.extend(statement.check());
    if let Some(batch) = &lookup.batch {
        refusals.extend(unbatched(batch, prepared, &statement));
    }
    Finding {
        refusals,
        statement: Some(statement),
    }
}

/// Why a statement does not batch.
fn unbatched(batch: &Batch, prepared: &Prepared, statement: &Statement) -> Option<Refusal> {
    let names = FieldNames::new(prepared.columns().iter().map(Stored::name));
    statement.check_key(&batch.key).or_else(|| {
        let err = statement::find_key(&batch.key, prepared, &names).err()?;
        Some(Refusal {
            key: "batch".into(),
            code: Code::ConfigType,
            message: err.detail,
            help: None,
        })
    })
}

/// The types of a lookup's parameters; for a batch, that of the array's elements.
fn params(lookup: &Lookup, prepared: &Prepared) -> Vec<Param> {
    let types = prepared.params().iter().map(|ty| match ty.kind() {
        Kind::Array(element) if lookup.batch.is_some() => element.clone(),
        _ => ty.clone(),
    });
    let enums = lookup.enums;
    let param = |ty: Type| Param {
        ty: Some(ty.to_string()),
        takes: Box::new(move |value| takes(value, &ty, enums)),
    };
    types.map(param).collect()
}

/// Whether a value can be bound, and an enum of the IDL is read as the lookup says.
fn takes(value: &Value, ty: &Type, enums: Enums) -> Result<(), String> {
    let base = match ty.kind() {
        Kind::Domain(base) => return takes(value, base, enums),
        Kind::Array(element) => match value {
            Value::List(items) => {
                return items
                    .iter()
                    .try_for_each(|item| takes(item, element, enums));
            }
            _ => ty,
        },
        _ => ty,
    };
    let text = encode::text(value, base).map_err(|_| String::new())?;
    match (value, base.kind()) {
        (Value::Enum(_) | Value::I64(_), Kind::Enum(labels)) => {
            let text = text.unwrap_or_default();
            let is_label = labels.contains(&text);
            let known = || list(labels.iter().map(String::as_str));
            is_label
                .then_some(())
                .ok_or_else(|| format!("`{text}` is not one of its labels: {}", known()))
        }
        (Value::Enum(_), _) if enums == Enums::Name && !encode::reads_names(base) => {
            Err("it takes the number, and `enums` says `\"name\"`".into())
        }
        _ => Ok(()),
    }
}

fn holds(decoder: &Decoder) -> ColumnValues {
    match decoder {
        Decoder::Bool => ColumnValues::Bool,
        Decoder::Int2 => ColumnValues::Integer(i16::MIN.into()..=i16::MAX.into()),
        Decoder::Int4 => ColumnValues::Integer(i32::MIN.into()..=i32::MAX.into()),
        Decoder::Int8 => ColumnValues::Integer(i64::MIN..=i64::MAX),
        Decoder::Oid => ColumnValues::Integer(0..=u32::MAX.into()),
        Decoder::Float4 | Decoder::Float8 => ColumnValues::Double,
        Decoder::Text | Decoder::Char => ColumnValues::Text,
        Decoder::Numeric
        | Decoder::Date
        | Decoder::Time
        | Decoder::TimeZoned
        | Decoder::Timestamp
        | Decoder::TimestampZoned
        | Decoder::Interval => ColumnValues::Figures,
        Decoder::Bytes => ColumnValues::Bytes,
        Decoder::Uuid => ColumnValues::Uuid,
        Decoder::Json | Decoder::Jsonb => ColumnValues::Json,
        Decoder::Array(of) => ColumnValues::List(holds(of).into()),
    }
}
