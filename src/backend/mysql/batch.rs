//! Asks several lookups with one question per statement, each different value once.

use std::sync::Arc;

use mysql_common::value::Value as Stored;

use super::lookup::{BatchKeys, Lookup};
use super::query::{Answers, BoundStatement, Key, Sorting, key};
use super::value;
use crate::backend::net::Distinct;
use crate::backend::{Answer, BatchedAsk, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The different values, grouped by lookup.
#[derive(Default)]
pub(super) struct Batch<'a> {
    groups: Vec<Group<'a>>,
    /// For each lookup that was added.
    places: Vec<ElementOfGroup>,
}

struct Group<'a> {
    lookup: &'a Lookup,
    batch: &'a BatchKeys,
    distinct: Distinct<Key>,
    elements: Vec<(Key, Stored)>,
}

/// Where a lookup's value will be: its group and its element of the group. `None` for null, which equals nothing.
type ElementOfGroup = Result<Option<(usize, usize)>, LookupError>;

impl<'a> Batch<'a> {
    /// Adds the value of one lookup.
    pub(super) fn add(&mut self, asked: &BatchedAsk<'a, Lookup>) {
        let place = self.place(asked);
        self.places.push(place);
    }

    fn place(&mut self, asked: &BatchedAsk<'a, Lookup>) -> ElementOfGroup {
        let Some(batch) = &asked.lookup.batch else {
            let detail = "a lookup without `batch` in a batch";
            return Err(LookupError::new(Code::ServerInternal, detail));
        };
        let param = asked.params.first().unwrap_or(&Value::Null);
        if param.is_null() {
            return Ok(None);
        }
        let Some(key) = key(param) else {
            let detail = format!("{} can't be compared with `{}`", param.kind(), batch.key);
            return Err(LookupError::new(Code::LookupBadParam, detail));
        };
        let stored = value::param(param)?;
        let same = |group: &Group<'_>| group.lookup.id == asked.lookup.id;
        let at = self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group {
                lookup: asked.lookup,
                batch,
                distinct: Distinct::with_capacity(1),
                elements: Vec::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        let (element, is_new) = group.distinct.add(key.clone());
        if is_new {
            group.elements.push((key, stored));
        }
        Ok(Some((at, element)))
    }

    /// The questions to ask, each with its group. The questions of a group are in the order of its elements.
    pub(super) fn questions(&self) -> Vec<(usize, BoundStatement)> {
        let mut questions = Vec::new();
        for (at, group) in self.groups.iter().enumerate() {
            let chunks = group.elements.chunks(group.batch.max);
            questions.extend(chunks.map(|elements| (at, group.question(elements))));
        }
        questions
    }

    /// Each lookup's answer, from the replies to the questions. The lookups are those that were added.
    pub(super) fn answers(
        self,
        asked: &[BatchedAsk<'_, Lookup>],
        replies: Vec<Replied>,
    ) -> Vec<Result<Answer, LookupError>> {
        let mut values: Vec<Vec<_>> = self.groups.iter().map(|_| Vec::new()).collect();
        for (group, count, reply) in replies {
            match reply {
                Ok(reply) => {
                    let mut found = reply.values.into_iter();
                    // Exactly as many as were asked for, so that no element gets the value of another.
                    values[group].extend((0..count).map(|_| {
                        let value = found.next().unwrap_or_else(|| Err(no_answer()))?;
                        Ok(Answer {
                            first_answer: reply.first_answer,
                            ..Answer::new(value)
                        })
                    }));
                }
                Err(err) => values[group].extend((0..count).map(|_| Err(err.clone()))),
            }
        }
        let groups = self.groups.into_iter().zip(values);
        let mut shared: Vec<_> = groups
            .map(|(group, values)| group.distinct.share(values))
            .collect();
        let answer = |(ask, place): (&BatchedAsk<'_, Lookup>, ElementOfGroup)| {
            let Some((group, element)) = place? else {
                return ask.lookup.rows.shape(std::iter::empty()).map(Answer::new);
            };
            let answer = shared[group].take(element);
            answer.unwrap_or_else(|| Err(no_answer()))
        };
        asked.iter().zip(self.places).map(answer).collect()
    }
}

impl Group<'_> {
    fn question(&self, elements: &[(Key, Stored)]) -> BoundStatement {
        let (sql, room) = self.batch.text(elements.len());
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
                column: Arc::clone(&self.batch.key),
                keys: elements.iter().map(|(key, _)| key.clone()).collect(),
                alone: Arc::clone(&self.lookup.sql),
            },
        }
    }
}

/// The group of a question, how many elements it asked for, and the reply.
pub(super) type Replied = (usize, usize, Result<Answers, LookupError>);

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
    };
    keys.iter().zip(&question.params).map(part).collect()
}

/// The error of a question whose answer was lost.
pub(super) fn no_answer() -> LookupError {
    LookupError::new(Code::ServerInternal, "the connection's task gave no answer")
}
