//! Reads `[admin]`: the port for operators, which is closed unless it is configured.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::access::TOKEN_BYTES_MIN;
use super::listener::{Endpoint, ListenerConfig, read_listen};
use super::section::{Place, Section};
use super::tls::{ListenerTls, read_tls, requires_clients};
use crate::error::Code;

/// `[admin]`
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The address for probes and scrapes; port 0 takes a free one. It has no default, so that the port is never open by
    /// accident.
    pub listen: String,
    /// Whether the port may be told to remove cached answers. Default: if its address is one of this machine only.
    pub purge: Option<bool>,
    /// Whether the port may make calls. Default: if its address is one of this machine only.
    pub try_it: Option<bool>,
    /// What clients have to present, except probes. Default: nothing; then calls are only shown on this machine.
    pub token: Option<AdminToken>,
    /// TLS of the port. Default: none.
    pub tls: Option<ListenerTls>,
    /// How many calls each loop keeps for the port to show: of its sample and of those that failed, each. 0: none.
    pub calls_kept: usize,
    /// How many calls per second each loop takes into its sample.
    pub calls_sampled: usize,
    /// Whether calls are kept with their parameters and results. Default: no.
    pub calls_values: bool,
    /// When `/readyz` answers 503 because calls are refused. Default: never.
    pub unready_refusals: Option<UnreadyRefusals>,
}

/// `unready_refusals`: how many calls the server may refuse and still be ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnreadyRefusals {
    /// With this share of refusals among all calls, the server is not ready. Default 0.5.
    pub share: f64,
    /// If there are at least so many refusals. Default 100.
    pub count: u64,
    /// The time in which both are counted. Default 5 s.
    pub within: Duration,
    /// How long the server then is not ready at least. Default 10 s.
    pub hold: Duration,
}

impl UnreadyRefusals {
    fn read(mut section: Section<'_>) -> Self {
        let share = section.number("share", 0.01..=1.0).unwrap_or(0.5);
        let count = section.count("count", 100, 1_000_000_000);
        let within = time(&mut section, "within", Duration::from_mins(1));
        let hold = time(&mut section, "for", Duration::from_hours(1));
        section.finish();
        UnreadyRefusals {
            share,
            count: count as u64,
            within: within.unwrap_or(Duration::from_secs(5)),
            hold: hold.unwrap_or(Duration::from_secs(10)),
        }
    }
}

/// Takes a time between a second and `most`.
fn time(section: &mut Section<'_>, key: &'static str, most: Duration) -> Option<Duration> {
    let (time, place) = section.duration(key)?;
    if (Duration::from_secs(1)..=most).contains(&time) {
        return Some(time);
    }
    let help = format!("between 1s and {}", humantime::format_duration(most));
    section.bad(&place, "the time is out of range", Some(help));
    None
}

/// The token of the admin port.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(Arc<str>);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl AdminToken {
    /// This token.
    pub fn new(token: &str) -> Self {
        AdminToken(token.into())
    }

    /// Whether it is `given`. Takes the same time however much of it is right.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// The token itself, to present it.
    pub fn text(&self) -> String {
        String::from(&*self.0)
    }
}

/// Calls are small, but a view may have many lookups.
const CALLS_KEPT_MAX: i64 = 10_000;
const CALLS_KEPT: usize = 256;
/// More would be felt by the loop.
const CALLS_SAMPLED_MAX: i64 = 1_000;
const CALLS_SAMPLED: usize = 50;

