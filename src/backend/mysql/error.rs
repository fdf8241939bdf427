//! Classifies errors of the server and the client: the code of the lookup, and whether the connection can go on.

use mysql_async::{DriverError, Error};

use crate::backend::LookupError;
use crate::error::Code;

/// Errors with which a server ends the session.
const ENDS_SESSION: &[u16] = &[
    1053, // shutting down
    1080, // forced close
    1152, 1184, // aborted
    1927, 3169, // killed
    2006, 2013, // gone away, lost
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
    LookupError::new(code(err), err.to_string())
}

/// Whether the connection can no longer be used.
pub(super) fn ends_session(err: &Error) -> bool {
    match err {
        Error::Server(err) => ENDS_SESSION.contains(&err.code),
        // The driver itself refused the number of parameters, before anything was sent.
        Error::Driver(DriverError::StmtParamsMismatch { .. }) => false,
        _ => true,
    }
}

/// Whether the connection turned out to be gone, so that asking again on another one may help.
pub(super) fn is_gone(err: &Error) -> bool {
    ends_session(err) && code(err) == Code::LookupUnavailable
}

fn code(err: &Error) -> Code {
    match err {
        Error::Io(_) => Code::LookupUnavailable,
        // The second: TLS was asked for, and the server has none.
        Error::Driver(DriverError::ConnectionClosed | DriverError::NoClientSslFlagFromServer) => {
            Code::LookupUnavailable
        }
        Error::Server(err) => server_code(err.code),
        Error::Driver(
            DriverError::PacketOutOfOrder
            | DriverError::UnexpectedPacket { .. }
            | DriverError::PacketTooLarge
            | DriverError::BadCompressedPacketHeader
            | DriverError::CantParseServerVersion { .. },
        ) => Code::LookupBadAnswer,
        Error::Driver(_) => Code::LookupRefused,
        _ => Code::LookupFailed,
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
    use mysql_async::ServerError;

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
                state: "HY000".into(),
            })
        };
        assert!(is_gone(&server(1927)) && is_gone(&Error::Driver(DriverError::ConnectionClosed)));
        assert!(!ends_session(&server(1064)) && !ends_session(&server(1205)));
        let strange = Error::Driver(DriverError::PacketOutOfOrder);
        assert!(ends_session(&strange) && !is_gone(&strange));
    }
}
