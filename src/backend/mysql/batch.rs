//! Several lookups as one question per statement, each different value once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use mysql_async::Value as Stored;

use super::ask::{Key, Question, Reply, Sorting, key};
use super::lookup::{BatchKeys, Lookup};
use super::value;
use crate::backend::{Answer, Asked, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The different values asked for, by lookup.
#[derive(Default)]
pub(super) struct Batch<'a> {
    groups: Vec<Group<'a>>,
}

struct Group<'a> {
    lookup: &'a Lookup,
    batch: &'a BatchKeys,
    known: HashMap<Key, usize>,
    elements: Vec<(Key, Stored)>,
}

/// Where a lookup's value will stand: its group and its element of it. `None` for null, which equals nothing.
pub(super) type Place = Result<Option<(usize, usize)>, LookupError>;

impl<'a> Batch<'a> {
    /// Adds the value of one lookup, unless it is there already.
    pub(super) fn place(&mut self, asked: &Asked<'a, Lookup>) -> Place {
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
        let known = |group: &Group<'_>| group.lookup.id == asked.lookup.id;
        let at = self.groups.iter().position(known).unwrap_or_else(|| {
            self.groups.push(Group {
                lookup: asked.lookup,
                batch,
                known: HashMap::new(),
                elements: Vec::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        let next = group.elements.len();
        let element = *group.known.entry(key.clone()).or_insert(next);
        if element == next {
            group.elements.push((key, stored));
        }
        Ok(Some((at, element)))
    }

    /// What is to be asked, and for which elements.
    pub(super) fn into_questions(self) -> Vec<(Elements, Question)> {
        let mut questions = Vec::new();
        for (at, group) in self.groups.into_iter().enumerate() {
            let mut from = 0;
            for elements in group.elements.chunks(group.batch.max) {
                let to = from + elements.len();
                questions.push(((at, from..to), group.question(elements)));
                from = to;
            }
        }
        questions
    }
}

impl Group<'_> {
    fn question(&self, elements: &[(Key, Stored)]) -> Question {
        let (sql, room) = self.batch.text(elements.len());
        let mut params: Vec<Stored> = elements.iter().map(|(_, stored)| stored.clone()).collect();
        // What is repeated adds no rows; the shortest adds the fewest bytes.
        let shortest = elements.iter().min_by_key(|(key, _)| key.len());
        let shortest = shortest.map_or(Stored::NULL, |(_, stored)| stored.clone());
        params.resize(room, shortest);
        Question {
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

/// One question per element, if there are several. What is wrong with one value (too long together with the others,
/// no text in the session's character set) is then the trouble of its own lookup.
pub(super) fn parts(question: &Question) -> Vec<Question> {
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
    let part = |(key, stored): (&Key, &Stored)| Question {
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

/// A group, and some of its elements.
pub(super) type Elements = (usize, Range<usize>);

/// The elements that were asked together, and what came of it.
pub(super) type Replied = (Elements, Result<Reply, LookupError>);

/// Each lookup's answer from the replies to the questions.
pub(super) fn answers(
    asked: &[Asked<'_, Lookup>],
    places: &[Place],
    replies: Vec<Replied>,
) -> Vec<Result<Answer, LookupError>> {
    let mut found = HashMap::new();
    for ((group, elements), reply) in replies {
        match reply {
            Ok(reply) => {
                for (element, value) in elements.zip(reply.values) {
                    let answer = value.map(|value| Answer {
                        first_answer: reply.first_answer,
                        ..Answer::new(value)
                    });
                    found.insert((group, element), answer);
                }
            }
            Err(err) => {
                found.extend(elements.map(|element| ((group, element), Err(err.clone()))));
            }
        }
    }
    // The last to use an answer takes it, the others copy it.
    let mut users: HashMap<(usize, usize), usize> = HashMap::new();
    for place in places
        .iter()
        .filter_map(|place| (*place.as_ref().ok()?).as_ref())
    {
        *users.entry(*place).or_default() += 1;
    }
    let answer = |(ask, place): (&Asked<'_, Lookup>, &Place)| {
        let Some(place) = place.clone()? else {
            return ask.lookup.rows.shape(std::iter::empty()).map(Answer::new);
        };
        let left = users.entry(place).or_default();
        *left = left.saturating_sub(1);
        let answer = match left {
            0 => found.remove(&place),
            _ => found.get(&place).cloned(),
        };
        answer.unwrap_or_else(|| Err(super::no_answer()))
    };
    asked.iter().zip(places).map(answer).collect()
}
