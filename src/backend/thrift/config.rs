//! The keys of `[backends.NAME]`: where the service is, what it is, and how it is spoken to.
//!
//! The service's IDL is read here, once; what is wrong with it is reported where it stands in the IDL. Problems never
//! show a URL: it may come from a secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use crate::config::{Place, Section, pick_service, read_idl};
use crate::idl::{Schema, Service};
use crate::thrift::{Limits, Protocol, Shape, Transport};

const URL_EXAMPLE: &str = "url = \"thrift://127.0.0.1:9090\"";
const TRANSPORTS: &[&str] = &["framed", "unframed", "header"];
/// How long a reply that nobody waits for any more may still take: dropped lookups are common, and most replies
/// come within it.
const ABANDONED_MAX: Duration = Duration::from_millis(100);
/// The longest name that DNS can carry.
const HOST_BYTES_MAX: usize = 253;

/// A Thrift service as `[backends.NAME]` describes it.
#[derive(Clone)]
pub struct Config {
    pub(super) remote: Arc<Remote>,
    /// Where it is: each connection begins at another one.
    pub(super) hosts: Arc<[Host]>,
    /// How many connections each loop holds.
    pub(super) connections: usize,
    /// What one attempt to connect may take.
    pub(super) connect_timeout: Duration,
    /// Calls of one connection on their way at a time.
    pub(super) pipelined_max: usize,
    /// How long a reply that nobody waits for may still take before its connection is closed.
    pub(super) abandoned_max: Duration,
}

/// What a service understands.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) schema: Schema,
    /// As an index into the schema's.
    service: usize,
    pub(super) shape: Shape,
    /// For replies.
    pub(super) limits: Limits,
    /// Whether names carry the service's.
    multiplexed: bool,
}

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Config {
    /// Reads the keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let hosts = hosts(section);
        let idl = section.required_string("idl", "idl = \"service.thrift\"");
        let wanted = section.string("service");
        let shape = shape(section);
        let multiplexed = section.bool("multiplexed").unwrap_or(false);
        let connections = section.count("connections", 4, 64);
        let connect_timeout = section.timeout("connect_timeout");
        let pipelined_max = section.count("pipelined_max", 1, 1024);
        let mut limits = Limits::default();
        if let Some(size) = section.size("reply_bytes_max") {
            limits.frame_bytes_max = size;
        }
        let (path, place) = idl?;
        let document = section.document();
        let (schema, problems) = read_idl(document, &section.relative(&path), &place);
        for problem in problems {
            document.problems.push(problem);
        }
        let schema = schema?;
        let service = pick_service(document, &schema, wanted.as_ref(), section.place())?;
        Some(Config {
            remote: Arc::new(Remote {
                schema,
                service,
                shape: shape?,
                limits,
                multiplexed,
            }),
            hosts: hosts?.into(),
            connections,
            connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(1)),
            pipelined_max,
            abandoned_max: ABANDONED_MAX,
        })
    }
}

impl Remote {
    /// The service.
    pub(super) fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }

    /// What a method is called on the wire.
    pub(super) fn name_of(&self, method: &str) -> String {
        if self.multiplexed {
            format!("{}:{method}", self.service().name)
        } else {
            method.to_owned()
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

fn shape(section: &mut Section<'_>) -> Option<Shape> {
    let transport = section.has("transport");
    let transport = match (transport, section.word("transport", TRANSPORTS)) {
        (true, None) => None,
        (_, Some(("unframed", _))) => Some(Transport::Unframed),
        (_, Some(("header", _))) => Some(Transport::Header),
        _ => Some(Transport::Framed),
    };
    let protocol = section.has("protocol");
    let protocol = match (protocol, section.word("protocol", &["binary", "compact"])) {
        (true, None) => None,
        (_, Some(("compact", _))) => Some(Protocol::Compact),
        _ => Some(Protocol::Binary),
    };
    Some(Shape {
        transport: transport?,
        protocol: protocol?,
    })
}

/// One `url`, or several `urls`.
fn hosts(section: &mut Section<'_>) -> Option<Vec<Host>> {
    if !section.has("urls") {
        section.take("urls"); // known, for whoever misspells it
        let (url, place) = section.secret("url", URL_EXAMPLE)?;
        return Some(vec![host(section, &url, &place)?]);
    }
    let urls = section.take("urls");
    if let Some((_, place)) = section.take("url") {
        let help = Some("keep `urls` for several, `url` for one".into());
        section.bad(&place, "`url` and `urls` both say where it is", help);
        return None;
    }
    let (urls, place) = urls?;
    let DeValue::Array(urls) = &urls else {
        section.expected(&place, "an array of strings", &urls);
        return None;
    };
    let mut hosts = Vec::with_capacity(urls.len());
    let mut complete = true;
    for url in urls {
        let place = Place {
            key: place.key.clone(),
            span: url.span(),
        };
        let Some(text) = url.get_ref().as_str() else {
            section.expected(&place, "a string", url.get_ref());
            complete = false;
            continue;
        };
        let text = section.resolve_secret(text.to_owned(), &place);
        match text.and_then(|text| host(section, &text, &place)) {
            Some(host) if hosts.contains(&host) => {
                section.bad(&place, "the same host and port stand twice", None);
                complete = false;
            }
            Some(host) => hosts.push(host),
            None => complete = false,
        }
    }
    if urls.is_empty() {
        let help = Some("such as `urls = [\"thrift://a:9090\", \"thrift://b:9090\"]`".into());
        section.bad(&place, "no host is named", help);
        complete = false;
    }
    complete.then_some(hosts)
}

fn host(section: &Section<'_>, url: &str, place: &Place) -> Option<Host> {
    let host = parse_host(url);
    if host.is_none() {
        let help = format!("`thrift://host:port`, as in `{URL_EXAMPLE}`");
        section.bad(place, "not the URL of a Thrift service", Some(help));
    }
    host
}

fn parse_host(url: &str) -> Option<Host> {
    let rest = url.strip_prefix("thrift://")?;
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
    Some(Host {
        name: name.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_and_a_port() {
        let shown = |url| parse_host(url).map(|host| host.to_string());
        for (url, host) in [
            ("thrift://127.0.0.1:9090", "127.0.0.1:9090"),
            ("thrift://users.internal:1/", "users.internal:1"),
            ("thrift://[::1]:65535", "[::1]:65535"),
        ] {
            assert_eq!(shown(url).as_deref(), Some(host));
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
