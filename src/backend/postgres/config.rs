//! Reads the keys of `[backends.NAME]` and `[lookups.NAME]` of `kind = "postgres"`.
//!
//! Problems never show the URL: it may carry a password. Mistakes in a statement are found when the server prepares it,
//! or by `check --connect`: the server may be down while the configuration is read.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::tls;
use crate::backend::net::{PoolSizes, UNACKNOWLEDGED_MAX, age_max};
use crate::backend::rows::{ROWS_MAX, Rows};
use crate::backend::sql::{self, Style, Warned};
use crate::backend::tls::Tls;
use crate::backend::{Compiled, Enums, credentials};
use crate::config::{Place, Section};

/// A PostgreSQL server as `[backends.NAME]` describes it.
pub struct Config {
    /// The settings of each connection.
    pub(super) settings: Settings,
    /// How many connections each loop holds.
    pub(super) sizes: PoolSizes,
    /// Numbers the statements.
    statements: AtomicUsize,
}

/// How to connect.
#[derive(Clone)]
pub(super) struct Settings {
    /// Hosts, user and database.
    pub(super) client: tokio_postgres::Config,
    /// TLS, if it is used.
    pub(super) tls: Option<tls::Secure>,
    /// How long one attempt may take, and how long a lookup waits for a connection.
    pub(super) connect_timeout: Duration,
    /// How long the server runs a statement before it cancels it.
    pub(super) statement_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
    /// Whether an abandoned statement is stopped.
    pub(super) cancels: bool,
    /// Whether sessions are shared with others.
    pub(super) pooler: Pooler,
    /// Whether a pooler was found although `pooler` does not say so. All connections share this.
    pub(super) found_pooler: Arc<AtomicBool>,
}

impl Settings {
    /// The statement timeout as PostgreSQL takes it; 0 would mean none.
    pub(super) fn timeout_millis(&self) -> u128 {
        self.statement_timeout
            .as_millis()
            .clamp(1, i32::MAX as u128)
    }
}

/// The key `pooler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooler {
    /// Not given: every connection finds out.
    Unknown,
    /// A connection has a session of its own.
    None,
    /// Every transaction may have another session.
    Transaction,
}

/// One SQL lookup, compiled.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The statement's number, the same on every connection.
    pub(super) id: usize,
    /// With `$1` for the first parameter.
    pub(super) sql: Arc<str>,
    /// Whether the statement writes, which sessions do not allow.
    pub(super) writes: bool,
    /// How rows are shaped.
    pub(super) rows: Rows,
    /// How it is batched with others, if it is.
    pub(super) batch: Option<Batch>,
    /// What the key `enums` says.
    pub(super) enums: Enums,
    pub(super) warned: Warned,
}

/// `batch = { key = "code", max = 128 }`
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The column with the key.
    pub(super) key: String,
    /// The maximum number of keys in one question.
    pub(super) max: usize,
}

impl Config {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
        let example = "url = \"postgresql://user@127.0.0.1/database\"";
        let url = section.secret("url", example);
        let sizes = PoolSizes::read(section, 8, (3, 6));
        let connect_timeout = section.timeout("connect_timeout");
        let statement_timeout = section.timeout("statement_timeout");
        let age_max = age_max(section);
        let cancels = section.bool("cancel").unwrap_or(true);
        let pooler = match section.word("pooler", &["none", "transaction"]) {
            Some(("none", _)) => Pooler::None,
            Some(_) => Pooler::Transaction,
            None => Pooler::Unknown,
        };
        let table = Tls::read(section);
        let (url, place) = url?;
        let connect_timeout = connect_timeout.unwrap_or(Duration::from_secs(1));
        if let Some(message) = credentials::unencoded(&url, true) {
            section.bad(&place, message, Some(credentials::HELP.into()));
            return None;
        }
        let mode = tls::TlsMode::read(section, &url, &place)?;
        let mut client = client(section, &mode.known(&url), &place)?;
        let chosen = mode.choose(section, (&mut client, &place), table.ok()?);
        client
            .connect_timeout(connect_timeout)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX);
        if client.get_application_name().is_none() {
            client.application_name("tributary");
        }
        Some(Config {
            settings: Settings {
                client,
                tls: chosen.ok()?,
                connect_timeout,
                statement_timeout: statement_timeout.unwrap_or(Duration::from_secs(30)),
                age_max,
                cancels,
                pooler,
                found_pooler: Arc::default(),
            },
            sizes,
            statements: AtomicUsize::new(0),
        })
    }
}

fn client(section: &Section<'_>, url: &str, place: &Place) -> Option<tokio_postgres::Config> {
    const HELP: &str =
        "`postgresql://user[:password]@host[:port][,host..]/database[?target_session_attrs=..]`";
    let refuse = |message: String, help: &str| {
        section.bad(place, message, Some(help.into()));
        None
    };
    match url.parse::<tokio_postgres::Config>() {
        Ok(config) if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() => {
            refuse("the URL names no host".into(), HELP)
        }
        Ok(config) => Some(config),
        Err(err) => {
            let why = err.source().map(|why| format!(": {why}"));
            let why = why.unwrap_or_default();
            refuse(format!("not the URL of a PostgreSQL server{why}"), HELP)
        }
    }
}

impl Lookup {
    pub(super) fn read(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        let statement = sql::read(section, Style::Dollar);
        let rows = Rows::read(section);
        let enums = Enums::read(section, Enums::ByType);
        let batched = section.has("batch");
        let batch = section.section("batch").and_then(read_batch);
        let (statement, place) = statement?;
        if batched {
            batch.as_ref()?;
            let help = || Some("as in `select .. where code = any(:codes)`".to_owned());
            if statement.params.len() != 1 {
                let message = "with `batch` a statement has one parameter, an array of keys";
                section.bad(&place, message, help());
                return None;
            }
            if rows == Rows::Value {
                let message = "`rows = \"value\"` does not go with `batch`";
                section.bad(
                    section.place(),
                    message,
                    Some("use `rows = \"one\"`".into()),
                );
                return None;
            }
        }
        Some(Compiled {
            lookup: Lookup {
                id: config.statements.fetch_add(1, Ordering::Relaxed),
                writes: statement.writes().is_some(),
                sql: statement.text.into(),
                rows,
                batch,
                enums,
                warned: Warned::default(),
            },
            params: statement.params,
            enums,
            yields: rows.yields(),
        })
    }

    /// How many rows have to be read to shape them.
    pub(super) fn rows_read(&self) -> usize {
        match self.rows {
            Rows::One | Rows::Value => 1,
            Rows::Many { rows_max } => rows_max.saturating_add(1),
        }
    }

    /// The maximum number of rows in the answer to a question for `keys` keys.
    pub(super) fn batch_rows_max(&self, keys: usize) -> usize {
        match self.rows {
            Rows::One | Rows::Value => ROWS_MAX.max(keys),
            Rows::Many { rows_max } => rows_max.saturating_mul(keys),
        }
    }
}

fn read_batch(mut section: Section<'_>) -> Option<Batch> {
    let key = section.required_string("key", "key = \"code\"");
    let max = section.integer("max", 1..=1000).unwrap_or(128);
    section.finish();
    Some(Batch {
        key: key?.0,
        max: usize::try_from(max).ok()?,
    })
}
