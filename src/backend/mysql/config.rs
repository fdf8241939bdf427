//! Reads `[backends.NAME]` of `kind = "mysql"` and makes the client's options from it.
//!
//! Every session is read-only and in UTC, commits each question by itself (one snapshot per question, whatever the
//! server's default is), and has the server end slow statements. Problems never show the URL: it may carry a password.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, UrlError};

use super::tls;
use crate::backend::net;
use crate::backend::tls::Tls;
use crate::config::{Place, Section};

/// The parameters that are allowed in a URL. Everything else has its own key, or is not supported.
const URL_KEYS: &[&str] = &["socket", "compression", "ssl-mode"];
const HELP: &str = "`mysql://[user:password@]host[:port]/database`";
/// The minimum number of statements that a connection keeps prepared.
const STATEMENTS_MIN: usize = 32;

/// `[backends.NAME]` of `kind = "mysql"`.
pub struct Config {
    opts: Opts,
    /// How many connections each loop holds.
    pub(super) connections: usize,
    /// How long making a connection may take.
    pub(super) connect_timeout: Duration,
    /// How long a statement may run before the server ends it.
    pub(super) statement_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
    /// How many lookups there are, which is also the number of the next one.
    lookups: AtomicUsize,
    /// The number of their statements, all of which a connection keeps prepared.
    statements: AtomicUsize,
}

impl Config {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
        let url = section.secret("url", "url = \"mysql://user@127.0.0.1:3306/database\"");
        let connections = section.integer("connections", 1..=32).unwrap_or(4);
        let connect_timeout = section.timeout("connect_timeout");
        let statement_timeout = section.timeout("statement_timeout");
        let age_max = net::age_max(section);
        let table = Tls::read(section);
        let (url, place) = url?;
        let (url, mode) = tls::TlsMode::take(section, &url, &place)?;
        let opts = opts(section, &url, &place)?;
        Some(Config {
            opts: mode.secure(section, (opts, &place), table.ok()?)?,
            connections: usize::try_from(connections).ok()?,
            connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(1)),
            statement_timeout: statement_timeout.unwrap_or(Duration::from_secs(30)),
            age_max,
            lookups: AtomicUsize::new(0),
            statements: AtomicUsize::new(0),
        })
    }

    /// The number for a new lookup with this many statements.
    pub(super) fn count(&self, statements: usize) -> usize {
        self.statements.fetch_add(statements, Ordering::Relaxed);
        self.lookups.fetch_add(1, Ordering::Relaxed)
    }

    /// The client's options. The server ends statements after `statement_timeout`.
    pub(super) fn opts(&self, statement_timeout: Duration) -> Opts {
        let statements = self.statements.load(Ordering::Relaxed);
        OptsBuilder::from_opts(self.opts.clone())
            .prefer_socket(false)
            .tcp_nodelay(true)
            .stmt_cache_size(statements.max(STATEMENTS_MIN))
            .init(session(statement_timeout))
            .into()
    }
}

/// The statements that begin a session. Only MariaDB reads comments that begin with `/*M!`, and only MySQL from 5.7.8 on
/// those that begin with `/*!50708`: each has its own name for the same limit.
fn session(statement_timeout: Duration) -> Vec<String> {
    // 0 would mean no limit at all.
    let millis = statement_timeout.as_millis().max(1);
    let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
    vec![
        format!(
            "set /*M!100101 max_statement_time = {seconds}, */ \
             /*!50708 max_execution_time = {millis}, */ \
             time_zone = '+00:00', autocommit = 1"
        ),
        "set session transaction read only".to_owned(),
    ]
}

fn opts(section: &Section<'_>, url: &str, place: &Place) -> Option<Opts> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let key = pair.split('=').next().unwrap_or_default();
        if !URL_KEYS.contains(&key) {
            let known = crate::diagnostic::list(URL_KEYS.iter().copied());
            let help = format!("a URL may carry {known}; the rest are keys next to `url`");
            section.bad(
                place,
                format!("`{key}` in the URL is not known here"),
                Some(help),
            );
            return None;
        }
    }
    let why = match Opts::from_url(url) {
        Ok(opts) => return Some(opts),
        Err(UrlError::UnsupportedScheme { .. }) => "it does not begin with `mysql://`".to_owned(),
        Err(UrlError::InvalidParamValue { param, .. }) => format!("`{param}` has no such value"),
        Err(UrlError::Parse(why)) => why.to_string(),
        Err(_) => "it is incomplete".to_owned(),
    };
    section.bad(
        place,
        format!("not the URL of a MySQL server: {why}"),
        Some(HELP.into()),
    );
    None
}