/// Reads `[admin]` from the whole file.
///
/// `listeners` are those of clients, which have the other ports.
pub(crate) fn read_admin(
    root: &mut Section<'_>,
    listeners: &[ListenerConfig],
) -> Option<AdminConfig> {
    let mut section = root.section("admin")?;
    let listen_place = section.place_of("listen");
    let listen = read_own_listen(&mut section);
    let purge = section.bool("purge");
    let try_place = section.place_of("try");
    let try_it = section.bool("try");
    let has_token = section.has("token");
    let token = read_token(&mut section);
    let tls = read_tls(&mut section);
    let knows_clients = tls.as_ref().is_some_and(|tls| tls.knows_clients);
    if let (Some(listen), Some(place)) = (&listen, &listen_place) {
        check_port(&section, (listen, place), listeners);
        let is_open = reaches(listen).is_some_and(|addr| !addr.ip().is_loopback());
        let has_key = has_token || knows_clients;
        if let (true, false, Some(true), Some(place)) = (is_open, has_key, try_it, &try_place) {
            let message = "the port makes no calls: other machines can reach it, and it takes neither a token nor certificates of clients";
            let help = "add `token = \"env:ADMIN_TOKEN\"`, or `client_ca` to `tls`, or listen on a loopback address such as `127.0.0.1:9091`";
            let document = section.document();
            document.warning(place, Code::ConfigClash, message, Some(help.into()));
        }
    }
    let kept = section.integer("calls_kept", 0..=CALLS_KEPT_MAX);
    let calls_kept = kept.and_then(|kept| usize::try_from(kept).ok());
    let calls_sampled = section.count("calls_sampled", CALLS_SAMPLED, CALLS_SAMPLED_MAX);
    let calls_values = section.bool("calls_values").unwrap_or(false);
    let unready_refusals = section.section("unready_refusals");
    let unready_refusals = unready_refusals.map(UnreadyRefusals::read);
    section.finish();
    listen.map(|listen| AdminConfig {
        listen,
        purge,
        try_it,
        token,
        tls,
        calls_kept: calls_kept.unwrap_or(CALLS_KEPT),
        calls_sampled,
        calls_values,
        unready_refusals,
    })
}

/// How a probe reaches the admin port.
#[derive(Debug)]
pub struct AdminProbe {
    /// What the port listens on.
    pub listen: String,
    /// With TLS, what the probe needs for it.
    pub tls: Option<ProbeTls>,
}

/// What a probe needs for TLS.
#[derive(Debug)]
pub enum ProbeTls {
    /// Nothing.
    Anonymous,
    /// A certificate: the port's own one, unless another is given.
    Certified(ListenerTls),
}

/// Reads of `[admin]` what a probe needs and no more: a server goes on with what it has read if its files are changed or gone,
/// and a token is not asked for.
pub(crate) fn read_probe(root: &mut Section<'_>) -> Option<AdminProbe> {
    let mut section = root.section("admin")?;
    let tls = match requires_clients(&section) {
        Some(true) => read_tls(&mut section).map(ProbeTls::Certified),
        Some(false) => Some(ProbeTls::Anonymous),
        None => None,
    };
    let listen = read_own_listen(&mut section)?;
    Some(AdminProbe { listen, tls })
}

/// `listen`, which has no default.
fn read_own_listen(section: &mut Section<'_>) -> Option<String> {
    if section.has("listen") {
        return read_listen(section);
    }
    let (listen, _) = section.required_string("listen", "listen = \"127.0.0.1:9091\"")?;
    Some(listen)
}

/// The address of a port, unless it has a name.
fn reaches(listen: &str) -> Option<SocketAddr> {
    listen.parse().ok()
}

/// Reports that the port can't be opened because clients connect there.
fn check_port(
    section: &Section<'_>,
    (listen, place): (&str, &Place),
    listeners: &[ListenerConfig],
) {
    let clashes = |other: &str| match (reaches(listen), reaches(other)) {
        (Some(own), Some(other)) => {
            let (own_ip, other_ip) = (own.ip(), other.ip());
            let same = own_ip == other_ip || own_ip.is_unspecified() || other_ip.is_unspecified();
            own.port() != 0 && own.port() == other.port() && same
        }
        _ => listen == other && !listen.ends_with(":0"),
    };
    for listener in listeners {
        if let Endpoint::Tcp(other) = &listener.endpoint
            && clashes(other)
        {
            let message = format!(
                "clients connect to this port: `{}.listen` is `{other}`",
                listener.table
            );
            let help = "give each a port of its own, such as 9090 and 9091";
            let document = section.document();
            document.problem(place, Code::ConfigClash, message, Some(help.into()));
            return;
        }
    }
}

