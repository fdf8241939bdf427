//! Reads where a service is: the keys `url`, `urls` and `tls`.
//!
//! Problems never show a URL: it may come from a secret.

use std::fmt;
use std::sync::Arc;

use toml::de::DeValue;

use crate::backend::endpoints::Target;
use crate::backend::net::Secure;
use crate::backend::tls::Tls;
use crate::config::{Place, Section};
use crate::error::Code;

const URL_EXAMPLE: &str = "url = \"thrift://127.0.0.1:9090\"";
/// The longest name that DNS can carry.
const HOST_BYTES_MAX: usize = 253;

/// The hosts of one service, all with TLS or all without.
#[derive(Clone)]
pub(super) struct Hosts {
    pub(super) hosts: Arc<[Host]>,
    /// TLS, if the URLs ask for it.
    pub(super) secure: Option<Secure>,
}

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
    /// The name for which its certificate must be issued, if not its own.
    pub(super) certified: Option<String>,
}

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    is_tls: bool,
    host: Host,
}

impl Hosts {
    /// Reads the keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let tls = Tls::read(section);
        let (urls, place) = urls(section)?;
        let tls = tls.ok()?;
        let bad = |message: &str, help: &str| {
            section.bad(&place, message, Some(help.into()));
            None
        };
        let is_tls = urls.first()?.is_tls;
        if urls.iter().any(|url| url.is_tls != is_tls) {
            let help = "begin all of them with `thrifts:`, or all with `thrift:`";
            return bad("some of the URLs want TLS and some do not", help);
        }
        let hosts = urls.into_iter().map(|url| url.host).collect();
        if !is_tls {
            return match tls {
                None => Some(Hosts {
                    hosts,
                    secure: None,
                }),
                Some(_) => bad(
                    "with `tls` the URL begins with `thrifts:`",
                    "or leave out `tls`",
                ),
            };
        }
        let tls = tls.unwrap_or_else(Tls::verified);
        if hosts.iter().any(|host| tls.name(&host.name).is_err()) {
            let help = "add `tls = { server_name = \"..\" }` beside it";
            return bad("the host is not a name that a certificate could have", help);
        }
        Some(Hosts {
            hosts,
            secure: Some(Secure::new(tls)),
        })
    }
}

impl Hosts {
    /// Reads the keys of a service whose hosts are endpoints: with TLS if there is a table `tls`.
    pub(super) fn of_endpoints(section: &mut Section<'_>) -> Option<Self> {
        let tls = Tls::read(section);
        for key in ["url", "urls"] {
            if let Some((_, place)) = section.take(key) {
                let message = format!("`{key}` and `endpoints` both say where it is");
                let help = Some("keep one of them".into());
                let document = section.document();
                document.problem(&place, Code::ConfigClash, message, help);
            }
        }
        Some(Hosts {
            hosts: Arc::default(),
            secure: tls.ok()?.map(Secure::new),
        })
    }

    /// One of the endpoints.
    pub(super) fn only(&self, target: &Target) -> Self {
        let host = Host {
            name: target.host.clone(),
            port: target.port,
            certified: target.certified.clone(),
        };
        Hosts {
            hosts: [host].into(),
            secure: self.secure.clone(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// One `url`, or several `urls`: at least one.
fn urls(section: &mut Section<'_>) -> Option<(Vec<Url>, Place)> {
    if !section.has("urls") {
        section.take("urls"); // so that it is suggested for a misspelt key
        let (text, place) = section.secret("url", URL_EXAMPLE)?;
        return Some((vec![url(section, &text, &place)?], place));
    }
    let list = section.take("urls");
    if let Some((_, place)) = section.take("url") {
        let help = Some("keep `urls` for several, `url` for one".into());
        section.bad(&place, "`url` and `urls` both say where it is", help);
        return None;
    }
    let (list, place) = list?;
    let DeValue::Array(list) = &list else {
        section.expected(&place, "an array of strings", &list);
        return None;
    };
    let mut urls: Vec<Url> = Vec::with_capacity(list.len());
    let mut complete = true;
    for item in list {
        let place = Place {
            key: place.key.clone(),
            span: item.span(),
        };
        let Some(text) = item.get_ref().as_str() else {
            section.expected(&place, "a string", item.get_ref());
            complete = false;
            continue;
        };
        let text = section.resolve_secret(text.to_owned(), &place);
        match text.and_then(|text| url(section, &text, &place)) {
            Some(url) if urls.iter().any(|known| known.host == url.host) => {
                section.bad(&place, "the same host and port are listed twice", None);
                complete = false;
            }
            Some(url) => urls.push(url),
            None => complete = false,
        }
    }
    if list.is_empty() {
        let help = Some("such as `urls = [\"thrift://a:9090\", \"thrift://b:9090\"]`".into());
        section.bad(&place, "no host is named", help);
        complete = false;
    }
    complete.then_some((urls, place))
}

fn url(section: &Section<'_>, text: &str, place: &Place) -> Option<Url> {
    let url = parse_url(text);
    if url.is_none() {
        let help =
            format!("`thrift://host:port`, or `thrifts://..` for TLS, as in `{URL_EXAMPLE}`");
        section.bad(place, "not the URL of a Thrift service", Some(help));
    }
    url
}

fn parse_url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let is_tls = match scheme {
        "thrift" => false,
        "thrifts" => true,
        _ => return None,
    };
    let (name, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':')?;
    let name = match name.strip_prefix('[') {
        Some(address) => {
            let address = address.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            address
        }
        None => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let fits = !name.is_empty() && name.len() <= HOST_BYTES_MAX;
            (fits && name.bytes().all(plain)).then_some(name)?
        }
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    let name = name.to_owned();
    Some(Url {
        is_tls,
        host: Host {
            name,
            port,
            certified: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_name_and_a_port() {
        let shown = |url| parse_url(url).map(|url| (url.is_tls, url.host.to_string()));
        for (url, is_tls, host) in [
            ("thrift://127.0.0.1:9090", false, "127.0.0.1:9090"),
            ("thrift://users.internal:1/", false, "users.internal:1"),
            ("thrifts://[::1]:65535", true, "[::1]:65535"),
        ] {
            assert_eq!(shown(url), Some((is_tls, host.to_owned())));
        }
        for url in [
            "127.0.0.1:9090",
            "thrift://",
            "thrift://users",
            "thrift://:9090",
            "thrift://users:0",
            "thrift://users:+1",
            "thrift://users:65536",
            "thrift://user@users:9090",
            "thrift://users:9090/path",
            "thrift://::1:9090",
            "thrift://[users]:9090",
            "http://users:9090",
        ] {
            assert_eq!(shown(url), None, "{url}");
        }
    }
}
