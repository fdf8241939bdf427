//! Turns a service's reply into a lookup's answer or error.
//!
//! Results are decoded by the service's IDL: structs and unions become records, enums their numbers. Exceptions
//! become codes: exceptions of another Tributary keep their code, others get a code by their type.

use super::call::{EmptyOn, RemoteMethod};
use crate::backend::LookupError;
use crate::error::{Code, Fault};
use crate::idl::StructId;
use crate::thrift::{ReplyContent, ReplyError, application_kind};
use crate::value::Value;

/// The logged length of an exception's own message.
const WORDS_MAX: usize = 200;

impl RemoteMethod {
    /// The value that was returned; null where there is nothing.
    pub(super) fn answer(&self, said: ReplyContent) -> Result<Value, LookupError> {
        match said {
            ReplyContent::Returned(value) => Ok(value),
            ReplyContent::Missing => Ok(Value::Null),
            ReplyContent::Threw { of, value } => self.thrown(of, &value),
        }
    }

    /// The error when there is no reply.
    pub(super) fn refusal(&self, err: &ReplyError) -> Result<Value, LookupError> {
        let code = match err {
            // It may belong to another call, so it says nothing about this one.
            ReplyError::Application { in_step: false, .. } => Code::LookupBadAnswer,
            ReplyError::Application { kind, message, .. } => {
                let said = message.as_str().split(':').next().and_then(Code::parse);
                if said.is_some_and(|said| self.is_empty(EmptyOn::Code(said))) {
                    return Ok(Value::Null);
                }
                said.map_or_else(|| application_code(*kind), theirs)
            }
            ReplyError::Wire(err) if err.code == Code::WireFrameTooLarge => Code::LookupTooMany,
            ReplyError::Wire(_) | ReplyError::OutOfStep(_) => Code::LookupBadAnswer,
        };
        let detail = match err {
            ReplyError::Application { kind, message, .. } => format!(
                "TApplicationException ({}): {}",
                application_kind(*kind),
                cut(message.as_str())
            ),
            other => other.to_string(),
        };
        let refusal = LookupError::new(code, format!("`{}`: {detail}", self.method.name));
        Err(match err {
            ReplyError::Application { in_step: true, .. } => refusal.answered(),
            ReplyError::Wire(err) if err.code == Code::WireFrameTooLarge => refusal,
            _ => refusal.garbage(),
        })
    }

    fn thrown(&self, of: StructId, value: &Value) -> Result<Value, LookupError> {
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let standard = self.remote.schema.standard;
        let is = |standard: Option<StructId>| standard == Some(of);
        // Only Tributary's own exceptions have codes of ours.
        let said = if is(standard.lookup_failed)
            || is(standard.invalid_request)
            || is(standard.deadline_exceeded)
            || is(standard.overloaded)
        {
            field("code").and_then(Code::parse)
        } else {
            None
        };
        if self.is_empty(EmptyOn::Exception(of))
            || said.is_some_and(|said| self.is_empty(EmptyOn::Code(said)))
        {
            return Ok(Value::Null);
        }
        let mut detail = format!(
            "`{}` threw `{}`",
            self.method.name,
            self.remote.schema.get(of).name
        );
        if let Some(message) = field("message") {
            detail = format!("{detail}: {}", cut(message));
        }
        let code = said.map_or(Code::LookupThrew, theirs);
        Err(LookupError::new(code, detail).answered())
    }

    fn is_empty(&self, what: EmptyOn) -> bool {
        self.empty_on.contains(&what)
    }
}

/// Our code for a code of another Tributary: its call is our lookup.
fn theirs(code: Code) -> Code {
    match code {
        Code::ServerOverloaded | Code::ServerDraining => Code::LookupUnavailable,
        Code::CallDeadline => Code::LookupTimeout,
        code if matches!(code.fault(), Fault::Client | Fault::Operator) => Code::LookupRefused,
        _ => Code::LookupFailed,
    }
}

/// The code of a `TApplicationException`, by its number.
fn application_code(kind: i32) -> Code {
    match kind {
        // The server does not know the method, its parameters or the protocol.
        1..=3 | 7..=10 => Code::LookupRefused,
        4 => Code::LookupBadAnswer,
        11 => Code::LookupUnavailable,
        12 => Code::LookupTimeout,
        _ => Code::LookupFailed,
    }
}

fn cut(words: &str) -> &str {
    let ends = (0..=WORDS_MAX.min(words.len())).rev();
    let end = ends.into_iter().find(|&end| words.is_char_boundary(end));
    &words[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_another_tributary_and_of_application_errors() {
        for (said, here) in [
            (Code::ServerOverloaded, Code::LookupUnavailable),
            (Code::ServerDraining, Code::LookupUnavailable),
            (Code::CallDeadline, Code::LookupTimeout),
            (Code::CallUnknownMethod, Code::LookupRefused),
            (Code::CallBadParams, Code::LookupRefused),
            (Code::CallRequiredEmpty, Code::LookupRefused),
            (Code::CallRequiredFailed, Code::LookupFailed),
            (Code::ServerInternal, Code::LookupFailed),
        ] {
            assert_eq!(theirs(said), here, "{said}");
        }
        assert_eq!(application_code(1), Code::LookupRefused);
        assert_eq!(application_code(6), Code::LookupFailed);
        assert_eq!(application_code(11), Code::LookupUnavailable);
    }

    #[test]
    fn long_words_are_cut_between_letters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(150)).len(), WORDS_MAX);
    }
}
