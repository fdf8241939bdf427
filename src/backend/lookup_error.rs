//! Defines why a lookup has no answer.

use std::fmt;

use tokio::time::Instant;

use super::evidence::{Evidence, Verdict};
use super::memory::NoRoom;
use crate::error::Code;
use crate::offload::NotDone;
use crate::timeline::AskedEndpoints;
use crate::value::Value;

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
    /// The endpoints that were asked, if the backend has endpoints.
    pub(crate) endpoints: Option<Box<AskedEndpoints<Instant>>>,
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
            endpoints: None,
        }
    }

    /// The same error, of a question to these endpoints.
    #[must_use]
    pub(crate) fn of_endpoints(self, asked: Option<AskedEndpoints<Instant>>) -> Self {
        LookupError {
            endpoints: asked.map(Box::new),
            ..self
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

    /// There was no connection, so nothing was sent.
    #[must_use]
    pub(super) fn not_sent(self) -> Self {
        let evidence = Evidence::NotSent;
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

    /// Whether the connection broke after the answer had begun.
    pub(super) fn is_broken_off(&self) -> bool {
        self.evidence == Evidence::BrokenOff
    }

    /// Whether the same question to another server does no harm and may have an answer: no answer had begun.
    pub(super) fn may_be_retried(&self) -> bool {
        use Evidence::{Answered, Code as OfCode, NotSent, NotTried};
        self.code == Code::LookupUnavailable
            && matches!(self.evidence, OfCode | NotTried | NotSent | Answered)
    }

    /// Whether it is certain that the server got nothing: another one may be asked as if it were the first.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self.evidence, Evidence::NotTried | Evidence::NotSent)
    }

    /// Whether the server wants to be left alone for a while.
    pub(super) fn asks_for_patience(&self) -> bool {
        self.evidence == Evidence::PushedBack
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
