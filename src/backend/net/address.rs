//! Says where a server listens, for the kinds whose servers may also listen on a Unix socket.

use std::fmt;

use percent_encoding::percent_decode_str;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::backend) enum Address {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

/// A percent-encoded part of a URL.
pub(in crate::backend) fn percent_decoded(encoded: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(encoded).decode_utf8();
    Ok(decoded.map_err(|_| "it is not UTF-8")?.into_owned())
}
