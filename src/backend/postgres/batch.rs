//! Answers several lookups with one array of keys: `where code = any(:codes)`.
//!
//! Each lookup contributes one key. The different keys are sent as one array, and each row is assigned to its lookup by
//! the column `batch.key`, not by its position. If one key makes the whole question fail (text that the server can't
//! read, too many rows), each key is asked for alone, so that the bad key affects only its own lookup.

use futures_util::future::join_all;
use tokio::task::yield_now;

use super::batch_key::{self, BatchKey};
use super::config::Lookup;
use super::encode::Param;
use super::pool::Pool;
use super::statement::{Key, QueryRows};
use crate::backend::net::Distinct;
use crate::backend::rows::{RowList, Rows};
use crate::backend::{Answers, BatchedAsk, LookupError};
use crate::coop::Breaks;
use crate::error::Code;
use crate::value::Value;

/// Some of the different keys of a batch, which are asked together.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    all: &'a Distinct<BatchKey>,
    /// The number of the first key.
    first: usize,
    keys: &'a [BatchKey],
}

impl Chunk<'_> {
    /// Its parts of at most `max` keys.
    fn parts(self, max: usize) -> impl Iterator<Item = Self> {
        let parts = self.keys.chunks(max).enumerate();
        parts.map(move |(at, keys)| Chunk {
            first: self.first + at * max,
            keys,
            ..self
        })
    }

    /// The place of a key in it.
    fn place(&self, key: &BatchKey) -> Option<usize> {
        let at = self.all.number(key)?.checked_sub(self.first)?;
        (at < self.keys.len()).then_some(at)
    }
}

/// What was found for one key.
type Outcome = Result<QueryRows, LookupError>;

/// Asks for lookups of one statement. The answers for up to `batch.max` different keys are given together.
pub(super) async fn ask(pool: &Pool, asked: &[BatchedAsk<'_, Lookup>], answers: Answers<'_>) {
    let Some(BatchedAsk { lookup, .. }) = asked.first() else {
        return;
    };
    let prepared = match pool.prepared(lookup).await {
        Ok(prepared) => prepared,
        Err(err) => return answers.fail(asked.len(), &err),
    };
    let (Some(key), Some(batch)) = (&prepared.key, &lookup.batch) else {
        let err = LookupError::new(Code::ServerInternal, "not a batch");
        return answers.fail(asked.len(), &err);
    };
    let mut distinct = Distinct::of(asked.len());
    for (at, ask) in asked.iter().enumerate() {
        match BatchKey::asked(&ask.params[0], &key.element) {
            // Of another statement, which never travels with this one.
            _ if ask.lookup.id != lookup.id => {
                let why = "lookups of two statements in one batch";
                answers.give(at, Err(LookupError::new(Code::ServerInternal, why)));
            }
            Ok(Some(key)) => {
                let _is_new = distinct.add(key, at);
            }
            // Null equals nothing.
            Ok(None) => answers.give(at, QueryRows::default().answer(lookup.rows)),
            Err(err) => answers.give(at, Err(err)),
        }
    }
    let give = &|number, outcome: Outcome| {
        distinct.hand_out(number, outcome, |at, outcome| {
            let answer = outcome.and_then(|found| found.answer(lookup.rows));
            answers.give(at, answer);
        });
    };
    let all = Chunk {
        all: &distinct,
        first: 0,
        keys: distinct.keys(),
    };
    let max = batch.max.max(1);
    if all.keys.is_empty() {
        return;
    }
    if all.keys.len() <= max {
        // The usual case.
        return ask_chunk(pool, lookup, key, all, give).await;
    }
    let chunks = all.parts(max);
    let asked = chunks.map(|chunk| ask_chunk(pool, lookup, key, chunk, give));
    Box::pin(join_all(asked)).await;
}

/// Gives one outcome per key, with its number.
async fn ask_chunk(
    pool: &Pool,
    lookup: &Lookup,
    key: &Key,
    chunk: Chunk<'_>,
    give: impl Fn(usize, Outcome),
) {
    let numbers = chunk.first..chunk.first + chunk.keys.len();
    let err = match ask_keys(pool, lookup, key, chunk).await {
        Ok(outcomes) => {
            for (number, outcome) in numbers.zip(outcomes) {
                give(number, Ok(outcome));
            }
            return;
        }
        Err(err) => err,
    };
    let of_one = matches!(err.code, Code::LookupBadParam | Code::LookupTooMany);
    if !of_one || numbers.len() == 1 {
        return numbers.for_each(|number| give(number, Err(err.clone())));
    }
    let alone = chunk.parts(1).map(async |alone| {
        let outcomes = ask_keys(pool, lookup, key, alone).await;
        give(
            alone.first,
            outcomes.map(|mut outcomes| outcomes.pop().unwrap_or_default()),
        );
    });
    Box::pin(join_all(alone)).await;
}

async fn ask_keys(
    pool: &Pool,
    lookup: &Lookup,
    key: &Key,
    chunk: Chunk<'_>,
) -> Result<Vec<QueryRows>, LookupError> {
    let keys = chunk.keys;
    let max = lookup.batch_rows_max(keys.len());
    let encode = async |_: &_| Ok(vec![Param(Some(batch_key::array(keys)))]);
    let mut found = pool.ask(lookup, encode, max.saturating_add(1)).await?;
    if found.rows.len() > max {
        let detail = format!("more than {max} rows for {} keys", keys.len());
        return Err(LookupError::new(Code::LookupTooMany, detail));
    }
    let outcome = || QueryRows {
        rows: RowList::default(),
        first: found.first,
        held: found.held.clone(),
    };
    let mut outcomes: Vec<_> = std::iter::repeat_with(outcome).take(keys.len()).collect();
    let mut breaks = Breaks::default();
    for row in std::mem::take(&mut found.rows).into_rows() {
        if breaks.is_due_after(0) {
            yield_now().await;
        }
        let column = match &row {
            Value::Record(record) => record.values.get(key.column),
            _ => None,
        };
        let stored = column.and_then(|stored| BatchKey::stored(stored, &key.element));
        let Some(at) = stored.and_then(|stored| chunk.place(&stored)) else {
            let detail = "a row whose `batch.key` was not asked for";
            return Err(LookupError::new(Code::LookupBadAnswer, detail));
        };
        if lookup.rows != Rows::One || outcomes[at].rows.is_empty() {
            outcomes[at].rows.push(row);
        }
    }
    Ok(outcomes)
}
