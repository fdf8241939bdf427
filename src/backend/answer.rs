//! Defines an answer, which may be large and not decoded yet, and where the answers to a batch go.

use std::cell::RefCell;
use std::fmt;

use tokio::time::Instant;

use super::lookup_error::LookupError;
use super::memory::Held;
use crate::error::Code;
use crate::offload::{LARGE_VALUES, drop_elsewhere, offload};
use crate::timeline::{AskedEndpoints, Micros, Source};
use crate::value::Value;

/// A store's answer.
#[derive(Debug)]
pub struct Answer {
    /// The value; `Null` if there is nothing.
    pub value: Value,
    /// When its first byte arrived, if the kind knows.
    pub first_answer: Option<Instant>,
    /// Where it came from.
    pub source: Source,
    /// How old it is, if it was kept for a while.
    pub age: Option<Micros>,
    /// How many other lookups travelled in the same question.
    pub mates: u16,
    /// Whether it has so many values that they should not be converted on a loop.
    pub is_large: bool,
    /// What few answers have. It is kept apart, because each answer is moved several times.
    pub bulk: Option<Box<Bulk>>,
}

/// What an answer has besides its value if it is large or from one of several servers.
#[derive(Debug, Default)]
pub struct Bulk {
    /// What makes the value, if that takes so long that it should not be done on a loop.
    undecoded: Option<Undecoded>,
    /// Keeps its memory counted until the reply is encoded.
    held: Held,
    /// The endpoints that were asked for it, if its backend has endpoints.
    endpoints: Option<AskedEndpoints<Instant>>,
}

/// Bytes of a store, and how to decode them.
pub(super) struct Undecoded(Box<dyn FnOnce() -> Result<Value, LookupError> + Send>);

impl Answer {
    /// An answer from the store itself, without the time of its first byte. Of nested values only the first row counts.
    #[inline]
    pub fn new(value: Value) -> Self {
        let values = match &value {
            Value::List(rows) => match rows.first() {
                Some(Value::Record(row)) => rows.len() * row.values.len(),
                _ => rows.len(),
            },
            Value::Map(pairs) => 2 * pairs.len(),
            _ => 0,
        };
        Answer {
            is_large: values > LARGE_VALUES,
            value,
            first_answer: None,
            source: Source::Backend,
            age: None,
            mates: 0,
            bulk: None,
        }
    }

    /// An answer that takes long to decode.
    pub(crate) fn undecoded(
        decode: impl FnOnce() -> Result<Value, LookupError> + Send + 'static,
    ) -> Self {
        let bulk = Bulk {
            undecoded: Some(Undecoded(Box::new(decode))),
            ..Bulk::default()
        };
        Answer {
            bulk: Some(Box::new(bulk)),
            ..Answer::new(Value::Null)
        }
    }

    /// An answer of which it is known whether a second endpoint gave it.
    pub(super) fn hedged((mut answer, is_second): (Self, bool)) -> Self {
        if is_second {
            answer.source = Source::Hedged;
        }
        answer
    }

    /// The same answer, whose memory is counted by `held`.
    #[must_use]
    pub(crate) fn holding(mut self, held: Held) -> Self {
        if !held.is_nothing() {
            self.bulk.get_or_insert_default().held = held;
        }
        self
    }

    /// The same answer, for which these endpoints were asked.
    #[must_use]
    pub(super) fn of_endpoints(mut self, asked: AskedEndpoints<Instant>) -> Self {
        self.bulk.get_or_insert_default().endpoints = Some(asked);
        self
    }

    /// The endpoints that were asked for it, if its backend has endpoints.
    #[inline]
    pub(crate) fn endpoints(&self) -> Option<&AskedEndpoints<Instant>> {
        self.bulk.as_ref()?.endpoints.as_ref()
    }

    /// What keeps its memory counted.
    pub(crate) fn held(&self) -> Held {
        let bulk = self.bulk.as_ref();
        bulk.map_or_else(Held::default, |bulk| bulk.held.clone())
    }

    /// Whether its value is still to be made.
    #[inline]
    pub(crate) fn is_undecoded(&self) -> bool {
        self.bulk
            .as_ref()
            .is_some_and(|bulk| bulk.undecoded.is_some())
    }

    /// Drops the answer. If it is large, that is done on another thread.
    pub(crate) fn discard(self) {
        if self.is_large || self.is_undecoded() {
            drop_elsewhere(self);
        }
    }

    /// The same answer, decoded on another thread.
    pub(crate) async fn decoded(mut self) -> Result<Self, LookupError> {
        let bulk = self.bulk.take_if(|bulk| bulk.undecoded.is_some());
        let bulk = bulk.map(|bulk| *bulk).unwrap_or_default();
        let Bulk {
            undecoded,
            held,
            endpoints,
        } = bulk;
        let Some(Undecoded(decode)) = undecoded else {
            return Ok(self);
        };
        let decoded = offload(move || {
            let value = decode()?;
            let is_large = value.is_more_than(LARGE_VALUES);
            let held = held.decoded(|| value.memory());
            Ok::<_, LookupError>((value, is_large, held))
        });
        let held;
        (self.value, self.is_large, held) = decoded.await??;
        if let Some(asked) = endpoints {
            self = self.of_endpoints(asked);
        }
        Ok(self.holding(held))
    }
}

impl fmt::Debug for Undecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undecoded")
    }
}

/// Where the answers to a batch go, each as soon as it is there.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    give: &'a dyn Fn(usize, Result<Answer, LookupError>),
}

impl<'a> Answers<'a> {
    /// Passes each answer to `give`, with the position of its question in the batch.
    pub fn new(give: &'a dyn Fn(usize, Result<Answer, LookupError>)) -> Self {
        Answers { give }
    }

    /// Answers the question at `at`. Only its first answer counts.
    pub fn give(&self, at: usize, answer: Result<Answer, LookupError>) {
        (self.give)(at, answer);
    }

    /// Answers the first `count` questions with the same error.
    pub fn fail(&self, count: usize, err: &LookupError) {
        for at in 0..count {
            self.give(at, Err(err.clone()));
        }
    }

    /// Waits for all answers to `count` questions that `ask` asks.
    pub async fn collect(
        count: usize,
        ask: impl AsyncFnOnce(Answers<'_>),
    ) -> Vec<Result<Answer, LookupError>> {
        let none = || {
            Err(LookupError::new(
                Code::ServerInternal,
                "a question got no answer",
            ))
        };
        let answers = RefCell::new((0..count).map(|_| none()).collect::<Vec<_>>());
        let give = |at: usize, answer| answers.borrow_mut()[at] = answer;
        ask(Answers::new(&give)).await;
        answers.take()
    }

    /// Waits for the answer to the only question that `ask` asks.
    pub async fn one(ask: impl AsyncFnOnce(Answers<'_>)) -> Result<Answer, LookupError> {
        let none = || {
            Err(LookupError::new(
                Code::ServerInternal,
                "a question got no answer",
            ))
        };
        Self::collect(1, ask).await.pop().unwrap_or_else(none)
    }
}
