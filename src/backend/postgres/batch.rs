//! Answers several lookups with one array of keys: `where code = any(:codes)`.
//!
//! Each lookup contributes one key. The different keys are sent as one array, and each row is assigned to its lookup by
//! the column `batch.key`, not by its position. If one key makes the whole question fail (text that the server can't
//! read, too many rows), each key is asked for alone, so that the bad key affects only its own lookup.

use std::collections::HashMap;
use std::rc::Rc;

use super::config::Lookup;
use super::encode::{self, Param};
use super::pool::Pool;
use super::statement::{Key, QueryRows};
use crate::backend::net::Distinct;
use crate::backend::rows::{RowList, Rows};
use crate::backend::{Answers, BatchedAsk, LookupError};
use crate::coop::Breaks;
use crate::error::Code;
use crate::value::Value;
use futures_util::future::join_all;

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
    let mut keys: Vec<Rc<str>> = Vec::with_capacity(asked.len());
    let mut distinct = Distinct::of(asked.len());
    for (at, ask) in asked.iter().enumerate() {
        match encode::text(&ask.params[0], &key.element) {
            // Of another statement, which never travels with this one.
            _ if ask.lookup.id != lookup.id => {
                let why = "lookups of two statements in one batch";
                answers.give(at, Err(LookupError::new(Code::ServerInternal, why)));
            }
            Ok(Some(text)) => {
                let text: Rc<str> = encode::key(&text, &key.element).into();
                if distinct.add(Rc::clone(&text), at) {
                    keys.push(text);
                }
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
    let max = batch.max.max(1);
    let chunks = keys.chunks(max).enumerate().map(|(chunk, keys)| {
        let give = move |at, outcome| give(chunk * max + at, outcome);
        ask_chunk(pool, lookup, key, keys, give)
    });
    join_all(chunks).await;
}

/// Gives one outcome per key.
async fn ask_chunk(
    pool: &Pool,
    lookup: &Lookup,
    key: &Key,
    keys: &[Rc<str>],
    give: impl Fn(usize, Outcome),
) {
    let err = match ask_keys(pool, lookup, key, keys).await {
        Ok(outcomes) => {
            for (at, outcome) in outcomes.into_iter().enumerate() {
                give(at, Ok(outcome));
            }
            return;
        }
        Err(err) => err,
    };
    let of_one = matches!(err.code, Code::LookupBadParam | Code::LookupTooMany);
    if !of_one || keys.len() == 1 {
        return (0..keys.len()).for_each(|at| give(at, Err(err.clone())));
    }
    let alone = keys.chunks(1).enumerate().map(async |(at, alone)| {
        let outcomes = ask_keys(pool, lookup, key, alone).await;
        give(
            at,
            outcomes.map(|mut outcomes| outcomes.pop().unwrap_or_default()),
        );
    });
    join_all(alone).await;
}

async fn ask_keys(
    pool: &Pool,
    lookup: &Lookup,
    key: &Key,
    keys: &[Rc<str>],
) -> Result<Vec<QueryRows>, LookupError> {
    let max = lookup.batch_rows_max(keys.len());
    let array = || encode::array(keys.iter().map(|key| Some(&**key)));
    let encode = async |_: &_| Ok(vec![Param(Some(array()))]);
    let mut found = pool.ask(lookup, encode, max.saturating_add(1)).await?;
    if found.rows.len() > max {
        let detail = format!("more than {max} rows for {} keys", keys.len());
        return Err(LookupError::new(Code::LookupTooMany, detail));
    }
    let places: HashMap<&str, usize> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| (&**key, at))
        .collect();
    let outcome = || QueryRows {
        rows: RowList::default(),
        first: found.first,
        held: found.held.clone(),
    };
    let mut outcomes: Vec<_> = std::iter::repeat_with(outcome).take(keys.len()).collect();
    let mut breaks = Breaks::default();
    for row in std::mem::take(&mut found.rows).into_rows() {
        breaks.after(0).await;
        let column = match &row {
            Value::Record(record) => record.values.get(key.column),
            _ => None,
        };
        let stored = column.and_then(encode::stored_key);
        let at = stored.and_then(|stored| places.get(encode::key(&stored, &key.element)).copied());
        let Some(at) = at else {
            let detail = "a row whose `batch.key` was not asked for";
            return Err(LookupError::new(Code::LookupBadAnswer, detail));
        };
        if lookup.rows != Rows::One || outcomes[at].rows.is_empty() {
            outcomes[at].rows.push(row);
        }
    }
    Ok(outcomes)
}
