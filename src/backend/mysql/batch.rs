//! Asks several lookups of one statement with one question, each different value once.

use std::sync::Arc;

use mysql_common::value::Value as Stored;
use tokio::time::Instant;

use super::lookup::{BatchKeys, Lookup};
use super::query::{BoundStatement, Key, Sorting, key};
use super::value;
use crate::backend::net::Distinct;
use crate::backend::rows::RowList;
use crate::backend::{Answer, Answers, BatchedAsk, Held, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The different values of lookups with one statement.
pub(super) struct Batch<'a> {
    lookup: &'a Lookup,
    keys: &'a BatchKeys,
    distinct: Distinct<Key>,
    elements: Vec<(Key, Stored)>,
}

impl<'a> Batch<'a> {
    /// Collects the values of these lookups. Those that need no question are answered now. `None`: there is nothing to ask.
    pub(super) fn of(asked: &[BatchedAsk<'a, Lookup>], answers: Answers<'_>) -> Option<Self> {
        let lookup = asked.first()?.lookup;
        let Some(keys) = &lookup.batch else {
            let detail = "a lookup without `batch` in a batch";
            answers.fail(asked.len(), &LookupError::new(Code::ServerInternal, detail));
            return None;
        };
        let mut batch = Batch {
            lookup,
            keys,
            distinct: Distinct::of(asked.len()),
            elements: Vec::with_capacity(asked.len()),
        };
        for (at, ask) in asked.iter().enumerate() {
            match batch.element(ask) {
                Ok(Some((key, stored))) => {
                    if batch.distinct.add(key.clone(), at) {
                        batch.elements.push((key, stored));
                    }
                }
                // Null equals nothing.
                Ok(None) => {
                    let nothing = lookup.rows.shape(std::iter::empty());
                    answers.give(at, nothing.map(Answer::new));
                }
                Err(err) => answers.give(at, Err(err)),
            }
        }
        Some(batch)
    }

    fn element(
        &self,
        asked: &BatchedAsk<'_, Lookup>,
    ) -> Result<Option<(Key, Stored)>, LookupError> {
        if asked.lookup.id != self.lookup.id {
            // Lookups of another statement never travel with these.
            let why = "lookups of two statements in one batch";
            return Err(LookupError::new(Code::ServerInternal, why));
        }
        let param = asked.params.first().unwrap_or(&Value::Null);
        if param.is_null() {
            return Ok(None);
        }
        let Some(key) = key(param) else {
            let detail = format!(
                "{} can't be compared with `{}`",
                param.kind(),
                self.keys.key
            );
            return Err(LookupError::new(Code::LookupBadParam, detail));
        };
        Ok(Some((key, value::param(param)?)))
    }

    /// The questions to ask, each with the number of its first value.
    pub(super) fn questions(&self) -> impl Iterator<Item = (usize, BoundStatement)> {
        let chunks = self.elements.chunks(self.keys.max).enumerate();
        chunks.map(|(chunk, elements)| (chunk * self.keys.max, self.question(elements)))
    }

    /// Gives the answer for the value with this number to the lookups that asked for it.
    pub(super) fn answer(
        &self,
        number: usize,
        rows: Result<RowList, LookupError>,
        (first_answer, held): (Option<Instant>, Held),
        answers: Answers<'_>,
    ) {
        self.distinct.hand_out(number, rows, |at, rows| {
            let answer = rows.and_then(|rows| rows.answer(self.lookup.rows));
            let answer = answer.map(|answer| Answer {
                first_answer,
                ..answer.holding(held.clone())
            });
            answers.give(at, answer);
        });
    }

    fn question(&self, elements: &[(Key, Stored)]) -> BoundStatement {
        let (sql, room) = self.keys.text(elements.len());
        let mut params: Vec<Stored> = elements.iter().map(|(_, stored)| stored.clone()).collect();
        // A repeated value adds no rows; the shortest one adds the fewest bytes.
        let shortest = elements.iter().min_by_key(|(key, _)| key.len());
        let shortest = shortest.map_or(Stored::NULL, |(_, stored)| stored.clone());
        params.resize(room, shortest);
        BoundStatement {
            statement: self.lookup.id,
            sql: Arc::clone(sql),
            params,
            rows: self.lookup.rows,
            sorting: Sorting::ByKey {
                column: Arc::clone(&self.keys.key),
                keys: elements.iter().map(|(key, _)| key.clone()).collect(),
                alone: Arc::clone(&self.lookup.sql),
            },
            waits_until: None,
        }
    }
}

/// Splits a question into one per element, if there are several. A value that can't be asked for (too long together with
/// the others, not text in the session's character set) then affects only its own lookup.
pub(super) fn parts(question: &BoundStatement) -> Vec<BoundStatement> {
    let Sorting::ByKey {
        column,
        keys,
        alone,
    } = &question.sorting
    else {
        return Vec::new();
    };
    if keys.len() < 2 {
        return Vec::new();
    }
    let part = |(key, stored): (&Key, &Stored)| BoundStatement {
        statement: question.statement,
        sql: Arc::clone(alone),
        params: vec![stored.clone()],
        rows: question.rows,
        sorting: Sorting::ByKey {
            column: Arc::clone(column),
            keys: vec![key.clone()],
            alone: Arc::clone(alone),
        },
        waits_until: None,
    };
    keys.iter().zip(&question.params).map(part).collect()
}

/// The error of a question whose answer was lost.
pub(super) fn no_answer() -> LookupError {
    LookupError::new(Code::ServerInternal, "the connection's task gave no answer")
}
