//! Defines the types between stores and everything above them: a lookup, a question, an answer, an error.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::evidence::{Evidence, Verdict};
use super::memory::{Held, NoRoom};
use crate::config::Section;
use crate::context::Context;
use crate::error::Code;
use crate::offload::{LARGE_VALUES, NotDone, drop_elsewhere, offload};
use crate::timeline::Source;
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

/// One question of a batch.
#[derive(Debug)]
pub struct BatchedAsk<'a, L> {
    /// The lookup.
    pub lookup: &'a L,
    /// Its parameters' values, in the order of [`Compiled::params`].
    pub params: &'a [Value],
}

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
    pub age: Option<Duration>,
    /// Whether it has so many values that they should not be converted on a loop.
    pub is_large: bool,
    /// What makes the value, if that takes so long that it should not be done on a loop.
    pub undecoded: Option<Undecoded>,
    /// Keeps its memory counted until the reply is encoded.
    pub held: Held,
}

/// Bytes of a store, and how to decode them.
pub struct Undecoded(Box<dyn FnOnce() -> Result<Value, LookupError> + Send>);

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
            undecoded: None,
            held: Held::default(),
        }
    }

    /// An answer that takes long to decode.
    pub(crate) fn undecoded(
        decode: impl FnOnce() -> Result<Value, LookupError> + Send + 'static,
    ) -> Self {
        Answer {
            undecoded: Some(Undecoded(Box::new(decode))),
            ..Answer::new(Value::Null)
        }
    }

    /// Drops the answer. If it is large, that is done on another thread.
    pub(crate) fn discard(self) {
        if self.is_large || self.undecoded.is_some() {
            drop_elsewhere(self);
        }
    }

    /// The same answer, decoded on another thread.
    pub(crate) async fn decoded(mut self) -> Result<Self, LookupError> {
        let Some(Undecoded(decode)) = self.undecoded.take() else {
            return Ok(self);
        };
        let held = std::mem::take(&mut self.held);
        let decoded = offload(move || {
            let value = decode()?;
            let is_large = value.is_more_than(LARGE_VALUES);
            let held = held.decoded(|| value.memory());
            Ok::<_, LookupError>((value, is_large, held))
        });
        (self.value, self.is_large, self.held) = decoded.await??;
        Ok(self)
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

/// Why a lookup has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct LookupError {
    /// The stable code; decides the fate.
    pub code: Code,
    /// For the log only: may name addresses, SQL and keys.
    pub detail: String,
    /// The method's own exception, if a closure throws one.
    pub thrown: Option<Box<Thrown>>,
    /// What it tells about the store.
    pub(crate) evidence: Evidence,
}

impl From<NotDone> for LookupError {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Refused => {
                let detail = "too many large answers wait for a thread";
                LookupError::new(Code::LookupShed, detail)
            }
            NotDone::Panicked => {
                let detail = "a panic in work on a large answer";
                LookupError::new(Code::ServerInternal, detail)
            }
        }
    }
}

impl From<NoRoom> for LookupError {
    fn from(_: NoRoom) -> Self {
        let detail = "answers of stores fill all of `store_bytes_max`";
        LookupError::new(Code::LookupShed, detail)
    }
}

/// An exception that the IDL declares, thrown by a closure.
#[derive(Clone, Debug, PartialEq)]
pub struct Thrown {
    /// Its type's name in the IDL, `Name` or `file.Name`.
    pub exception: String,
    /// Its fields: a record or a map by their names.
    pub value: Value,
}

impl LookupError {
    /// An error with its detail for the log.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        LookupError {
            code,
            detail: detail.into(),
            thrown: None,
            evidence: Evidence::default(),
        }
    }

    /// Says at which address it happened.
    #[must_use]
    pub(super) fn at(self, address: impl fmt::Display) -> Self {
        LookupError {
            detail: format!("{address}: {}", self.detail),
            ..self
        }
    }

    /// The store itself said so.
    #[must_use]
    pub(super) fn answered(self) -> Self {
        let evidence = Evidence::Answered;
        LookupError { evidence, ..self }
    }

    /// Nothing was tried.
    #[must_use]
    pub(crate) fn not_tried(self) -> Self {
        let evidence = Evidence::NotTried;
        LookupError { evidence, ..self }
    }

    /// What came was no answer.
    #[must_use]
    pub(super) fn garbage(self) -> Self {
        let evidence = Evidence::Garbage;
        LookupError { evidence, ..self }
    }

    /// The store itself said so, and does not want to be asked again soon.
    #[must_use]
    pub(super) fn pushed_back(self) -> Self {
        let evidence = Evidence::PushedBack;
        LookupError { evidence, ..self }
    }

    /// The connection broke after the answer had begun.
    #[must_use]
    pub(super) fn broken_off(self) -> Self {
        let evidence = Evidence::BrokenOff;
        LookupError { evidence, ..self }
    }

    /// Whether the same question to another server does no harm and may have an answer: no answer had begun.
    pub(super) fn may_be_retried(&self) -> bool {
        use Evidence::{Answered, Code as OfCode, NotTried};
        self.code == Code::LookupUnavailable
            && matches!(self.evidence, OfCode | NotTried | Answered)
    }

    /// What it tells about the store.
    pub(crate) fn verdict(&self) -> Verdict {
        self.evidence.verdict(self.code)
    }

    /// An exception of the method, by the name of its type. If the lookup is required and the method declares it, the call
    /// throws it; otherwise it is an error like any other, `lookup.threw`.
    pub fn thrown(exception: &str, value: impl Into<Value>) -> Self {
        let thrown = Thrown {
            exception: exception.to_owned(),
            value: value.into(),
        };
        LookupError {
            thrown: Some(Box::new(thrown)),
            ..LookupError::new(Code::LookupThrew, format!("threw `{exception}`"))
        }
    }
}
