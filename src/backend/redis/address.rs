//! Reads the addresses that Redis servers name.

pub(super) use crate::backend::net::Address;

impl Address {
    /// An address with its port: `host:port`, `[address]:port`, or an IPv6 address without brackets, as servers name it.
    pub(super) fn with_port(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("it has no port")?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_plain) {
            return Err("its host has an invalid character, or there is none");
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Address::Tcp(host.to_owned(), port)),
            _ => Err("its port is not a number from 1 to 65535"),
        }
    }
}
