//! One step of one call: whether it runs, with which inputs, and what its answer becomes.
//!
//! Everything here but what becomes of a `foreach` is synchronous; [`super::run`] decides when.

use std::collections::HashSet;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::backend::{Answer, LookupError};
use crate::coerce::{Coercion, fits_unchanged};
use crate::context::Context;
use crate::error::Code;
use crate::guard::{Asking, Guards, Params, Seats};
use crate::idl::{Schema, Type};
use crate::plan::{Binding, Foreach, Step, Target};
use crate::plan::{Reference, Root};
use crate::timeline::{Fate, Source};
use crate::value::{Record, Value};

/// What every step of a call can see.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) schema: &'a Schema,
    pub(super) guards: &'a Guards,
    /// The method's parameters, in field order.
    pub(super) params: &'a Rc<[Value]>,
    pub(super) context: &'a Context,
}

/// What to do with a step whose needs are settled.
pub(super) enum Start<'a> {
    /// It has its fate already.
    Settled(Fate),
    /// It has inputs that can't be used.
    Failed(LookupError),
    /// It is to be asked.
    Ask(Asking<'a>),
}

/// The values of the steps that have one, as later steps refer to them.
pub(super) type Values = [Option<Value>];

impl Step {
    /// Decides whether the step runs, binds its inputs and asks its question until `deadline`, from one of `seats`
    /// if it can travel with others.
    pub(super) fn start<'a>(
        &'a self,
        sight: Sight<'a>,
        values: &Values,
        deadline: Instant,
        seats: &Seats,
    ) -> Start<'a> {
        let needs_missing = self.bindings.iter().any(|binding| match binding {
            Binding::To(reference) => {
                reference.is_lookup() && sight.get(reference, values, None).is_none()
            }
            Binding::Literal(_) => false,
        });
        if let Some(when) = &self.when {
            let seen = sight.get(&when.reference, values, None);
            let holds = match (&seen, &when.equals) {
                (Some(value), Some(equals)) => equal(value, equals),
                (Some(value), None) => **value != Value::Bool(false),
                (None, _) => false,
            };
            if !holds {
                return Start::Settled(Fate::Skipped);
            }
        }
        if needs_missing {
            return Start::Settled(Fate::SkippedDependency);
        }
        match &self.foreach {
            None => {
                let params = self.bind(sight, values, None);
                match sight
                    .guards
                    .ask(self.lookup, params, (sight.context, deadline), seats)
                {
                    Ok(asking) => Start::Ask(asking),
                    Err(err) => Start::Failed(err),
                }
            }
            Some(foreach) => self.start_each(foreach, sight, values, deadline),
        }
    }

    fn start_each<'a>(
        &'a self,
        foreach: &Foreach,
        sight: Sight<'a>,
        values: &Values,
        deadline: Instant,
    ) -> Start<'a> {
        let Some(over) = sight.get(&foreach.over, values, None) else {
            return Start::Settled(Fate::SkippedDependency);
        };
        let Value::List(items) = &*over else {
            let detail = format!("`foreach` over {}", over.kind());
            return Start::Failed(LookupError::new(Code::LookupBadParam, detail));
        };
        if items.len() > foreach.max {
            let detail = format!("{} elements, `foreach_max` is {}", items.len(), foreach.max);
            return Start::Failed(LookupError::new(Code::LookupTooMany, detail));
        }
        let is_map = matches!(self.target.ty(), Some(Type::Map(..)));
        // A map has each key once, so an element that comes again is not asked again.
        let mut seen = HashSet::new();
        let items = items
            .iter()
            .filter(|item| !is_map || seen.insert(format!("{item:?}")));
        let items: Vec<&Value> = items.collect();
        let seats = Seats::with_room(items.len());
        let ask = |item: &&Value| {
            let params = self.bind(sight, values, Some(item));
            let until = (sight.context, deadline);
            sight.guards.ask(self.lookup, params, until, &seats)
        };
        let asks: Vec<_> = items.iter().map(ask).collect();
        let keys = is_map.then(|| items.into_iter().cloned().collect());
        Start::Ask(Asking::Alone(Box::pin(async move {
            let answers = all(asks, &seats, deadline).await;
            self.gather(sight, answers, keys)
        })))
    }

    fn bind(&self, sight: Sight<'_>, values: &Values, item: Option<&Value>) -> Params {
        if let [Binding::To(reference)] = &self.bindings[..]
            && let Root::Param(at) = reference.root
            && reference.path.is_empty()
        {
            return Params::OfCall(Rc::clone(sight.params), at);
        }
        let bind = |binding: &Binding| match binding {
            Binding::To(reference) => sight
                .get(reference, values, item)
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default(),
            Binding::Literal(value) => value.clone(),
        };
        Params::Own(self.bindings.iter().map(bind).collect())
    }

    /// One answer of the elements' answers, in the elements' order: a list, or a map by element. An element
    /// that is empty takes the default or is left out; one that failed takes it or fails the whole.
    fn gather(
        &self,
        sight: Sight<'_>,
        answers: Vec<Result<Answer, LookupError>>,
        keys: Option<Vec<Value>>,
    ) -> Result<Answer, LookupError> {
        let mut keys = keys.map(Vec::into_iter);
        let mut items = Vec::with_capacity(answers.len());
        let mut pairs = Vec::new();
        let mut first_answer: Option<Instant> = None;
        // Of no elements, or none that was answered, nothing was learnt anywhere.
        let mut source = Source::None;
        for answer in answers {
            let key = keys.as_mut().and_then(Iterator::next);
            let value = match (answer, &self.default) {
                (Ok(answer), default) => {
                    first_answer = match (first_answer, answer.first_answer) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                    source = answer.source;
                    if answer.value.is_null() {
                        default.clone().unwrap_or_default()
                    } else {
                        answer.value
                    }
                }
                (Err(err), Some(default)) if !self.default_on_empty => {
                    sight.guards.failed(self.lookup, &err);
                    default.clone()
                }
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
        })
    }

    /// Whether a value can go to its target as it is, as most answers can.
    pub(super) fn takes(&self, value: &Value) -> bool {
        self.target.ty().is_some_and(|ty| fits_unchanged(value, ty))
    }

    /// The answer as its target has it; nothing for a step that is not emitted. `Err` says what does not fit.
    pub(super) fn fit(&self, schema: &Schema, value: Value) -> Result<Value, String> {
        let coercion = Coercion::new(schema, self.parse_text);
        match &self.target {
            Target::Nothing => Ok(Value::Null),
            Target::Field { ty, .. } | Target::Whole(ty) => coercion.value(value, ty),
            Target::Spread { of, fields } => {
                let of_type = schema.get(*of);
                let mut values = vec![Value::Null; of_type.fields.len()];
                for &at in fields {
                    let name = &of_type.fields[at].name;
                    if let Some(column) = value.get(name) {
                        values[at] = match column {
                            Value::Null => Value::Null,
                            column => coercion.field(*of, at, column.clone())?,
                        };
                    } else if !matches!(value, Value::Record(_) | Value::Map(_)) {
                        return Err(format!("{} has no columns to spread", value.kind()));
                    }
                }
                Ok(Value::Record(Record {
                    names: of_type.names.clone(),
                    values,
                }))
            }
        }
    }
}

