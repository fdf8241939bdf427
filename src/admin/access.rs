//! Decides who may read what on this port.
//!
//! Probes are open to everybody who may connect. If the port verifies certificates of clients, everything else takes one. If
//! there is a token, everything else takes it: as a bearer token, or as the password that a browser asks for. Without either, what shows calls is only shown on an address of this machine, and there a page
//! in a browser cannot read anything by giving its own name this machine's address.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap};

use crate::config::AdminToken;

/// Who may read.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) token: Option<AdminToken>,
    /// The port is on an address of this machine only.
    pub(super) is_local: bool,
}

/// How a client has come, and what that shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Without TLS, as the port speaks.
    Plain,
    /// Without TLS to a port that requires it.
    PlainToTls,
    /// With TLS, and no certificate is asked for.
    Encrypted,
    /// With TLS, but without the certificate that it may present.
    Unknown,
    /// With TLS and a certificate that was verified.
    Known,
}

/// Whether the port may change something or make calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Given,
    /// The configuration says that it may not.
    Off,
    /// The configuration says nothing, and other machines reach the port.
    OtherAddress,
}

impl Permission {
    /// By what is configured, and whether the port is on an address of this machine only.
    pub fn new(configured: Option<bool>, is_local: bool) -> Self {
        match configured {
            Some(true) => Permission::Given,
            Some(false) => Permission::Off,
            None if is_local => Permission::Given,
            None => Permission::OtherAddress,
        }
    }
}

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Whether the server is well.
    Health,
    /// Numbers, and texts that everybody has.
    Numbers,
    /// Calls and their callers.
    Calls,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The token is missing or wrong.
    Token,
    /// The client has presented no certificate.
    Certificate,
    /// The request is not encrypted.
    Plain,
    /// Other machines reach the port, and it has no token.
    Open,
    /// The request names a host that may be anybody's, and the port has no token.
    Host,
}

impl Access {
    pub(super) fn check(&self, shows: Shows, headers: &HeaderMap, via: Via) -> Result<(), Denied> {
        match &self.token {
            _ if via == Via::PlainToTls => Err(Denied::Plain),
            _ if shows == Shows::Health => Ok(()),
            _ if via == Via::Unknown => Err(Denied::Certificate),
            Some(token) => {
                let given = headers.get(AUTHORIZATION);
                let given = given.and_then(|given| credentials(given.as_bytes()));
                let fits = given.is_some_and(|given| token.is(&given));
                if fits { Ok(()) } else { Err(Denied::Token) }
            }
            None if via == Via::Known => Ok(()),
            None if shows == Shows::Calls && !self.is_local => Err(Denied::Open),
            // With TLS, another name is not one of the certificate.
            None if via == Via::Plain && self.is_local && !names_this_machine(headers) => {
                Err(Denied::Host)
            }
            None => Ok(()),
        }
    }
}

/// Whether no name in a public domain stands in `Host`. A browser always sends it, with the name in the page's URL.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.all(|host| host.to_str().is_ok_and(is_address_or_localhost))
}

/// Whether this is an IP address, `localhost` or a name that ends in `.localhost`, with or without a port.
fn is_address_or_localhost(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    let in_brackets = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if let Some(address) = in_brackets {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

/// The token of `Bearer TOKEN`, or the password of `Basic base64(NAME:PASSWORD)`.
fn credentials(header: &[u8]) -> Option<Arc<[u8]>> {
    let at = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&header[..at], header[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.into());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = base64(rest)?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].into())
}

