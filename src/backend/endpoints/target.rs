//! Defines a target: the address of one server, as a source lists it.

use std::fmt;

/// The longest name that DNS can carry.
const NAME_BYTES_MAX: usize = 253;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::backend) struct Target {
    /// A name or an address.
    pub(in crate::backend) host: String,
    pub(in crate::backend) port: u16,
    /// The name for which its certificate must be issued, if not its own.
    pub(in crate::backend) certified: Option<String>,
    /// Its share of the questions compared with others.
    pub(in crate::backend) weight: u16,
    /// It is written as an address in the configuration itself, by the operator.
    pub(in crate::backend) is_literal: bool,
}

impl Target {
    /// A server among equals.
    pub(super) fn new(host: impl Into<String>, port: u16) -> Self {
        Target {
            host: host.into(),
            port,
            certified: None,
            weight: 1,
            is_literal: false,
        }
    }

    /// `host:port`, where an IPv6 address stands in brackets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(address) => {
                let address = address.strip_suffix(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                address
            }
            None => Some(host).filter(|host| is_name(host))?,
        };
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0)?;
        Some(Target::new(host, port))
    }

    /// Whether another list means the same server, however much it is to be asked.
    pub(super) fn is_same(&self, other: &Target) -> bool {
        (&self.host, self.port, &self.certified) == (&other.host, other.port, &other.certified)
    }
}

/// Whether it may be a name or an IPv4 address.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(plain)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
