//! Explains TLS errors between us and a store: says which side has to change what, before the library's own message.
//!
//! In: the error of a handshake, or of a read soon after it. Out: an error of the same kind with the explanation. With
//! TLS 1.3, the store checks our certificate after our side of the handshake is done, so its refusal arrives with a read.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::handshake::is_of_certificate;

/// A known fault.
struct Fault {
    /// What is wrong, and the keys that are involved.
    words: &'static str,
    /// How to fix it.
    help: &'static str,
}

const NO_TLS: Fault = Fault {
    words: "the store does not speak TLS on this port",
    help: "drop the `s` of the URL's scheme, or use the store's TLS port",
};
const HUNG_UP: Fault = Fault {
    words: "the store closed the connection in the handshake: it may not speak TLS on this port",
    help: "if it does not speak TLS, drop the `s` of the URL's scheme; if it does, its log says more",
};
const TOO_OLD: Fault = Fault {
    words: "the store supports neither TLS 1.2 nor TLS 1.3",
    help: "turn on TLS 1.2 or 1.3 at the store",
};
const HANDSHAKE_REFUSED: Fault = Fault {
    words: "the store refuses the handshake: it may want a client's certificate (`tls.certificate`), or other ciphers",
    help: "if it requires client certificates, set `tls.certificate` and `tls.key`; if not, its log says more",
};
const WANTS_CERTIFICATE: Fault = Fault {
    words: "the store wants a client's certificate, and gets none (`tls.certificate`)",
    help: "set `tls.certificate` and `tls.key`",
};
const OURS_NOT_TAKEN: Fault = Fault {
    words: "the store rejects the client's certificate (`tls.certificate`)",
    help: "set `tls.certificate` and `tls.key` to a certificate that the store trusts, and to its key",
};
const UNKNOWN_ISSUER: Fault = Fault {
    words: "the store's certificate is not signed by a trusted authority (`tls.ca`)",
    help: "set `tls.ca` to the certificate of the authority that signs the store's",
};
const OTHER_NAME: Fault = Fault {
    words: "the store's certificate is for other names than this one (`tls.server_name`)",
    help: "set `tls.server_name` to a name in the store's certificate, if that is the right store",
};
const UNKNOWN_NAME: Fault = Fault {
    words: "the store does not know the name that it is asked for (`tls.server_name`)",
    help: "set `tls.server_name` to the store's own name",
};
const EXPIRED: Fault = Fault {
    words: "the store's certificate has expired",
    help: "renew the store's certificate, and see that the clock of this machine is right",
};
const NOT_YET: Fault = Fault {
    words: "the store's certificate is not valid yet",
    help: "see that the clock of this machine is right, and from when the store's certificate is valid",
};
const NOT_VERIFIED: Fault = Fault {
    words: "the store's certificate can't be verified",
    help: "give the store a certificate for servers that `tls.ca` has signed",
};

/// Refusals that the clients of PostgreSQL and MySQL tell in their own words.
const OF_CLIENTS: [&Fault; 2] = [
    &Fault {
        words: "server does not support TLS",
        help: "turn on TLS at the server (`ssl = on`), or connect without it (`sslmode=disable` in the URL)",
    },
    &Fault {
        words: "server does not have this capability",
        help: "turn on TLS at the server, or connect without it (`ssl-mode=DISABLED` in the URL)",
    },
];

const ALL: [&Fault; 12] = [
    &NO_TLS,
    &HUNG_UP,
    &TOO_OLD,
    &HANDSHAKE_REFUSED,
    &WANTS_CERTIFICATE,
    &OURS_NOT_TAKEN,
    &UNKNOWN_ISSUER,
    &OTHER_NAME,
    &UNKNOWN_NAME,
    &EXPIRED,
    &NOT_YET,
    &NOT_VERIFIED,
];

/// A fault and the library's message.
#[derive(Debug)]
struct Explained {
    words: &'static str,
    cause: io::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cause is part of the message. As a source it would be printed twice.
        write!(f, "{} ({})", self.words, self.cause)
    }
}

impl std::error::Error for Explained {}

/// Explains a failed handshake.
pub fn of_handshake(err: io::Error) -> io::Error {
    use io::ErrorKind as Kind;
    match err.kind() {
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe => explain(err, &HUNG_UP),
        _ => of_stream(err),
    }
}

