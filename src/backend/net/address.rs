//! Says where a server listens, for the kinds whose servers may also listen on a Unix socket.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::percent_decode_str;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::backend) enum Address {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(String),
}

impl Address {
    /// Its host and port, unless it is a socket's path.
    pub(in crate::backend) fn tcp(&self) -> Option<(String, u16)> {
        match self {
            Address::Tcp(host, port) => Some((host.clone(), *port)),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

/// The one metadata service of a large cloud that is not at a link-local address.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

/// Whether no name may lead to an address, because it is link-local or that of a cloud's metadata service.
pub(in crate::backend) fn is_refused(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => match addr.to_ipv4_mapped() {
            Some(addr) => addr.is_link_local(),
            None => addr.is_unicast_link_local() || addr == METADATA_V6,
        },
    }
}

/// A percent-encoded part of a URL.
pub(in crate::backend) fn percent_decoded(encoded: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(encoded).decode_utf8();
    Ok(decoded.map_err(|_| "it is not UTF-8")?.into_owned())
}
