//! Defines the types of a lookup and of a question, between stores and everything above them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::invalidate::Invalidate;
use crate::config::Section;
use crate::context::Context;
use crate::coop::{Breaks, copy_all};
use crate::offload::LARGE_VALUES;
use crate::value::Value;

/// A lookup as its kind compiled it.
#[derive(Debug)]
pub struct Compiled<L> {
    /// Passed to [`Backend::lookup`](super::Backend::lookup).
    pub lookup: L,
    /// The names the lookup mentions, each once, in the order in which [`Ask::params`] carries them.
    pub params: Vec<Arc<str>>,
    /// How enums are passed to the store.
    pub enums: Enums,
    /// The type of an answer, as far as the configuration determines it.
    pub yields: Yields,
}

/// A lookup that is going to be asked.
#[derive(Debug)]
pub struct Planned<'a, L> {
    /// Its name, for the log.
    pub name: &'a Arc<str>,
    /// The compiled lookup.
    pub lookup: &'a L,
    /// The longest time that any view gives it: no caller waits longer for an answer.
    pub budget: Duration,
    /// How its kept answers are found out to be no longer right, if they are.
    pub invalidate: Option<&'a Invalidate>,
}

/// How a lookup's parameters carry values of the IDL's enums: the key `enums`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enums {
    /// As integers.
    Number,
    /// As [`Value::Enum`], whose name is used.
    Name,
    /// As [`Value::Enum`], and the store's own type of the parameter decides.
    ByType,
    /// It has to be said and is not: a lookup that gets no enum need not say it.
    Unstated,
}

impl Enums {
    /// Takes the key; without it, `otherwise`.
    pub(super) fn read(section: &mut Section<'_>, otherwise: Enums) -> Enums {
        match section.word("enums", &["name", "number"]) {
            Some(("name", _)) => Enums::Name,
            Some(_) => Enums::Number,
            None => otherwise,
        }
    }
}

/// Why calls can't share the answers of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unshared {
    /// It changes the store.
    Writes,
    /// It reads more of a call than its parameters.
    ReadsContext,
}

/// The type of a lookup's answers, which `check` compares with the IDL type they fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// Anything: JSON, one SQL value.
    Any,
    /// One row or hash with named values.
    Record,
    /// A list.
    List,
    /// A bool.
    Bool,
    /// An integer.
    Integer,
    /// A double.
    Double,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The parameters' values, in the order of [`Compiled::params`].
    pub params: &'a [Value],
    /// The call's context.
    pub context: &'a Context,
    /// When an answer is no longer useful; never later than the call's deadline.
    pub deadline: Instant,
    /// The time that the view allows, whatever the caller does.
    pub allowed: Duration,
    /// The index in its view of the lookup that asks: stores are told which span of the trace asks.
    pub step: usize,
}

impl Ask<'_> {
    /// Whether a server that is asked at `asked` has at least half of the time that the view allows. If not, a late answer is
    /// not its fault.
    pub(crate) fn is_patient(&self, asked: Instant) -> bool {
        self.deadline.saturating_duration_since(asked) >= self.allowed / 2
    }
}

/// Whether parameters have so many values that they should not be encoded on a loop.
pub(super) fn are_large(params: &[Value]) -> bool {
    params.iter().any(|param| param.is_more_than(LARGE_VALUES))
}

/// The parameters, for work elsewhere. The loop goes on while many are copied.
pub(super) async fn owned(params: &[Value]) -> Vec<Value> {
    if are_large(params) {
        copy_all(params, &mut Breaks::default()).await
    } else {
        params.to_vec()
    }
}

/// One question of a batch.
#[derive(Debug)]
pub struct BatchedAsk<'a, L> {
    /// The lookup.
    pub lookup: &'a L,
    /// Its parameters' values, in the order of [`Compiled::params`].
    pub params: &'a [Value],
}
