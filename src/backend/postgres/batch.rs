//! Answers several lookups with one array of keys: `where code = any(:codes)`.
//!
//! Each lookup contributes one key. The different keys are sent as one array, and each row is assigned to its lookup by
//! the column `batch.key`, not by its position. If one key makes the whole question fail (text that the server can't
//! read, too many rows), each key is asked for alone, so that the bad key affects only its own lookup.

use std::collections::HashMap;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::config::Lookup;
use super::encode::{self, Param};
use super::pool::Pool;
use super::statement::Key;
use crate::backend::net::Distinct;
use crate::backend::rows::Rows;
use crate::backend::{Answer, BatchedAsk, LookupError};
use crate::error::Code;
use crate::value::{Record, Value};

/// The lookups of one statement, by their positions in the batch.
pub(super) type Group = Vec<usize>;

/// Lookups with their own statements, in order of appearance.
pub(super) fn by_statement(asked: &[BatchedAsk<'_, Lookup>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, ask) in asked.iter().enumerate() {
        let same = |group: &&mut Group| asked[group[0]].lookup.id == ask.lookup.id;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// The groups' answers in the order of the questions.
pub(super) fn in_order(
    count: usize,
    groups: Vec<Group>,
    answers: Vec<Vec<Result<Answer, LookupError>>>,
) -> Vec<Result<Answer, LookupError>> {
    let pairs = groups
        .into_iter()
        .flatten()
        .zip(answers.into_iter().flatten());
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable_by_key(|(at, _)| *at);
    debug_assert_eq!(pairs.len(), count, "one answer per question");
    pairs.into_iter().map(|(_, answer)| answer).collect()
}

/// What was found for one key.
type Outcome = Result<(Vec<Record>, Option<Instant>), LookupError>;

/// Asks for the lookups of one statement. Returns one answer each.
pub(super) async fn ask(
    pool: &Pool,
    asked: &[BatchedAsk<'_, Lookup>],
    group: &[usize],
) -> Vec<Result<Answer, LookupError>> {
    let lookup = asked[group[0]].lookup;
    let prepared = match pool.prepared(lookup).await {
        Ok(prepared) => prepared,
        Err(err) => return group.iter().map(|_| Err(err.clone())).collect(),
    };
    let (Some(key), Some(batch)) = (&prepared.key, &lookup.batch) else {
        let never = |_| Err(LookupError::new(Code::ServerInternal, "not a batch"));
        return group.iter().map(never).collect();
    };
    let mut keys: Vec<Rc<str>> = Vec::new();
    let mut distinct = Distinct::with_capacity(group.len());
    let mut number = |value: &Value| -> Result<Option<usize>, LookupError> {
        let Some(text) = encode::text(value, &key.element)? else {
            return Ok(None); // null equals nothing
        };
        let text: Rc<str> = encode::key(&text, &key.element).into();
        let (number, is_new) = distinct.add(Rc::clone(&text));
        if is_new {
            keys.push(text);
        }
        Ok(Some(number))
    };
    let numbers: Vec<_> = group
        .iter()
        .map(|at| number(&asked[*at].params[0]))
        .collect();
    let chunks = keys.chunks(batch.max.max(1));
    let outcomes = join_all(chunks.map(|chunk| ask_chunk(pool, lookup, key, chunk))).await;
    let mut outcomes = distinct.share(outcomes.into_iter().flatten());
    let answer = |number: Result<Option<usize>, LookupError>| match number? {
        None => shape(lookup, (Vec::new(), None)),
        Some(number) => {
            let unasked = || LookupError::new(Code::ServerInternal, "a key was not asked for");
            shape(lookup, outcomes.take(number).ok_or_else(unasked)??)
        }
    };
    numbers.into_iter().map(answer).collect()
}

fn shape(
    lookup: &Lookup,
    (records, first): (Vec<Record>, Option<Instant>),
) -> Result<Answer, LookupError> {
    let value = lookup.rows.shape(records.into_iter().map(Ok))?;
    Ok(Answer {
        first_answer: first,
        ..Answer::new(value)
    })
}

/// One outcome per key.
async fn ask_chunk(pool: &Pool, lookup: &Lookup, key: &Key, keys: &[Rc<str>]) -> Vec<Outcome> {
    let err = match ask_keys(pool, lookup, key, keys).await {
        Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
        Err(err) => err,
    };
    let of_one = matches!(err.code, Code::LookupBadParam | Code::LookupTooMany);
    if !of_one || keys.len() == 1 {
        return keys.iter().map(|_| Err(err.clone())).collect();
    }
    let alone = keys.chunks(1).map(async |alone| {
        let mut outcomes = ask_keys(pool, lookup, key, alone).await?;
        Ok(outcomes.pop().unwrap_or_default())
    });
    join_all(alone).await
}

async fn ask_keys(
    pool: &Pool,
    lookup: &Lookup,
    key: &Key,
    keys: &[Rc<str>],
) -> Result<Vec<(Vec<Record>, Option<Instant>)>, LookupError> {
    let max = lookup.batch_rows_max(keys.len());
    let array = || encode::array(keys.iter().map(|key| Some(&**key)));
    let encode = |_: &_| Ok(vec![Param(Some(array()))]);
    let found = pool.ask(lookup, encode, max.saturating_add(1)).await?;
    if found.records.len() > max {
        let detail = format!("more than {max} rows for {} keys", keys.len());
        return Err(LookupError::new(Code::LookupTooMany, detail));
    }
    let places: HashMap<&str, usize> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| (&**key, at))
        .collect();
    let mut outcomes = vec![(Vec::new(), found.first); keys.len()];
    for record in found.records {
        let stored = record.values.get(key.column).and_then(encode::stored_key);
        let at = stored.and_then(|stored| places.get(encode::key(&stored, &key.element)).copied());
        let Some(at) = at else {
            let detail = "a row whose `batch.key` was not asked for";
            return Err(LookupError::new(Code::LookupBadAnswer, detail));
        };
        if lookup.rows != Rows::One || outcomes[at].0.is_empty() {
            outcomes[at].0.push(record);
        }
    }
    Ok(outcomes)
}
