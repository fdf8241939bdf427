//! Several lookups as one question per statement, each different value once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use mysql_async::Value as Stored;
use tokio::sync::oneshot;

use super::ask::{Job, Key, Reply, Sorting, key};
use super::lookup::{BatchKeys, Lookup};
use super::value;
use crate::backend::rows::Rows;
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

    /// What is to be asked.
    pub(super) fn into_questions(self) -> Vec<Question> {
        let mut questions = Vec::new();
        for (at, group) in self.groups.into_iter().enumerate() {
            let mut from = 0;
            for elements in group.elements.chunks(group.batch.max) {
                let to = from + elements.len();
                questions.push(Question::new(&group, elements, (at, from..to)));
                from = to;
            }
        }
        questions
    }
}

/// One statement with its values.
pub(super) struct Question {
    /// The group, and which of its elements.
    pub(super) elements: (usize, Range<usize>),
    statement: usize,
    sql: Arc<str>,
    params: Vec<Stored>,
    rows: Rows,
    sorting: Sorting,
}

impl Question {
    fn new(group: &Group<'_>, elements: &[(Key, Stored)], place: (usize, Range<usize>)) -> Self {
        let (sql, room) = group.batch.text(elements.len());
        let mut params: Vec<Stored> = elements.iter().map(|(_, stored)| stored.clone()).collect();
        // What is repeated adds no rows.
        let last = params.last().cloned().unwrap_or(Stored::NULL);
        params.resize(room, last);
        Question {
            elements: place,
            statement: group.lookup.id,
            sql: Arc::clone(sql),
            params,
            rows: group.lookup.rows,
            sorting: Sorting::ByKey {
                column: Arc::clone(&group.batch.key),
                keys: elements.iter().map(|(key, _)| key.clone()).collect(),
            },
        }
    }

    pub(super) fn into_job(self, answer: oneshot::Sender<Result<Reply, LookupError>>) -> Job {
        Job {
            statement: self.statement,
            sql: self.sql,
            params: self.params,
            rows: self.rows,
            sorting: self.sorting,
            answer,
        }
    }
}

/// Each lookup's answer from the replies to the questions.
pub(super) fn answers(
    asked: &[Asked<'_, Lookup>],
    places: &[Place],
    replies: Vec<((usize, Range<usize>), Result<Reply, LookupError>)>,
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