/// Explains why a stream broke, if the reason has to do with TLS.
pub fn of_stream(err: io::Error) -> io::Error {
    let cause = err.get_ref().and_then(|err| err.downcast_ref());
    match cause.and_then(fault) {
        Some(fault) => explain(err, fault),
        None => err,
    }
}

/// How to fix the fault that an error's text names. When this is called, the errors of all kinds of stores are already
/// text.
pub fn help(detail: &str) -> Option<&'static str> {
    let mut known = ALL.iter().chain(&OF_CLIENTS);
    let known = known.find(|fault| detail.contains(fault.words));
    known.map(|fault| fault.help)
}

fn explain(cause: io::Error, fault: &Fault) -> io::Error {
    let words = fault.words;
    io::Error::new(cause.kind(), Explained { words, cause })
}

fn fault(err: &TlsError) -> Option<&'static Fault> {
    match err {
        TlsError::InvalidMessage(_) => Some(&NO_TLS),
        TlsError::PeerIncompatible(_) => Some(&TOO_OLD),
        TlsError::InvalidCertificate(why) => Some(of_theirs(why)),
        TlsError::AlertReceived(alert) => of_alert(*alert),
        _ => None,
    }
}

/// Why we refuse the store's certificate.
fn of_theirs(why: &CertificateError) -> &'static Fault {
    use CertificateError as Why;
    match why {
        Why::UnknownIssuer => &UNKNOWN_ISSUER,
        Why::NotValidForName | Why::NotValidForNameContext { .. } => &OTHER_NAME,
        Why::Expired | Why::ExpiredContext { .. } => &EXPIRED,
        Why::NotValidYet | Why::NotValidYetContext { .. } => &NOT_YET,
        _ => &NOT_VERIFIED,
    }
}

/// Why the store refuses us.
fn of_alert(alert: AlertDescription) -> Option<&'static Fault> {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => Some(&WANTS_CERTIFICATE),
        Alert::AccessDenied => Some(&OURS_NOT_TAKEN),
        alert if is_of_certificate(alert) => Some(&OURS_NOT_TAKEN),
        Alert::HandshakeFailure => Some(&HANDSHAKE_REFUSED),
        Alert::ProtocolVersion => Some(&TOO_OLD),
        Alert::UnrecognisedName => Some(&UNKNOWN_NAME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{InvalidMessage, PeerIncompatible};

    use super::*;

    fn tls(err: TlsError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, err)
    }

    #[test]
    fn each_failure_names_the_key_to_change() {
        let alert = |alert| tls(TlsError::AlertReceived(alert));
        let theirs = |why| tls(TlsError::InvalidCertificate(why));
        for (err, word, fix) in [
            (
                theirs(CertificateError::UnknownIssuer),
                "UnknownIssuer",
                "set `tls.ca`",
            ),
            (
                theirs(CertificateError::NotValidForName),
                "NotValidForName",
                "set `tls.server_name`",
            ),
            (
                theirs(CertificateError::Expired),
                "has expired",
                "renew the store's",
            ),
            (
                alert(AlertDescription::CertificateRequired),
                "gets none",
                "set `tls.certificate` and `tls.key`",
            ),
            (
                alert(AlertDescription::UnknownCA),
                "UnknownCA",
                "that the store trusts",
            ),
            (
                tls(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)),
                "does not speak TLS",
                "drop the `s`",
            ),
            (
                tls(TlsError::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13,
                )),
                "neither TLS 1.2 nor",
                "1.2 or 1.3",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                "may not speak TLS",
                "drop the `s`",
            ),
        ] {
            let kind = err.kind();
            let err = of_handshake(err);
            assert_eq!(err.kind(), kind);
            let detail = format!("can't connect to a:1: {err}");
            assert!(detail.contains(word), "{detail}");
            let help = help(&detail).expect("a known fault");
            assert!(help.contains(fix), "{detail}: {help}");
        }
    }

    #[test]
    fn errors_that_are_not_about_tls_stay_as_they_are() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(of_handshake(refused()).to_string(), refused().to_string());
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(of_stream(gone()).to_string(), gone().to_string());
        assert_eq!(help(&refused().to_string()), None);
    }

    #[test]
    fn no_message_is_part_of_another() {
        for fault in ALL {
            assert_eq!(help(fault.words), Some(fault.help));
        }
    }
}
