//! Reads `[traces]`: which calls are sent to a collector of traces, where it is, and how traces are passed on to stores.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::http::uri::{PathAndQuery, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use toml::de::DeValue;

use crate::backend::http::{has_valid_port, read_headers};
use crate::backend::tls::{Reported, Tls};
use crate::config::{Definition, Place, Section};
use crate::context::Propagation;

/// `[traces]`
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// Which calls are sent; a reload changes it.
    pub which: TracedCalls,
    /// Where they are sent.
    pub collector: Arc<Collector>,
    /// How many calls may wait to be sent. More are dropped and counted.
    pub queue: usize,
    /// How many calls one request carries at most.
    pub batch_max: usize,
    /// What the table says besides `which`: to change that takes a restart.
    pub definition: Definition,
}

/// Which calls are sent, and how their trace is passed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TracedCalls {
    /// This share of the calls whose caller has not decided.
    pub share: f64,
    /// All calls that take at least so long.
    pub slow: Duration,
    /// At most so many per second and event loop.
    pub per_second_max: usize,
    /// How stores learn of the trace.
    pub propagation: Propagation,
}

/// Where traces are sent, and how.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The whole URL.
    pub url: Uri,
    /// TLS and the name of the certificate, for `https:`.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// How long one request may take, connecting included.
    pub timeout: Duration,
    /// Bodies are JSON instead of protobuf.
    pub json: bool,
    /// Bodies are compressed with gzip.
    pub gzip: bool,
    /// What describes this server: names and values.
    pub resource: Vec<(String, String)>,
}

const SHARE: f64 = 0.01;
const SLOW: Duration = Duration::from_secs(1);
const PER_SECOND: usize = 1000;
const QUEUE: usize = 4096;
const BATCH: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_mins(1);
/// Where a collector takes traces unless the URL says otherwise.
const PATH: &str = "/v1/traces";
const ENDPOINT: &str = "endpoint = \"http://127.0.0.1:4318/v1/traces\"";

/// Reads `[traces]` from the whole file; `None` if it is missing or has problems.
pub(super) fn read_traces(root: &mut Section<'_>) -> Option<TracesConfig> {
    let mut section = root.section("traces")?;
    let before = section.document().problems.len();
    let which = read_which(&mut section);
    let definition = section.definition();
    let collector = read_collector(&mut section);
    let queue = section.count("queue", QUEUE, 1_000_000);
    let batch_max = section.count("batch_max", BATCH, 10_000);
    let document = section.document();
    section.finish();
    let collector = collector.filter(|_| document.problems.len() == before)?;
    Some(TracesConfig {
        which,
        collector: Arc::new(collector),
        queue,
        batch_max,
        definition,
    })
}

fn read_which(section: &mut Section<'_>) -> TracedCalls {
    TracedCalls {
        share: section.number("share", 0.0..=1.0).unwrap_or(SHARE),
        slow: section.timeout("slow").unwrap_or(SLOW),
        per_second_max: section.count("per_second_max", PER_SECOND, 1_000_000),
        propagation: read_propagation(section).unwrap_or_default(),
    }
}

fn read_propagation(section: &mut Section<'_>) -> Option<Propagation> {
    let (words, _) = section.strings("propagate")?;
    let mut propagation = Propagation {
        w3c: false,
        b3: false,
        b3_multi: false,
    };
    for (word, place) in words {
        match &*word {
            "w3c" => propagation.w3c = true,
            "b3" => propagation.b3 = true,
            "b3_multi" => propagation.b3_multi = true,
            _ => {
                let help = "one of `w3c`, `b3` and `b3_multi`";
                section.bad(
                    &place,
                    format!("`{word}` is not known here"),
                    Some(help.into()),
                );
            }
        }
    }
    Some(propagation)
}

fn read_collector(section: &mut Section<'_>) -> Option<Collector> {
    let endpoint = if section.has("endpoint") {
        section.secret("endpoint", ENDPOINT)
    } else {
        section.required_string("endpoint", ENDPOINT)
    };
    let headers = read_own_headers(section);
    let tls = Tls::read(section);
    let json = section.word("encoding", &["protobuf", "json"]);
    let compression = section.word("compression", &["gzip", "none"]);
    let timeout = read_timeout(section);
    let resource = read_resource(section);
    let (endpoint, place) = endpoint?;
    let url = read_url(section, &endpoint, &place)?;
    let tls = secure(section, (&url, &place), tls.ok()?).ok()?;
    let gzip = match compression {
        Some((word, _)) => word == "gzip",
        // Compressing takes more of this machine's time than it saves.
        None => !is_local(&url),
    };
    Some(Collector {
        url,
        tls,
        headers: headers?,
        timeout,
        json: matches!(json, Some(("json", _))),
        gzip,
        resource,
    })
}