fn read_token(section: &mut Section<'_>) -> Option<AdminToken> {
    let (text, place) = section.string("token")?;
    if !text.starts_with("env:") && !text.starts_with("file:") {
        let help = "write `\"env:NAME\"` or `\"file:PATH\"`";
        let message = "a token must not be written in the file itself";
        section.bad(&place, message, Some(help.into()));
        return None;
    }
    let token = section.resolve_secret(text, &place)?;
    if token.len() < TOKEN_BYTES_MIN {
        let message = format!("the token has fewer than {TOKEN_BYTES_MIN} bytes");
        let help = "make one with `openssl rand -hex 32`";
        section.bad(&place, message, Some(help.into()));
    }
    Some(AdminToken::new(&token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    /// What is read, and the messages of its problems.
    fn read(text: &str) -> (Option<String>, Vec<String>) {
        let document = document(text);
        let read = read_admin(&mut whole(&document), &[]).map(|admin| admin.listen);
        let problems = document.problems.into_vec();
        let messages = problems.into_iter().map(|problem| problem.message);
        (read, messages.collect())
    }

    #[test]
    fn there_is_a_port_only_if_one_is_configured() {
        assert_eq!(read(""), (None, vec![]));
        let (listen, problems) = read("[admin]\nlisten = \"[::1]:0\"");
        assert_eq!(listen.as_deref(), Some("[::1]:0"));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(read("[admin]").1, ["`listen` is missing"]);
        assert_eq!(read("admin = true").1.len(), 1);
        assert_eq!(
            read("[admin]\nlisten = \"9091\"").1,
            ["`9091` is not an address"]
        );
        assert_eq!(read("[admin]\nport = 9091").1.len(), 2);
        let token = |token: &str| read(&format!("[admin]\nlisten = \"[::1]:0\"\n{token}")).1;
        assert_eq!(
            token("token = \"hunter2hunter2hunter2\""),
            ["a token must not be written in the file itself"]
        );
        assert_eq!(
            token("token = \"env:NO_SUCH_VARIABLE\""),
            ["the environment variable `NO_SUCH_VARIABLE` is not set"]
        );
    }

    #[test]
    fn a_port_that_can_t_do_what_it_is_to_do_is_reported() {
        let said = |server: &str, admin: &str| {
            let document = document(&format!(
                "[server]\nidl = 'a.thrift'\n{server}[admin]\n{admin}"
            ));
            let mut root = whole(&document);
            let listeners = crate::config::read_server(&mut root).listeners;
            drop(read_admin(&mut root, &listeners));
            let count = |of: crate::diagnostic::Problems| {
                let of = of.into_vec().into_iter();
                of.filter(|of| of.key.starts_with("admin") && of.help.is_some())
                    .count()
            };
            (count(document.problems), count(document.warnings))
        };
        assert_eq!(said("", "listen = '127.0.0.1:9091'"), (0, 0));
        assert_eq!(said("", "listen = '127.0.0.1:9090'"), (1, 0), "the default");
        assert_eq!(
            said("listen = '10.0.0.1:9091'\n", "listen = '0.0.0.0:9091'"),
            (1, 0)
        );
        assert_eq!(
            said("listen = '10.0.0.1:9091'\n", "listen = '127.0.0.1:9091'"),
            (0, 0)
        );
        assert_eq!(
            said("listen = 'localhost:9'\n", "listen = 'localhost:9'"),
            (1, 0)
        );
        assert_eq!(
            said("listen = '127.0.0.1:0'\n", "listen = '127.0.0.1:0'"),
            (0, 0)
        );
        assert_eq!(said("", "listen = '0.0.0.0:9091'\ntry = true"), (0, 1));
        assert_eq!(said("", "listen = '[::]:9091'\ntry = false"), (0, 0));
        assert_eq!(said("", "listen = '[::1]:9091'\ntry = true"), (0, 0));
    }

    #[test]
    fn refusals_make_a_server_unready_only_if_that_is_asked_for() {
        let refusals = |keys: &str| {
            let document = document(&format!("[admin]\nlisten = '[::1]:0'\n{keys}"));
            let read =
                read_admin(&mut whole(&document), &[]).and_then(|admin| admin.unready_refusals);
            (read, document.problems.len())
        };
        assert_eq!(refusals(""), (None, 0));
        let defaults = UnreadyRefusals {
            share: 0.5,
            count: 100,
            within: Duration::from_secs(5),
            hold: Duration::from_secs(10),
        };
        assert_eq!(refusals("unready_refusals = {}"), (Some(defaults), 0));
        let keys = "unready_refusals = { share = 0.9, count = 7, within = '1s', for = '1m' }";
        let (read, problems) = refusals(keys);
        let read = read.expect("it is there");
        assert_eq!((read.share, read.count, problems), (0.9, 7, 0));
        for wrong in [
            "share = 0",
            "count = 0",
            "within = '2m'",
            "for = '10ms'",
            "hold = '1s'",
        ] {
            assert_eq!(
                refusals(&format!("unready_refusals = {{ {wrong} }}")).1,
                1,
                "{wrong}"
            );
        }
    }
}