impl Reference {
    fn is_lookup(&self) -> bool {
        matches!(self.root, Root::Lookup(_))
    }
}

impl<'a> Sight<'a> {
    /// The value that a reference leads to in this call.
    fn get<'v>(
        &self,
        reference: &Reference,
        values: &'v Values,
        item: Option<&'v Value>,
    ) -> Option<std::borrow::Cow<'v, Value>>
    where
        'a: 'v,
    {
        reference.follow(self.params, |at| values[at].as_ref(), item, self.context)
    }
}

/// Every answer, in the order of what was asked. Those that wait in `seats` share a waker, so they are looked at
/// together; others are only looked at when they are woken.
async fn all(
    asked: Vec<Result<Asking<'_>, LookupError>>,
    seats: &Seats,
    deadline: Instant,
) -> Vec<Result<Answer, LookupError>> {
    let mut waiting = Vec::new();
    let mut alone = Vec::new();
    let mut answers: Vec<Option<Result<Answer, LookupError>>> = Vec::new();
    for (at, asked) in asked.into_iter().enumerate() {
        answers.push(None);
        match asked {
            Ok(Asking::Batched(seat)) => waiting.push((at, seat)),
            Ok(Asking::Alone(asking)) => alone.push(async move { (at, asking.await) }),
            Err(err) => answers[at] = Some(Err(err)),
        }
    }
    let batched = poll_fn(|cx| {
        waiting.retain(|&(at, seat)| match seats.poll(seat, deadline, cx) {
            Poll::Ready(answer) => {
                answers[at] = Some(answer);
                false
            }
            Poll::Pending => true,
        });
        if waiting.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let ((), alone) = tokio::join!(batched, join_all(alone));
    for (at, answer) in alone {
        answers[at] = Some(answer);
    }
    answers.into_iter().flatten().collect()
}

/// Whether `value` is what `when` asks for: text and bytes, and numbers of both kinds, are compared by content.
fn equal(value: &Value, equals: &Value) -> bool {
    match (value, equals) {
        (Value::Bytes(bytes), Value::Text(text)) => **bytes == *text.as_bytes(),
        #[expect(
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "equality is what is asked for"
        )]
        (Value::Double(a), Value::I64(b)) | (Value::I64(b), Value::Double(a)) => *a == *b as f64,
        (value, equals) => value == equals,
    }
}
