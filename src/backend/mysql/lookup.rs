//! Compiles a lookup's keys: its statement, and with `batch` the statements of every size of a batch.
//!
//! A batched statement has one parameter, alone in brackets after `in`. There is one statement per power of two of
//! values, one of them repeated to fill it, so that a server holds a handful of prepared statements per lookup and
//! not one per number of values.

use std::sync::Arc;

use mysql_common::value::Value as Stored;

use super::config::Config;
use super::value;
use crate::backend::lookup::{are_large, owned};
use crate::backend::sql::{self, Statement, Style, Warned};
use crate::backend::{Compiled, Enums, LookupError, rows::Rows};
use crate::config::{Place, Section};
use crate::offload::offload;
use crate::value::Value;

/// The largest batch: the most lookups that ever travel together.
const BATCH_MAX: i64 = 128;

/// A SQL lookup, compiled.
pub struct Lookup {
    /// Numbers the lookups of one backend.
    pub(super) id: usize,
    /// The statement for one question.
    pub(super) sql: Arc<str>,
    /// For each `?` of the statement, the index of its parameter.
    slots: Vec<usize>,
    /// The first word, if the statement writes.
    pub(super) writes: Option<&'static str>,
    pub(super) rows: Rows,
    pub(super) batch: Option<BatchKeys>,
    pub(super) warned: Warned,
}

/// `batch = { key = "column", max = 128 }`
pub(super) struct BatchKeys {
    /// The column that assigns a row to its lookup.
    pub(super) key: Arc<str>,
    /// The most values of one statement.
    pub(super) max: usize,
    /// The statement for 1, 2, 4, ... values.
    texts: Vec<Arc<str>>,
}

impl BatchKeys {
    /// The statement for `count` values, and how many parameters it has.
    pub(super) fn text(&self, count: usize) -> (&Arc<str>, usize) {
        let room = count.next_power_of_two();
        let size = room.trailing_zeros() as usize;
        (&self.texts[size.min(self.texts.len() - 1)], room)
    }
}

impl Lookup {
    pub(super) fn read(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        let statement = sql::read(section, Style::Question);
        let rows = Rows::read(section);
        let enums = Enums::read(section, Enums::Unstated);
        let keys = section.section("batch").map(read_batch);
        let (statement, place) = statement?;
        let batch = match keys {
            Some(keys) => {
                let (key, max) = keys?;
                Some(BatchKeys {
                    texts: texts(&statement, max, &place, section)?,
                    key: key.into(),
                    max,
                })
            }
            None => None,
        };
        Some(Compiled {
            lookup: Lookup {
                id: config.count(),
                writes: statement.writes(),
                sql: statement.text.into(),
                slots: statement.slots,
                rows,
                batch,
                warned: Warned::default(),
            },
            params: statement.params,
            enums,
            yields: rows.yields(),
        })
    }

    /// All texts of its statements.
    pub(super) fn texts(&self) -> &[Arc<str>] {
        let one = std::slice::from_ref(&self.sql);
        self.batch.as_ref().map_or(one, |batch| &batch.texts)
    }

    /// How many parameters it has.
    pub(super) fn param_count(&self) -> usize {
        self.slots.iter().max().map_or(0, |last| last + 1)
    }

    /// The values of the statement's parameters.
    pub(super) async fn bind(&self, params: &[Value]) -> Result<Vec<Stored>, LookupError> {
        if !are_large(params) {
            return bind(&self.slots, params);
        }
        let (slots, params) = (self.slots.clone(), owned(params).await);
        offload(move || bind(&slots, &params)).await?
    }
}

fn bind(slots: &[usize], params: &[Value]) -> Result<Vec<Stored>, LookupError> {
    let params = slots.iter().map(|slot| value::param(&params[*slot]));
    params.collect()
}

fn read_batch(mut section: Section<'_>) -> Option<(String, usize)> {
    let key = section.required_string("key", "key = \"id\"");
    let max = section.integer("max", 1..=BATCH_MAX).unwrap_or(BATCH_MAX);
    section.finish();
    Some((key?.0, usize::try_from(max).ok()?))
}

/// The statement for each size up to `max`, if its parameter is where a list is allowed.
fn texts(
    statement: &Statement,
    max: usize,
    place: &Place,
    section: &Section<'_>,
) -> Option<Vec<Arc<str>>> {
    let Some(at) = place_of_list(statement) else {
        let help = "such as `select * from airports where code in (:code)`";
        section.bad(
            place,
            "with `batch`, the statement's only parameter has to be alone in brackets after `in`",
            Some(help.into()),
        );
        return None;
    };
    let (head, tail) = (&statement.text[..at], &statement.text[at..]);
    let sizes = 0..=max.next_power_of_two().trailing_zeros();
    let text = |size| format!("{head}{}{tail}", "?, ".repeat((1_usize << size) - 1));
    Some(sizes.map(|size| text(size).into()).collect())
}

/// The position of the statement's only `?`, if it is inside `in (?)`.
fn place_of_list(statement: &Statement) -> Option<usize> {
    if statement.slots.len() != 1 {
        return None;
    }
    let text = &statement.text;
    // A `?` inside quotes or a comment is not a parameter: a `:name` put in its place would not be found.
    let is_code = |at: usize| {
        sql::scan(&format!("{}:p", &text[..at]), Style::Question)
            .is_ok_and(|prefix| prefix.slots.len() == 1)
    };
    let (at, _) = text.match_indices('?').find(|(at, _)| is_code(*at))?;
    let before = text[..at].trim_end().strip_suffix('(')?.trim_end();
    let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_');
    let stands = word.take(1).any(|word| word.eq_ignore_ascii_case("in"))
        && text[at + 1..].trim_start().starts_with(')');
    stands.then_some(at)
}