/// Decodes base64 (RFC 4648, section 4).
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"="));
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(text.len());
    for digit in digits.unwrap_or(text) {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: &Access, shows: Shows, given: Option<&str>) -> Result<(), Denied> {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(AUTHORIZATION, given.parse().expect("a header"));
        }
        access.check(shows, &headers, Via::Plain)
    }

    #[test]
    fn a_certificate_is_asked_for_as_well_as_a_token() {
        use Denied::{Certificate, Host, Open, Plain, Token};
        let headers = |pairs: &[(_, &str)]| {
            let pairs = pairs.iter().cloned();
            let pairs = pairs.map(|(name, value)| (name, value.parse().expect("a header")));
            pairs.collect::<HeaderMap>()
        };
        let none = headers(&[(HOST, "admin.example:9091")]);
        let fits = headers(&[
            (HOST, "admin.example:9091"),
            (AUTHORIZATION, "Bearer s3cret-and-long"),
        ]);
        let access = |token: bool, is_local| Access {
            token: token.then(|| AdminToken::new("s3cret-and-long")),
            is_local,
        };
        for (access, via, without, with) in [
            (access(false, false), Via::Plain, Err(Open), Err(Open)),
            (access(false, false), Via::Encrypted, Err(Open), Err(Open)),
            (
                access(false, false),
                Via::Unknown,
                Err(Certificate),
                Err(Certificate),
            ),
            (access(false, false), Via::Known, Ok(()), Ok(())),
            (access(true, false), Via::Encrypted, Err(Token), Ok(())),
            (
                access(true, false),
                Via::Unknown,
                Err(Certificate),
                Err(Certificate),
            ),
            (access(true, false), Via::Known, Err(Token), Ok(())),
            (access(true, false), Via::PlainToTls, Err(Plain), Err(Plain)),
            (access(false, true), Via::Plain, Err(Host), Err(Host)),
            (access(false, true), Via::Encrypted, Ok(()), Ok(())),
            (
                access(false, true),
                Via::Unknown,
                Err(Certificate),
                Err(Certificate),
            ),
            (access(false, true), Via::Known, Ok(()), Ok(())),
        ] {
            let check = |headers| access.check(Shows::Calls, headers, via);
            assert_eq!(
                (check(&none), check(&fits)),
                (without, with),
                "{via:?} {access:?}"
            );
            let health = access.check(Shows::Health, &none, via);
            assert_eq!(health.is_ok(), via != Via::PlainToTls, "{via:?}");
        }
    }

    #[test]
    fn with_a_token_only_probes_are_open() {
        let access = Access {
            token: Some(AdminToken::new("s3cret-and-long")),
            is_local: true,
        };
        assert_eq!(check(&access, Shows::Health, None), Ok(()));
        for shows in [Shows::Numbers, Shows::Calls] {
            for given in [
                "Bearer s3cret-and-long",
                "bearer  s3cret-and-long",
                "Basic b3BzOnMzY3JldC1hbmQtbG9uZw==",
            ] {
                assert_eq!(check(&access, shows, Some(given)), Ok(()), "{given}");
            }
            for given in [
                "Bearer s3cret",
                "Bearer s3cret-and-longer",
                "Bearer",
                "Basic b3BzOnMzY3JldA==",
                "Basic b3Bz",
                "Basic ?",
                "Digest s3cret-and-long",
            ] {
                assert_eq!(
                    check(&access, shows, Some(given)),
                    Err(Denied::Token),
                    "{given}"
                );
            }
            assert_eq!(check(&access, shows, None), Err(Denied::Token));
        }
    }

    #[test]
    fn without_a_token_calls_are_shown_on_this_machine_only() {
        for is_local in [true, false] {
            let access = Access {
                token: None,
                is_local,
            };
            assert_eq!(check(&access, Shows::Numbers, None), Ok(()));
            let calls = if is_local { Ok(()) } else { Err(Denied::Open) };
            assert_eq!(check(&access, Shows::Calls, None), calls);
        }
    }

    #[test]
    fn without_a_token_a_local_port_has_no_other_names() {
        let check = |access: &Access, shows: Shows, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().expect("a header"));
            }
            access.check(shows, &headers, Via::Plain)
        };
        let local = Access {
            token: None,
            is_local: true,
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:9091",
            "10.0.0.1",
            "[::1]",
            "[::1]:9091",
            "localhost",
            "LocalHost:9091",
            "tributary.localhost:80",
        ] {
            assert_eq!(check(&local, Shows::Calls, &[host]), Ok(()), "{host}");
        }
        assert_eq!(check(&local, Shows::Calls, &[]), Ok(()), "not a browser");
        for host in [
            "evil.example",
            "evil.example:9091",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "[evil.example]",
            "::1",
            "",
            ":9091",
            "evil.example:127.0.0.1",
        ] {
            for shows in [Shows::Numbers, Shows::Calls] {
                assert_eq!(check(&local, shows, &[host]), Err(Denied::Host), "{host}");
            }
            assert_eq!(check(&local, Shows::Health, &[host]), Ok(()), "{host}");
        }
        let both = ["localhost", "evil.example"];
        assert_eq!(check(&local, Shows::Calls, &both), Err(Denied::Host));
        let open = Access {
            token: None,
            is_local: false,
        };
        assert_eq!(check(&open, Shows::Numbers, &["evil.example"]), Ok(()));
    }
}