/// Headers of every request, except those that say how its body is written.
fn read_own_headers(section: &mut Section<'_>) -> Option<HeaderMap> {
    let place = section.place_of("headers");
    let headers = read_headers(section, HeaderMap::new())?;
    for (name, key) in [
        (CONTENT_TYPE, "encoding"),
        (CONTENT_ENCODING, "compression"),
    ] {
        if let Some(place) = place.as_ref().filter(|_| headers.contains_key(&name)) {
            let help = format!("leave it out: `{key}` decides it");
            section.bad(place, format!("`{name}` is not free"), Some(help));
        }
    }
    Some(headers)
}

fn read_timeout(section: &mut Section<'_>) -> Duration {
    let place = section.place_of("timeout");
    let timeout = section.timeout("timeout").unwrap_or(TIMEOUT);
    if let Some(place) = place.filter(|_| timeout > TIMEOUT_MAX) {
        section.bad(
            &place,
            "the time is out of range",
            Some("at most 1m".into()),
        );
    }
    timeout
}

/// The attributes of this server: texts by name.
fn read_resource(section: &mut Section<'_>) -> Vec<(String, String)> {
    let Some(mut table) = section.section("resource") else {
        return Vec::new();
    };
    let mut resource = Vec::new();
    for name in table.keys() {
        match table.take_named(&name) {
            Some((DeValue::String(text), place)) => {
                let text = table.resolve_secret(text.into_owned(), &place);
                resource.extend(text.map(|text| (name, text)));
            }
            Some((other, place)) => table.expected(&place, "a string", &other),
            None => {}
        }
    }
    resource
}

/// Problems never show the URL: it may come from a secret.
fn read_url(section: &Section<'_>, text: &str, place: &Place) -> Option<Uri> {
    let bad = |message: &str, help: String| {
        section.bad(place, message, Some(help));
        None
    };
    let parts = text.parse::<Uri>().map(Uri::into_parts);
    let Some(mut parts) = parts.ok().filter(|of| of.authority.is_some()) else {
        return bad("not a whole URL", format!("as in `{ENDPOINT}`"));
    };
    if ![Some(Scheme::HTTP), Some(Scheme::HTTPS)].contains(&parts.scheme) {
        let help = "traces are sent over OTLP/HTTP, whose port is usually 4318";
        return bad("only `http:` and `https:` are supported", help.into());
    }
    if parts
        .authority
        .as_ref()
        .is_some_and(|of| of.as_str().contains('@'))
    {
        let help = "add `headers = { authorization = \"env:NAME\" }` instead";
        return bad("user and password don't belong in the URL", help.into());
    }
    if !parts.authority.as_ref().is_some_and(has_valid_port) {
        let help = format!("as in `{ENDPOINT}`");
        return bad("the port is not a number from 1 to 65535", help);
    }
    let has_path = parts.path_and_query.as_ref().is_some_and(|of| of != "/");
    if !has_path {
        parts.path_and_query = Some(PathAndQuery::from_static(PATH));
    }
    Uri::from_parts(parts).ok()
}

/// Whether the host is this machine, as far as its name says.
fn is_local(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let addr = bare.unwrap_or(host).parse::<IpAddr>();
    addr.is_ok_and(|addr| addr.is_loopback()) || host.eq_ignore_ascii_case("localhost")
}

