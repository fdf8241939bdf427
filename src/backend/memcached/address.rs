//! Where a server is: `"cache-1:11211"` or `"unix:///run/memcached.sock"`.
//!
//! Checked when the configuration is read. An IPv6 address is refused, because the clients of a server have to agree on its
//! name on the ring; a name may have IPv6 addresses.

pub(super) use crate::backend::net::Address;
use crate::config::Section;

/// The port that ketama omits from a server's name.
const STANDARD_PORT: u16 = 11211;
/// The longest name that DNS can carry.
const HOST_BYTES_MAX: usize = 253;

impl Address {
    /// Takes `servers`; problems go to the section.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Vec<Self>> {
        const EXAMPLE: &str = "servers = [\"127.0.0.1:11211\"]";
        if !section.has("servers") {
            section.missing("servers", EXAMPLE);
        }
        let (texts, place) = section.strings("servers")?;
        if texts.is_empty() {
            let help = Some(format!("such as `{EXAMPLE}`"));
            section.bad(&place, "no server is named", help);
            return None;
        }
        let mut addresses = Vec::with_capacity(texts.len());
        for (text, place) in &texts {
            match Address::parse(text) {
                Ok(address) if addresses.contains(&address) => {
                    section.bad(place, format!("`{text}` is listed twice"), None);
                }
                Ok(address) => addresses.push(address),
                Err(help) => {
                    let message = format!("`{text}` is not the address of a server");
                    section.bad(place, message, Some(help.into()));
                }
            }
        }
        (addresses.len() == texts.len()).then_some(addresses)
    }

    /// Parses `text`, or says what is expected.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const TCP: &str = "`\"host:port\"`, such as `\"127.0.0.1:11211\"`, or `\"unix:///path\"`";
        if let Some(path) = text.strip_prefix("unix://") {
            // No URL would have to percent-encode these.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,=~".contains(&byte);
            if path.starts_with('/') && path.bytes().all(plain) {
                return Ok(Address::Unix(path.to_owned()));
            }
            return Err("an absolute path of letters, digits and `/._-+@:,=~`");
        }
        let (host, port) = text.rsplit_once(':').ok_or(TCP)?;
        if host.contains(':') {
            return Err("IPv6 addresses can't be used; give a name or an IPv4 address");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(plain) {
            return Err(TCP);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if port > 0 && digits => Ok(Address::Tcp(host.to_owned(), port)),
            _ => Err("a port is 1 to 65535"),
        }
    }

    /// The address as a URL.
    #[cfg(any(test, fuzzing))]
    pub(super) fn url(&self) -> String {
        match self {
            Address::Tcp(host, port) => format!("tcp://{host}:{port}"),
            Address::Unix(path) => format!("unix://{path}"),
        }
    }

    /// Its name on the ring, as libmemcached spells it.
    pub(super) fn ring_name(&self) -> String {
        match self {
            Address::Tcp(host, STANDARD_PORT) => host.clone(),
            Address::Tcp(host, port) => format!("{host}:{port}"),
            Address::Unix(path) => format!("{path}:0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_names() {
        let names = |text| Address::parse(text).map(|address| (address.url(), address.ring_name()));
        let both = |url: &str, name: &str| Ok((url.to_owned(), name.to_owned()));
        assert_eq!(
            names("127.0.0.1:11211"),
            both("tcp://127.0.0.1:11211", "127.0.0.1")
        );
        assert_eq!(
            names("cache-1.example:211"),
            both("tcp://cache-1.example:211", "cache-1.example:211")
        );
        assert_eq!(
            names("unix:///run/m.sock"),
            both("unix:///run/m.sock", "/run/m.sock:0")
        );
    }

    #[test]
    fn invalid_addresses() {
        for bad in [
            "",
            "cache",
            ":11211",
            "cache:",
            "cache:0",
            "cache:65536",
            "cache:+1",
            "ca che:1",
            "cache\r\n:1",
            "a@b:1",
            "tcp://cache:1",
            "[::1]:11211",
            "::1",
            "unix://m.sock",
            "unix:///m sock",
            "unix:///%2e",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Address::parse(&format!("{}:1", "a".repeat(254))).is_err());
    }
}
