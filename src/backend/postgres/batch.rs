//! Several lookups as one array of keys: `where code = any(:codes)`.
//!
//! Each lookup gives one key; different keys go as one array, and rows find who asked by the column
//! `batch.key`, not by their position. A key that spoils the question for the others (text that the server
//! can't read, too many rows) is found out by asking for each alone, so that it costs its own lookup only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::encode::{self, Param};
use super::statement::Key;
use super::{Lookup, Postgres};
use crate::backend::{Answer, Asked, LookupError, rows::Rows};
use crate::error::Code;
use crate::value::{Record, Value};

/// The places, among all that is asked, of the lookups of one statement.
pub(super) type Group = Vec<usize>;

/// Lookups with their own statements, in order of appearance.
pub(super) fn by_statement(asked: &[Asked<'_, Lookup>]) -> Vec<Group> {
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

/// Asks for the lookups of one statement: one answer each.
pub(super) async fn ask(
    postgres: &Postgres,
    asked: &[Asked<'_, Lookup>],
    group: &[usize],
) -> Vec<Result<Answer, LookupError>> {
    let lookup = asked[group[0]].lookup;
    let prepared = match postgres.prepared(lookup).await {
        Ok(prepared) => prepared,
        Err(err) => return group.iter().map(|_| Err(err.clone())).collect(),
    };
    let (Some(key), Some(batch)) = (&prepared.key, &lookup.batch) else {
        let never = |_| Err(LookupError::new(Code::ServerInternal, "not a batch"));
        return group.iter().map(never).collect();
    };
    let mut keys: Vec<Rc<str>> = Vec::new();
    let mut known: HashMap<Rc<str>, usize> = HashMap::new();
    let mut place = |value: &Value| -> Result<Option<usize>, LookupError> {
        let Some(text) = encode::text(value, &key.element)? else {
            return Ok(None); // null equals nothing
        };
        let text: Rc<str> = encode::key(&text, &key.element).into();
        Ok(Some(match known.entry(text) {
            Entry::Occupied(have) => *have.get(),
            Entry::Vacant(free) => {
                keys.push(Rc::clone(free.key()));
                *free.insert(keys.len() - 1)
            }
        }))
    };
    let places: Vec<_> = group
        .iter()
        .map(|at| place(&asked[*at].params[0]))
        .collect();
    let chunks = keys.chunks(batch.max.max(1));
    let outcomes = join_all(chunks.map(|chunk| ask_chunk(postgres, lookup, key, chunk))).await;
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    places
        .into_iter()
        .map(|place| match place? {
            None => shape(lookup, &(Vec::new(), None)),
            Some(at) => shape(lookup, outcomes[at].as_ref().map_err(Clone::clone)?),
        })
        .collect()
}

fn shape(
    lookup: &Lookup,
    (records, first): &(Vec<Record>, Option<Instant>),
) -> Result<Answer, LookupError> {
    let value = lookup.rows.shape(records.iter().cloned().map(Ok))?;
    Ok(Answer {
        first_answer: *first,
        ..Answer::new(value)
    })
}

/// One outcome per key.
async fn ask_chunk(
    postgres: &Postgres,
    lookup: &Lookup,
    key: &Key,
    keys: &[Rc<str>],
) -> Vec<Outcome> {
    let err = match ask_keys(postgres, lookup, key, keys).await {
        Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
        Err(err) => err,
    };
    let of_one = matches!(err.code, Code::LookupBadParam | Code::LookupTooMany);
    if !of_one || keys.len() == 1 {
        return keys.iter().map(|_| Err(err.clone())).collect();
    }
    let alone = keys.chunks(1).map(async |alone| {
        let mut outcomes = ask_keys(postgres, lookup, key, alone).await?;
        Ok(outcomes.pop().unwrap_or_default())
    });
    join_all(alone).await
}

async fn ask_keys(
    postgres: &Postgres,
    lookup: &Lookup,
    key: &Key,
    keys: &[Rc<str>],
) -> Result<Vec<(Vec<Record>, Option<Instant>)>, LookupError> {
    let max = lookup.batch_rows_max(keys.len());
    let array = || encode::array(keys.iter().map(|key| Some(&**key)));
    let encode = |_: &_| Ok(vec![Param(Some(array()))]);
    let found = postgres.ask(lookup, encode, max.saturating_add(1)).await?;
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
            let detail = "a row whose `batch.key` nobody asked for";
            return Err(LookupError::new(Code::LookupBadAnswer, detail));
        };
        if lookup.rows != Rows::One || outcomes[at].0.is_empty() {
            outcomes[at].0.push(record);
        }
    }
    Ok(outcomes)
}