type Secure = (Arc<ClientConfig>, ServerName<'static>);

/// TLS as configured by the URL and the key `tls`.
fn secure(
    section: &Section<'_>,
    (url, place): (&Uri, &Place),
    tls: Option<Tls>,
) -> Result<Option<Secure>, Reported> {
    let bad = |message: &str, help: &str| {
        section.bad(place, message, Some(help.into()));
        Err(Reported)
    };
    if url.scheme() == Some(&Scheme::HTTP) {
        return match tls {
            None => Ok(None),
            Some(_) => bad(
                "with `tls` the URL begins with `https:`",
                "or leave out `tls`",
            ),
        };
    }
    let tls = tls.unwrap_or_else(Tls::verified);
    let Ok(name) = tls.name(url.host().unwrap_or_default()) else {
        let help = "add `tls = { server_name = \"..\" }` beside `endpoint`";
        return bad("the host is not a name that a certificate could have", help);
    };
    Ok(Some((tls.client(&[b"http/1.1"]), name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(keys: &str) -> (Option<TracesConfig>, Vec<String>) {
        let document = document(&format!("[traces]\n{keys}"));
        let read = read_traces(&mut whole(&document));
        let problems = document.problems.into_vec().into_iter();
        (read, problems.map(|problem| problem.message).collect())
    }

    #[test]
    fn only_the_endpoint_is_required() {
        assert!(read_traces(&mut whole(&document(""))).is_none());
        assert_eq!(read("").1, ["`endpoint` is missing"]);
        let (config, problems) = read("endpoint = 'http://collector:4318'");
        assert_eq!(problems, [""; 0]);
        let config = config.expect("no problems");
        let collector = &config.collector;
        assert_eq!(collector.url, "http://collector:4318/v1/traces");
        assert!(collector.tls.is_none() && !collector.json && collector.gzip);
        let which = TracedCalls {
            share: 0.01,
            slow: Duration::from_secs(1),
            per_second_max: 1000,
            propagation: Propagation::default(),
        };
        assert_eq!(config.which, which);
        assert_eq!((config.queue, config.batch_max), (4096, 256));
    }

    #[test]
    fn requests_to_this_machine_are_not_compressed_unless_that_is_asked_for() {
        let gzip = |endpoint: &str, keys: &str| {
            let (config, problems) = read(&format!("endpoint = '{endpoint}'\n{keys}"));
            assert_eq!(problems, [""; 0]);
            config.expect("no problems").collector.gzip
        };
        for local in [
            "http://127.0.0.1:4318",
            "http://[::1]:4318/x",
            "http://LocalHost",
        ] {
            assert!(!gzip(local, ""), "{local}");
            assert!(gzip(local, "compression = 'gzip'"), "{local}");
        }
        for other in [
            "http://10.0.0.1:4318",
            "http://[fd00::1]",
            "http://localhost.example",
        ] {
            assert!(gzip(other, ""), "{other}");
            assert!(!gzip(other, "compression = 'none'"), "{other}");
        }
    }

    #[test]
    fn every_key_is_read() {
        let (config, problems) = read(
            "endpoint = 'https://collector.example/otlp?tenant=a'\nshare = 1\nslow = '5ms'\n\
             per_second_max = 7\npropagate = ['b3', 'b3_multi']\nheaders = { api-key = 'k' }\n\
             tls = { server_name = 'other.example' }\nencoding = 'json'\ncompression = 'none'\n\
             timeout = '3s'\nqueue = 5\nbatch_max = 2\nresource = { 'service.name' = 'flights' }",
        );
        assert_eq!(problems, [""; 0]);
        let config = config.expect("no problems");
        assert_eq!((config.which.share, config.which.per_second_max), (1.0, 7));
        let propagation = config.which.propagation;
        assert_eq!(
            (propagation.w3c, propagation.b3, propagation.b3_multi),
            (false, true, true)
        );
        let collector = &config.collector;
        assert_eq!(collector.url, "https://collector.example/otlp?tenant=a");
        assert!(collector.tls.is_some() && collector.json && !collector.gzip);
        assert_eq!(collector.headers.len(), 1);
        assert_eq!(
            collector.resource,
            [("service.name".into(), "flights".into())]
        );
        assert_eq!(collector.timeout, Duration::from_secs(3));
        assert_eq!((config.queue, config.batch_max), (5, 2));
    }

    #[test]
    fn what_a_reload_can_change_does_not_count_as_a_new_collector() {
        let definition = |keys: &str| {
            let (config, _) = read(&format!("endpoint = 'http://c'\n{keys}"));
            config.expect("no problems").definition
        };
        let first = definition("");
        assert!(first == definition("share = 0.5\nslow = '2s'\npropagate = ['b3']"));
        assert!(first != definition("queue = 17"));
    }

    #[test]
    fn mistakes_are_named() {
        let with = |keys: &str| read(&format!("endpoint = 'http://c'\n{keys}")).1;
        assert_eq!(with("share = 1.5").len(), 1);
        assert_eq!(with("slow = '0s'").len(), 1);
        assert_eq!(with("timeout = '2m'"), ["the time is out of range"]);
        assert_eq!(
            with("propagate = ['jaeger']"),
            ["`jaeger` is not known here"]
        );
        assert_eq!(with("resource = { a = 1 }").len(), 1);
        assert_eq!(with("sampling = 1").len(), 1);
        assert_eq!(
            with("tls = { verify = 'none' }"),
            ["with `tls` the URL begins with `https:`"]
        );
        for (header, problem) in [
            ("Content-Type", "`content-type` is not free"),
            ("content-encoding", "`content-encoding` is not free"),
            ("content-length", "HTTP itself writes this header"),
            ("Host", "HTTP itself writes this header"),
        ] {
            assert_eq!(with(&format!("headers = {{ {header} = 'a' }}")), [problem]);
        }
        for url in [
            "collector:4318",
            "/v1/traces",
            "grpc://c:4317",
            "http://u:p@c",
            "http://127.0.0.1:99999",
            "http://[::1]:0",
        ] {
            let (config, problems) = read(&format!("endpoint = '{url}'"));
            assert!(
                config.is_none() && problems.len() == 1,
                "{url}: {problems:?}"
            );
            assert!(!problems[0].contains(url), "{problems:?}");
        }
    }
}
