//! Says why a call has no result, and chooses the exception that its client gets.
//!
//! A method's own exception is thrown if a closure asks for it or the configuration binds it to the error code; a standard
//! exception if the method declares it; otherwise a `TApplicationException` whose message begins with the code. Messages
//! to clients never contain SQL, keys or addresses.

use std::sync::Arc;

use thrift::ApplicationErrorKind;

use crate::backend::Thrown;
use crate::coerce::Coercion;
use crate::error::Code;
use crate::idl::{Schema, StructId, Type};
use crate::offload::NotDone;
use crate::plan::{Plan, ThrowOn};
use crate::thrift::WireError;
use crate::timeline::Fate;
use crate::value::Value;
use crate::view::{Failure, MergeError};

/// Why a call has no result.
#[derive(Clone, Debug)]
pub(super) struct CallError {
    /// The code of the call.
    pub(super) code: Code,
    /// The code of the lookup that failed, if one did.
    pub(super) cause: Option<Code>,
    /// The lookup that failed, and its fate.
    pub(super) lookup: Option<(Arc<str>, Fate)>,
    /// Details that the client may read.
    pub(super) about: Option<String>,
    /// Details for the log only.
    pub(super) detail: Option<String>,
    /// The exception that a closure threw.
    pub(super) thrown: Option<Box<Thrown>>,
}

/// The codes of an error, for programs: the same in exceptions, headers and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorCodes {
    pub(super) code: Code,
    /// Only if it differs from `code`.
    pub(super) cause: Option<Code>,
}

impl CallError {
    pub(super) fn codes(&self) -> ErrorCodes {
        ErrorCodes {
            code: self.code,
            cause: self.cause.filter(|cause| *cause != self.code),
        }
    }

    pub(super) fn new(code: Code) -> Self {
        CallError {
            code,
            cause: None,
            lookup: None,
            about: None,
            detail: None,
            thrown: None,
        }
    }

    /// Parameters that can't be decoded. The detail concerns the client's own bytes, so the client may read it.
    pub(super) fn bad_params(err: &WireError) -> Self {
        CallError {
            cause: Some(err.code),
            about: Some(innermost(&err.detail)),
            ..CallError::new(Code::CallBadParams)
        }
    }

    /// A message that can't be read.
    pub(super) fn unreadable(err: &WireError) -> Self {
        CallError {
            about: Some(err.detail.clone()),
            ..CallError::new(err.code)
        }
    }

    /// A view that failed: by the caller's mistake, by a store, or because a required lookup is empty.
    pub(super) fn of_failure(plan: &Plan, failure: &Failure) -> Self {
        let code = match failure.code {
            _ if failure.out_of_time => Code::CallDeadline,
            _ if failure.of_caller => Code::CallBadParams,
            Some(_) => Code::CallRequiredFailed,
            None => Code::CallRequiredEmpty,
        };
        let about = why(plan, failure);
        CallError {
            cause: failure.code,
            detail: Some(failure.detail.clone().unwrap_or_else(|| about.clone())),
            about: Some(about),
            lookup: Some((Arc::clone(&plan.steps[failure.step].name), failure.fate)),
            thrown: failure.thrown.clone(),
            ..CallError::new(code)
        }
    }

    pub(super) fn of_merge(err: MergeError) -> Self {
        CallError {
            detail: Some(err.detail),
            ..CallError::new(Code::MergeMissingField)
        }
    }

    /// Work that was to be done on another thread was not done.
    pub(super) fn of_work(not_done: NotDone) -> Self {
        CallError::new(match not_done {
            NotDone::Refused => Code::ServerOverloaded,
            NotDone::Panicked => Code::ServerInternal,
        })
    }

    /// `code: meaning (about)`
    pub(super) fn message(&self) -> String {
        match &self.about {
            Some(about) => format!("{}: {} ({about})", self.code, self.code.meaning()),
            None => format!("{}: {}", self.code, self.code.meaning()),
        }
    }

    /// The kind of `TApplicationException`.
    pub(super) fn kind(&self) -> ApplicationErrorKind {
        match self.code {
            Code::CallUnknownMethod => ApplicationErrorKind::UnknownMethod,
            Code::CallMessageType => ApplicationErrorKind::InvalidMessageType,
            Code::CallBadParams | Code::CallReplyTooLarge | Code::WireFrameTooLarge => {
                ApplicationErrorKind::ProtocolError
            }
            Code::WireUnknownTransform => ApplicationErrorKind::InvalidTransform,
            Code::WireUnknownProtocol => ApplicationErrorKind::InvalidProtocol,
            _ => ApplicationErrorKind::InternalError,
        }
    }

