//! Reads `[backends.NAME]` of `kind = "mysql"` and makes the options of its connections from it.
//!
//! Every session is read-only and in UTC, commits each question by itself (one snapshot per question, whatever the
//! server's default is), and has the server end slow statements. Problems never show the URL: it may carry a password.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::options::Options;
use super::tls;
use crate::backend::net::PoolSizes;
use crate::backend::tls::Tls;
use crate::backend::{credentials, net};
use crate::config::{Place, Section};

/// The parameters that are allowed in a URL. Everything else has its own key, or is not supported.
const URL_KEYS: &[&str] = &["socket", "compression", "ssl-mode"];
const HELP: &str = "`mysql://[user:password@]host[:port]/database`";

/// `[backends.NAME]` of `kind = "mysql"`.
pub struct Config {
    options: Options,
    /// How many connections each loop holds.
    pub(super) sizes: PoolSizes,
    /// How long making a connection may take.
    pub(super) connect_timeout: Duration,
    /// How long a statement may run before the server ends it.
    pub(super) statement_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
    /// Whether an abandoned statement is stopped.
    pub(super) cancels: bool,
    /// How many lookups there are, which is also the number of the next one.
    lookups: AtomicUsize,
}

impl Config {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
        let url = section.secret("url", "url = \"mysql://user@127.0.0.1:3306/database\"");
        let sizes = PoolSizes::read(section, 32, (5, 8));
        let connect_timeout = section.timeout("connect_timeout");
        let statement_timeout = section.timeout("statement_timeout");
        let age_max = net::age_max(section);
        let cancels = section.bool("cancel").unwrap_or(true);
        let table = Tls::read(section);
        let (url, place) = url?;
        if let Some(message) = credentials::unencoded(&url, false) {
            section.bad(&place, message, Some(credentials::HELP.into()));
            return None;
        }
        let (url, mode) = tls::TlsMode::take(section, &url, &place)?;
        let options = options(section, &url, &place)?;
        Some(Config {
            options: mode.secure(section, (options, &place), table.ok()?)?,
            sizes,
            connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(1)),
            statement_timeout: statement_timeout.unwrap_or(Duration::from_secs(30)),
            age_max,
            cancels,
            lookups: AtomicUsize::new(0),
        })
    }

    /// The number for a new lookup.
    pub(super) fn count(&self) -> usize {
        self.lookups.fetch_add(1, Ordering::Relaxed)
    }

    /// How a session begins. The server ends statements after `statement_timeout`.
    pub(super) fn address(&self) -> Option<(String, u16)> {
        self.options.address.tcp()
    }

    pub(super) fn options(&self, statement_timeout: Duration) -> Options {
        Options {
            session: session(statement_timeout),
            ..self.options.clone()
        }
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

fn options(section: &Section<'_>, url: &str, place: &Place) -> Option<Options> {
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
    match Options::parse(url) {
        Ok(options) => Some(options),
        Err(why) => {
            let message = format!("not the URL of a MySQL server: {why}");
            section.bad(place, message, Some(HELP.into()));
            None
        }
    }
}
