//! Classifies errors of PostgreSQL: the code of the lookup, and what may help.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::backend::LookupError;
use crate::error::Code;

/// Why a question has no answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The error of the lookup.
    pub(super) error: LookupError,
    /// What may help.
    pub(super) recovery: Recovery,
    /// The server has said so.
    pub(super) is_of_server: bool,
}

/// What makes asking again worthwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Nothing.
    None,
    /// Preparing the statement again: tables may have changed.
    Prepare,
    /// Nothing, unless another statement was meant by what stopped this one.
    Stopped,
    /// Another connection.
    Connect,
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Failure {
            error,
            recovery: Recovery::None,
            is_of_server: false,
        }
    }
}

impl From<&Error> for Failure {
    fn from(err: &Error) -> Self {
        let (code, recovery) = match err.as_db_error() {
            Some(said) => meaning(said),
            // The connection is closed, or the received bytes can't be understood.
            None => (Code::LookupUnavailable, Recovery::Connect),
        };
        let is_of_server = err.as_db_error().is_some();
        let mut error = LookupError::new(code, words(err));
        if is_of_server && recovery != Recovery::Connect {
            error = error.answered();
        }
        Failure {
            error,
            recovery,
            is_of_server,
        }
    }
}

/// The server's message, or else the client's.
fn words(err: &Error) -> String {
    match (err.as_db_error(), err.source()) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(why)) => format!("{err}: {why}"),
        (None, None) => err.to_string(),
    }
}

fn meaning(said: &DbError) -> (Code, Recovery) {
    let state = said.code();
    let class = state.code().get(..2).unwrap_or_default();
    // The routine is the one part of the message that no language setting translates.
    let stale = said.routine() == Some("RevalidateCachedQuery");
    if stale || *state == SqlState::INVALID_SQL_STATEMENT_NAME {
        return (Code::LookupUnavailable, Recovery::Prepare);
    }
    // The context of a value that can't be read: `unnamed portal parameter $1`, in the server's language.
    let of_param = said.where_().is_some_and(|place| place.contains('$'));
    match class {
        _ if *state == SqlState::QUERY_CANCELED => (Code::LookupTimeout, Recovery::Stopped),
        "22" if of_param => (Code::LookupBadParam, Recovery::None),
        // The session ended: by an operator, or by the server's shutdown.
        "57" | "08" => (Code::LookupUnavailable, Recovery::Connect),
        // Out of a resource, or in conflict with a standby's recovery.
        "53" | "40" => (Code::LookupUnavailable, Recovery::None),
        // Somebody else has locked or uses what is asked for.
        "55" if *state == SqlState::LOCK_NOT_AVAILABLE || *state == SqlState::OBJECT_IN_USE => {
            (Code::LookupUnavailable, Recovery::None)
        }
        // A fault of the server or of its disk: the statement is not to blame.
        "58" | "F0" => (Code::LookupFailed, Recovery::None),
        // Types, columns or tables have changed since the statement was prepared.
        "42" if *state != SqlState::INSUFFICIENT_PRIVILEGE => {
            (Code::LookupRefused, Recovery::Prepare)
        }
        // `cache lookup failed for type`: the statement's own type was dropped, and may have been created again.
        "XX" => (Code::LookupRefused, Recovery::Prepare),
        _ => (Code::LookupRefused, Recovery::None),
    }
}