    /// The exception that the method declares for it: field id, type and value. `None` if it declares none.
    pub(super) fn declared(&self, plan: &Plan, schema: &Schema) -> Option<(i16, StructId, Value)> {
        let bound = plan.throws.iter().find(|throw| match &throw.on {
            ThrowOn::Codes(codes) => {
                codes.contains(&self.code) || self.cause.is_some_and(|cause| codes.contains(&cause))
            }
            ThrowOn::Standard | ThrowOn::Never => false,
        });
        let declares = |standard: Option<StructId>| {
            let mut throws = plan.throws.iter();
            throws.find(|throw| throw.on == ThrowOn::Standard && Some(throw.of) == standard)
        };
        // A method without an exception for bad parameters throws the one for a failed lookup instead.
        let of_lookup = || {
            let failed = schema.standard.lookup_failed;
            self.lookup
                .as_ref()
                .filter(|_| self.code == Code::CallBadParams)
                .and_then(|_| declares(failed))
        };
        let throw = bound
            .or_else(|| declares(self.standard(schema)))
            .or_else(of_lookup)?;
        Some((throw.id, throw.of, self.value(schema, throw.of)?))
    }

    /// The exception that a closure threw, like [`declared`](CallError::declared); `Err` says why the method can't throw
    /// it.
    pub(super) fn of_closure(
        &self,
        plan: &Plan,
        schema: &Schema,
    ) -> Option<Result<(i16, StructId, Value), String>> {
        let thrown = self.thrown.as_ref()?;
        let named = |of: StructId| {
            let name = &*schema.get(of).name;
            let bare = name.rsplit_once('.').map_or(name, |(_, bare)| bare);
            [name, bare].contains(&&*thrown.exception)
        };
        let fitted =
            |of| Coercion::new(schema, false).value(thrown.value.clone(), &Type::Struct(of));
        let found = plan.throws.iter().find(|throw| named(throw.of));
        Some(match found.map(|throw| (throw, fitted(throw.of))) {
            Some((throw, Ok(value))) => Ok((throw.id, throw.of, value)),
            Some((_, Err(why))) => Err(why),
            None => Err("the method does not declare it".to_owned()),
        })
    }

    fn standard(&self, schema: &Schema) -> Option<StructId> {
        let standard = &schema.standard;
        match self.code {
            Code::CallBadParams => standard.invalid_request,
            Code::CallRequiredEmpty | Code::CallRequiredFailed => standard.lookup_failed,
            Code::CallDeadline => standard.deadline_exceeded,
            Code::ServerOverloaded | Code::ServerDraining => standard.overloaded,
            _ => None,
        }
    }

    /// The value of an exception: those of the fields `code`, `message`, `lookup`, `fate` and `retryable` that it
    /// declares. `None` if it requires other fields.
    fn value(&self, schema: &Schema, of: StructId) -> Option<Value> {
        let retryable = self.cause.unwrap_or(self.code).retryable();
        let lookup = self.lookup.as_ref();
        let fields = [
            ("code", Some(Value::from(self.code.as_str()))),
            ("message", Some(Value::from(self.message()))),
            ("lookup", lookup.map(|(name, _)| Value::from(&**name))),
            ("fate", lookup.map(|(_, fate)| Value::from(fate.as_str()))),
            ("retryable", Some(Value::Bool(retryable))),
        ];
        let pairs = fields
            .into_iter()
            .filter_map(|(name, value)| Some((Value::from(name), value?)))
            .collect();
        Coercion::new(schema, false)
            .value(Value::Map(pairs), &Type::Struct(of))
            .ok()
    }
}

/// Which required lookup has no value, and why: `lookup `plane` needs `flight`: lookup.timeout`.
fn why(plan: &Plan, failure: &Failure) -> String {
    let name = |at: usize| &plan.steps[at].name;
    let lacking = name(failure.step);
    let mut words = if failure.root == failure.step {
        format!("lookup `{lacking}`")
    } else {
        format!("lookup `{lacking}` needs `{}`", name(failure.root))
    };
    let mut say = |word: &str| {
        words += ": ";
        words += word;
    };
    if let Some(code) = failure.code {
        say(code.as_str());
    }
    match (&failure.unsent, failure.root_fate) {
        (Some(unsent), _) => say(&format!("`{unsent}` was not sent")),
        (None, Fate::SkippedDependency) => say("an input has no value"),
        (None, Fate::Skipped) => say("its `when` left it out"),
        (None, Fate::Empty) if failure.root != failure.step => say("there is nothing"),
        (None, _) => {}
    }
    // The caller may know how many elements it sent; other details may reveal what a store holds.
    if failure.of_caller && failure.code == Some(Code::LookupTooMany) {
        failure.detail.iter().for_each(|detail| say(detail));
    }
    words
}

/// The last parts of a wire error's path: the path of a recursive value may be long.
fn innermost(detail: &str) -> String {
    const PARTS: usize = 6;
    let parts: Vec<&str> = detail.split(": ").collect();
    match parts.len().checked_sub(PARTS) {
        None | Some(0) => detail.to_owned(),
        Some(skip) => format!("...: {}", parts[skip..].join(": ")),
    }
}
