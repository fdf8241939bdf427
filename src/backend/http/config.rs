//! Reads the keys of `[backends.NAME]`: where the server is and what every request to it carries.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::backend::endpoints;
use crate::backend::net::age_max;
use crate::backend::tls::{Reported, Tls};
use crate::config::{Place, Section};

/// How long a connection may stay unused; shorter than servers and load balancers usually allow.
pub(super) const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(30);

const URL_EXAMPLE: &str = "url = \"http://127.0.0.1:8080/v1\"";

/// Headers that belong to the connection or to the message's framing: HTTP itself writes them.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An HTTP server as `[backends.NAME]` describes it.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) base: Base,
    /// Unused connections each loop keeps.
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
    /// TLS, if the URL asks for it.
    pub(super) tls: Option<Secure>,
    /// Whether to use HTTP/2. Without it, HTTP/1.1, or over TLS the version that the server chooses.
    pub(super) http2: Option<bool>,
    /// Sent with every request.
    pub(super) headers: HeaderMap,
    /// A longer body is `lookup.too_many`.
    pub(super) body_bytes_max: usize,
    /// The servers behind the URL's name, if they are found out while the server runs.
    pub(super) endpoints: Option<endpoints::Config>,
}

/// TLS to the server.
#[derive(Clone, Debug)]
pub(super) struct Secure {
    pub(super) client: Arc<ClientConfig>,
    /// The name that its certificate must have.
    pub(super) name: ServerName<'static>,
}

/// The fixed beginning of every URL.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The base path, without a slash at its end.
    pub(super) path: String,
}

impl Base {
    /// Its host and port.
    pub(super) fn address(&self) -> (String, u16) {
        let usual = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        let port = self.authority.port_u16();
        (self.authority.host().to_owned(), port.unwrap_or(usual))
    }
}

impl Config {
    /// Reads the keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let endpoints = endpoints::Config::read(section);
        let url = section.secret("url", URL_EXAMPLE);
        let connections = section.integer("connections", 1..=4096).unwrap_or(64);
        let timeout = section.timeout("connect_timeout");
        let age_max = age_max(section);
        let body_bytes_max = section.size("body_bytes_max").unwrap_or(16 << 20);
        let http2 = section.bool("http2");
        let headers = read_headers(section, of_backend());
        let tls = Tls::read(section);
        let (endpoints, (url, place)) = (endpoints.ok()?, url?);
        let endpoints = endpoints.map(endpoints::Config::guarded);
        let connect_timeout =
            timeout.unwrap_or_else(|| endpoints::Config::connect_timeout(endpoints.as_ref()));
        let base = base(section, &url, &place)?;
        let tls = secure(section, (&base, &place), tls.ok()?, http2);
        Some(Config {
            base,
            tls: tls.ok()?,
            http2,
            connections: usize::try_from(connections).unwrap_or(64),
            connect_timeout,
            age_max,
            headers: headers?,
            body_bytes_max,
            endpoints,
        })
    }
}

/// Parses and checks the URL. Problems never show it: it may come from a secret.
fn base(section: &Section<'_>, url: &str, place: &Place) -> Option<Base> {
    let bad = |message: &str, help: &str| {
        section.bad(place, message, Some(help.into()));
        None
    };
    let example = format!("as in `{URL_EXAMPLE}`");
    let (Some(uri), false) = (url.parse::<Uri>().ok(), url.contains('#')) else {
        return bad("not a URL", &example);
    };
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return bad("not a whole URL: it needs scheme and host", &example);
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return bad("only `http:` and `https:` are supported", &example);
    }
    if authority.as_str().contains('@') {
        let help = "add `headers = { authorization = \"env:NAME\" }` instead";
        return bad("user and password don't belong in the URL", help);
    }
    if !has_valid_port(&authority) {
        return bad("the port is not a number from 1 to 65535", &example);
    }
    let path = parts
        .path_and_query
        .unwrap_or_else(|| hyper::http::uri::PathAndQuery::from_static("/"));
    if path.query().is_some() {
        return bad(
            "a query can't be fixed here",
            "write it in each lookup's `get`",
        );
    }
    let path = path.path().trim_end_matches('/').to_owned();
    Some(Base {
        scheme,
        authority,
        path,
    })
}

/// Whether the authority, which has no user, has either no port or one that exists. Parsers of URLs take any digits.
pub(crate) fn has_valid_port(authority: &Authority) -> bool {
    let has_port = authority.as_str().len() > authority.host().len();
    !has_port || authority.port_u16().is_some_and(|port| port > 0)
}

/// TLS as configured by the URL and the key `tls`.
fn secure(
    section: &Section<'_>,
    (base, place): (&Base, &Place),
    tls: Option<Tls>,
    http2: Option<bool>,
) -> Result<Option<Secure>, Reported> {
    let bad = |message: &str, help: &str| {
        section.bad(place, message, Some(help.into()));
        Err(Reported)
    };
    if base.scheme == Scheme::HTTP {
        return match tls {
            None => Ok(None),
            Some(_) => bad(
                "with `tls` the URL begins with `https:`",
                "or leave out `tls`",
            ),
        };
    }
    let tls = tls.unwrap_or_else(Tls::verified);
    let Ok(name) = tls.name(base.authority.host()) else {
        let help = "add `tls = { server_name = \"..\" }` beside `url`";
        return bad("the host is not a name that a certificate could have", help);
    };
    let alpn: &[&[u8]] = match http2 {
        None => &[b"h2", b"http/1.1"],
        Some(true) => &[b"h2"],
        Some(false) => &[b"http/1.1"],
    };
    let client = tls.client(alpn);
    Ok(Some(Secure { client, name }))
}

/// The fixed headers of a backend.
fn of_backend() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("tributary/", env!("CARGO_PKG_VERSION"))),
    );
    headers
}

/// Adds the key `headers` to the fixed headers. `None` when one of them can't be sent.
pub(crate) fn read_headers(section: &mut Section<'_>, mut headers: HeaderMap) -> Option<HeaderMap> {
    let configured = read_header_texts(section)?;
    let mut complete = true;
    for (name, text, place) in configured {
        let Some(text) = section.resolve_secret(text, &place) else {
            complete = false;
            continue;
        };
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        } else {
            let message = "a header can't carry line ends and other controls";
            section.bad(&place, message, None);
            complete = false;
        }
    }
    complete.then_some(headers)
}

/// The `headers` table with its names checked. `None` when it has problems.
pub(super) fn read_header_texts(
    section: &mut Section<'_>,
) -> Option<Vec<(HeaderName, String, Place)>> {
    if !section.has("headers") {
        section.take("headers");
        return Some(Vec::new());
    }
    let mut table = section.section("headers")?;
    let before = table.document().problems.len();
    let mut headers = Vec::new();
    for key in table.keys() {
        let name_place = table.place_of_name(&key);
        let Some((value, place)) = table.take_named(&key) else {
            continue;
        };
        let name_place = name_place.unwrap_or_else(|| place.clone());
        let Some(text) = value.as_str() else {
            table.expected(&place, "a string", &value);
            continue;
        };
        match HeaderName::from_bytes(key.as_bytes()) {
            Ok(name) if RESERVED.contains(&name.as_str()) => {
                table.bad(
                    &name_place,
                    "HTTP itself writes this header",
                    Some("leave it out".into()),
                );
            }
            Ok(name) => headers.push((name, text.to_owned(), place)),
            Err(_) => table.bad(&name_place, format!("`{key}` is not a header's name"), None),
        }
    }
    (table.document().problems.len() == before).then_some(headers)
}
