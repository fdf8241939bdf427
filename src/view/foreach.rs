//! Runs a `foreach`: asks one question per element of a list, and combines the answers into one.

use std::collections::HashSet;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use super::step::{CallScope, Values};
use crate::backend::{Answer, Held, LookupError};
use crate::error::Code;
use crate::guard::{Group, Time};
use crate::idl::Type;
use crate::offload::LARGE_VALUES;
use crate::plan::{Foreach, Step};
use crate::timeline::Source;
use crate::value::Value;

/// A `foreach` under way.
pub(super) struct Elements<'a> {
    group: Group<'a>,
    /// The keys of a map; `None` for a list.
    keys: Option<Vec<Value>>,
    /// The code of the first failed element that took the default.
    covered: Option<Code>,
}

impl Step {
    /// Asks one question per element. Returns `None` if there is no list.
    pub(super) fn ask_each<'a>(
        &'a self,
        foreach: &Foreach,
        scope: CallScope<'a>,
        values: &Values,
        time: Time,
    ) -> Result<Option<Elements<'a>>, LookupError> {
        let Some(over) = scope.get(&foreach.over, values, None) else {
            return Ok(None);
        };
        let Value::List(items) = &*over else {
            let detail = format!("`foreach` over {}", over.kind());
            return Err(LookupError::new(Code::LookupBadParam, detail));
        };
        if items.len() > foreach.max {
            let detail = format!("{} elements, `foreach_max` is {}", items.len(), foreach.max);
            return Err(LookupError::new(Code::LookupTooMany, detail));
        }
        let is_map = matches!(self.target.ty(), Some(Type::Map(..)));
        // A map has each key once, so equal elements are asked once.
        let mut seen = HashSet::new();
        let items = items
            .iter()
            .filter(|item| !is_map || seen.insert(format!("{item:?}")));
        let items: Vec<&Value> = items.collect();
        let questions = items
            .iter()
            .map(|item| self.question(scope, values, Some(item), time));
        let group = scope
            .guards
            .ask_all(questions, (scope.context, time.deadline));
        let keys = is_map.then(|| items.into_iter().cloned().collect());
        Ok(Some(Elements {
            group,
            keys,
            covered: None,
        }))
    }

    /// Combines the elements' answers into one, in their order: a list, or a map by element. An empty element takes
    /// the default or is omitted. A failed element takes the default, or else fails the whole `foreach`.
    fn gather(
        &self,
        answers: Vec<Result<Answer, LookupError>>,
        keys: Option<Vec<Value>>,
    ) -> Result<Answer, LookupError> {
        let mut keys = keys.map(Vec::into_iter);
        let mut items = Vec::with_capacity(answers.len());
        let mut pairs = Vec::new();
        let mut first_answer: Option<Instant> = None;
        // Without an answered element there is no source.
        let mut source = Source::None;
        let mut age: Option<Duration> = None;
        let mut is_large = answers.len() > LARGE_VALUES;
        let held = answers.iter().flatten().map(|answer| answer.held.clone());
        let held = Held::several(held);
        for answer in answers {
            let key = keys.as_mut().and_then(Iterator::next);
            let value = match (answer, &self.default) {
                (Ok(answer), default) => {
                    first_answer = match (first_answer, answer.first_answer) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                    source = source.with(answer.source);
                    age = age.max(answer.age);
                    is_large |= answer.is_large;
                    if answer.value.is_null() {
                        default.clone().unwrap_or_default()
                    } else {
                        answer.value
                    }
                }
                (Err(_), Some(default)) if !self.default_on_empty => default.clone(),
                (Err(err), _) => return Err(err),
            };
            match key {
                _ if value.is_null() => {}
                Some(key) => pairs.push((key, value)),
                None => items.push(value),
            }
        }
        let value = if keys.is_some() {
            Value::Map(pairs)
        } else {
            Value::List(items)
        };
        Ok(Answer {
            value,
            first_answer,
            source,
            age,
            is_large,
            undecoded: None,
            held,
        })
    }
}

impl Elements<'_> {
    /// The answer of the `foreach` once all elements have theirs.
    pub(super) fn poll(
        &mut self,
        step: &Step,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        let answers = ready!(self.group.poll(span, cx));
        Poll::Ready(self.gather(step, answers))
    }

    fn gather(
        &mut self,
        step: &Step,
        answers: Vec<Result<Answer, LookupError>>,
    ) -> Result<Answer, LookupError> {
        // If there is no default, the answer of the whole is this failure.
        let failed = answers.iter().find_map(|answer| answer.as_ref().err());
        self.covered = failed.map(|err| err.code);
        step.gather(answers, self.keys.take())
    }

    /// The code of the first failed element that took the default.
    pub(super) fn covered(&self) -> Option<Code> {
        self.covered
    }

    /// Ends the open elements because the deadline has passed. Returns the answer of the `foreach` if each of these had one
    /// nevertheless, and otherwise its error.
    pub(super) fn time_out(&mut self, step: &Step) -> Result<Answer, LookupError> {
        let answers = self.group.time_out()?;
        self.gather(step, answers)
    }

    /// Ends the open elements because the call ends.
    pub(super) fn cancel(&mut self) {
        self.group.cancel();
    }
}
