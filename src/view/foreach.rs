//! Runs a `foreach`: asks one question per element of a list, and combines the answers into one.

use std::collections::HashSet;
use std::task::{Context as TaskContext, Poll, ready};

use tokio::time::Instant;
use tracing::Span;

use super::attempt::may_differ;
use super::inputs::Inputs;
use super::step::{CallScope, Values};
use crate::backend::{Answer, Held, LookupError};
use crate::error::Code;
use crate::guard::{Group, Params, Time};
use crate::idl::Type;
use crate::offload::LARGE_VALUES;
use crate::plan::{Foreach, Step};
use crate::timeline::{Micros, Source};
use crate::value::Value;

/// A `foreach` under way.
pub(super) struct Elements<'a> {
    group: Group<'a>,
    /// The keys of a map; `None` for a list.
    keys: Option<Vec<Value>>,
    /// The code of the first failed element that took the default.
    covered: Option<Code>,
}

/// A `foreach` that was started.
pub(super) enum Each<'a> {
    /// Its questions are asked.
    Asked(Elements<'a>),
    /// They are once its large inputs are copied.
    Later(Inputs<'a>),
}

impl Step {
    /// Asks one question per element, or copies what they need first. Returns `None` if there is no list.
    pub(super) fn start_each<'a>(
        &'a self,
        foreach: &Foreach,
        scope: CallScope<'a>,
        values: &Values,
        time: Time,
    ) -> Result<Option<Each<'a>>, LookupError> {
        let Some(over) = scope.get(&foreach.over, values, None) else {
            return Ok(None);
        };
        let items = self.items(foreach, &over)?;
        if over.is_more_than(LARGE_VALUES) || self.has_large_inputs(scope, values) {
            return Ok(Some(Each::Later(self.copy_inputs(scope, values, time))));
        }
        let params = items
            .iter()
            .map(|item| self.bind(scope, values, Some(item)));
        let params: Vec<_> = params.collect();
        let keys = self
            .makes_map()
            .then(|| items.into_iter().cloned().collect());
        let elements = self.ask_each(scope, params.into_iter(), keys, time);
        Ok(Some(Each::Asked(elements)))
    }

    /// The elements to ask for.
    pub(super) fn items<'v>(
        &self,
        foreach: &Foreach,
        over: &'v Value,
    ) -> Result<Vec<&'v Value>, LookupError> {
        let Value::List(items) = over else {
            let detail = format!("`foreach` over {}", over.kind());
            return Err(LookupError::new(Code::LookupBadParam, detail));
        };
        if items.len() > foreach.max {
            let detail = format!("{} elements, `foreach_max` is {}", items.len(), foreach.max);
            return Err(LookupError::new(Code::LookupTooMany, detail));
        }
        let is_map = self.makes_map();
        // A map has each key once, so equal elements are asked once.
        let mut seen = HashSet::new();
        let items = items
            .iter()
            .filter(|item| !is_map || seen.insert(format!("{item:?}")));
        Ok(items.collect())
    }

    /// Whether the answers of its elements make a map by element.
    pub(super) fn makes_map(&self) -> bool {
        matches!(self.target.ty(), Some(Type::Map(..)))
    }

    /// Asks a question with each of these parameters. `keys`: those of the map that the answers make.
    pub(super) fn ask_each<'a>(
        &self,
        scope: CallScope<'a>,
        params: impl ExactSizeIterator<Item = Params<'a>>,
        keys: Option<Vec<Value>>,
        time: Time,
    ) -> Elements<'a> {
        let questions = params.map(|params| self.question_of(params, scope, time));
        let group = scope
            .guards
            .ask_all(questions, (scope.context, time.deadline));
        Elements {
            group,
            keys,
            covered: None,
        }
    }

    /// Whether the default replaces an element that failed so. What `else` names comes first.
    fn covers(&self, err: &LookupError) -> bool {
        let asks_another = self.fallback.is_some() && may_differ(err.code);
        !self.default_on_empty && !asks_another
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
        let mut age: Option<Micros> = None;
        let mut is_large = answers.len() > LARGE_VALUES;
        let held = answers.iter().flatten().map(Answer::held);
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
                (Err(err), Some(default)) if self.covers(&err) => default.clone(),
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
        let answer = Answer {
            value,
            first_answer,
            source,
            age,
            mates: 0,
            is_large,
            bulk: None,
        };
        Ok(answer.holding(held))
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

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.group.count()
    }

    /// When the answers of the elements are no longer useful.
    pub(super) fn deadline(&self) -> Instant {
        self.group.deadline()
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
