//! Says why a handshake of TLS with a client failed, for the log of the server.
//!
//! In: the library's error, and the first bytes that the client sent. Out: a code, and what happened in words that name the
//! keys that are involved. Refusals of stores are explained where stores are asked.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

use crate::error::Code;
use crate::thrift::proxy_header;

/// Enough to recognise what a proxy in front of the server sends.
pub(crate) const FIRST_BYTES: usize = 16;

/// Why a handshake failed. `first` are the first bytes that the client sent; `whose` keys are named: `this listener`.
pub(crate) fn refusal(err: &io::Error, first: &[u8], whose: &str) -> (Code, String) {
    let cause = err.get_ref().and_then(|err| err.downcast_ref::<TlsError>());
    if let Ok(Some(proxy)) = proxy_header(first) {
        return (proxy.code, proxy.detail);
    }
    let words = match cause {
        Some(TlsError::InvalidMessage(_)) => {
            let words =
                format!("the client does not speak TLS, which {whose} requires: connect with TLS");
            return (Code::WireUnrecognized, words);
        }
        Some(TlsError::NoCertificatesPresented) => {
            format!("the client presented no certificate, which {whose}'s `client` requires")
        }
        Some(TlsError::AlertReceived(alert)) if is_of_certificate(*alert) => {
            format!("the client rejected {whose}'s `certificate`: {alert:?}")
        }
        Some(TlsError::PeerIncompatible(what)) => nothing_in_common(what, whose),
        Some(TlsError::AlertReceived(AlertDescription::ProtocolVersion)) => no_version(whose),
        Some(TlsError::InvalidCertificate(why)) => not_taken(why, whose),
        _ if err.kind() == io::ErrorKind::UnexpectedEof => {
            "the client disconnected during the handshake: it may not speak TLS".to_owned()
        }
        _ => err.to_string(),
    };
    (Code::WireHandshake, words)
}

fn no_version(whose: &str) -> String {
    format!("the client supports none of the TLS versions in {whose}'s `versions`")
}

fn nothing_in_common(what: &PeerIncompatible, whose: &str) -> String {
    use PeerIncompatible as What;
    match what {
        What::SupportedVersionsExtensionRequired
        | What::Tls12NotOffered
        | What::Tls12NotOfferedOrEnabled => no_version(whose),
        other => format!("the client's TLS lacks a required feature: {other:?}"),
    }
}

/// Why a client's certificate is not accepted.
fn not_taken(why: &CertificateError, whose: &str) -> String {
    use CertificateError as Why;
    let words = match why {
        Why::UnknownIssuer => {
            return format!(
                "the client's certificate is not signed by an authority in {whose}'s `client_ca`"
            );
        }
        Why::Expired | Why::ExpiredContext { .. } => "has expired",
        Why::NotValidYet | Why::NotValidYetContext { .. } => "is not valid yet",
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => "is not for clients",
        other => return format!("the client's certificate can't be verified: {other}"),
    };
    format!("the client's certificate {words}")
}

/// Whether the peer says with this alert that it does not take our certificate.
pub(crate) fn is_of_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
    )
}
