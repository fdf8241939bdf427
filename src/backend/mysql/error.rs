//! What can go wrong with a server, the code of the lookup for it, and whether the connection can go on.

use std::io;

use thiserror::Error;

use crate::backend::LookupError;
use crate::error::Code;

/// What went wrong.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("MySQL: {0}")]
    Io(#[from] io::Error),
    #[error("MySQL closed the connection")]
    Closed,
    /// The server refuses, in its own words.
    #[error("MySQL: {} ({})", .0.message, .0.code)]
    Server(ServerError),
    /// Something came that is no answer to what was asked.
    #[error("MySQL does not answer as MySQL does: {0}")]
    Protocol(&'static str),
    /// Something came while nothing was asked.
    #[error("MySQL sent something that was not asked for")]
    Unasked,
    #[error("TLS was asked for, and the server does not have this capability")]
    NoTls,
    #[error(
        "the account logs in with the plugin `{0}`, which is not known here: give it `caching_sha2_password` or \
         `mysql_native_password`"
    )]
    Plugin(String),
    /// Nothing was sent.
    #[error("the statement has {wanted} parameters, and {given} values were given")]
    Params { wanted: usize, given: usize },
}

/// An error of the server.
#[derive(Debug)]
pub(super) struct ServerError {
    pub(super) code: u16,
    pub(super) message: String,
}

/// Errors with which a server ends the session.
const ENDS_SESSION: &[u16] = &[
    1053, // shutting down
    1080, // forced close
    1152, 1184, // aborted
    1927, 3169, // killed
    2006, 2013, // gone away, lost
    1243, // a prepared statement is unknown: another session than it was prepared in
    4031, // idle too long
];

/// Transient errors: the server is full, busy or stopping, or two questions conflicted.
const PASSES: &[u16] = &[
    1021, 1037, 1038, 1041, 1135, // out of disk, memory or threads
    1040, 1129, 1203, 1226, // too many connections, of anyone or of this account
    1205, 1213, 3572, // waited too long for a lock, or for each other
    1020, 1412, // what is read has changed meanwhile
    1047, 9001, // no server behind this one: Galera, ProxySQL
    1461, 1615, // too many prepared statements, or one to be prepared again
];

/// Faults of the server or of its disk: the statement is not to blame.
const FAILS: &[u16] = &[
    1015, 1026, 1028, 1030, 1034, 1035, // a file or the storage engine
    1105, 1194, 1195, 1317, // of no kind; a table that is marked as crashed; `KILL QUERY`
];

/// The lookup's error.
pub(super) fn lookup_error(err: &Error) -> LookupError {
    let of_lookup = LookupError::new(code(err), err.to_string());
    match err {
        Error::Server(_) if !ends_session(err) => of_lookup.answered(),
        Error::Protocol(_) => of_lookup.garbage(),
        _ => of_lookup,
    }
}

/// Whether the connection can no longer be used.
pub(super) fn ends_session(err: &Error) -> bool {
    match err {
        Error::Server(err) => ENDS_SESSION.contains(&err.code),
        Error::Params { .. } => false,
        _ => true,
    }
}

/// Whether the connection turned out to be gone, so that asking again on another one may help.
pub(super) fn is_gone(err: &Error) -> bool {
    ends_session(err) && code(err) == Code::LookupUnavailable
}

fn code(err: &Error) -> Code {
    match err {
        Error::Io(_) | Error::Closed | Error::Unasked | Error::NoTls | Error::Plugin(_) => {
            Code::LookupUnavailable
        }
        Error::Server(err) => server_code(err.code),
        Error::Protocol(_) => Code::LookupBadAnswer,
        Error::Params { .. } => Code::LookupRefused,
    }
}

fn server_code(number: u16) -> Code {
    match number {
        1969 | 3024 => Code::LookupTimeout,
        // More than `max_allowed_packet`; text that is not valid in the session's character set.
        1153 | 1300 => Code::LookupBadParam,
        number if FAILS.contains(&number) => Code::LookupFailed,
        number if PASSES.contains(&number) || ENDS_SESSION.contains(&number) => {
            Code::LookupUnavailable
        }
        _ => Code::LookupRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_server_have_their_codes() {
        let codes = [
            (
                Code::LookupUnavailable,
                &[1040, 1047, 1053, 1205, 1213, 1927, 2006, 2013, 3572, 9001][..],
            ),
            (Code::LookupRefused, &[1045, 1049, 1064, 1142, 1146, 1792]),
            (Code::LookupTimeout, &[1969, 3024]),
            (Code::LookupBadParam, &[1153]),
            (Code::LookupFailed, &[1030, 1194, 1317]),
        ];
        for (code, numbers) in codes {
            for number in numbers {
                assert_eq!(server_code(*number), code, "{number}");
            }
        }
    }

    #[test]
    fn only_what_ends_the_session_ends_the_connection() {
        let server = |code| {
            Error::Server(ServerError {
                code,
                message: "x".into(),
            })
        };
        assert!(is_gone(&server(1927)) && is_gone(&Error::Closed));
        assert!(!ends_session(&server(1064)) && !ends_session(&server(1205)));
        let strange = Error::Protocol("x");
        assert!(ends_session(&strange) && !is_gone(&strange));
    }
}
