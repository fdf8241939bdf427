//! Makes a connection on which nothing can be written and slow statements end: directly, or through a pooler.
//!
//! On a direct connection both are settings of the session. A pooler lends its sessions to other clients, which must not
//! get these settings. Therefore the session is marked first, by an option of the connection's start. A pooler refuses
//! the option or ignores it: then nothing is set, and questions go through [`super::pooler`].

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::Ordering;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tracing::info;

use super::cancel::CancelHandle;
use super::config::{Pooler, Settings};
use super::driver::Driver;
use super::failure::Failure;
use super::hosts::{self, Connected, Heard};
use super::pooler;
use crate::backend::LookupError;
use crate::error::Code;

/// A connection that was made.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) driver: Driver,
    /// Whether it goes through a pooler, in whose sessions nothing is kept.
    pub(super) is_pooled: bool,
    /// What stops its statements, if that is wanted. Never for a session that others use too.
    pub(super) cancel: Option<CancelHandle>,
}

/// Connects as the key `pooler` says; without the key, finds out whether there is a pooler.
pub(super) async fn open(settings: &Settings) -> Result<Opened, LookupError> {
    match settings.pooler {
        Pooler::None => return within(settings, direct(settings, None)).await,
        Pooler::Transaction => return within(settings, pooled(settings)).await,
        Pooler::Unknown if settings.found_pooler.load(Ordering::Relaxed) => {
            return within(settings, pooled(settings)).await;
        }
        Pooler::Unknown => {}
    }
    let several_hosts = settings.client.get_hosts().len() > 1;
    let failed = match within(settings, marked(settings, None)).await {
        Ok(Some(opened)) => return Ok(opened),
        Ok(None) => None,
        // The reason is that of the last host; the others may be poolers.
        Err(err) if several_hosts => Some(err),
        Err(err) => return Err(err),
    };
    let opened = within(settings, pooled(settings)).await;
    match failed {
        Some(err) => opened.map_err(|_| err),
        None => {
            let opened = opened?;
            if !settings.found_pooler.swap(true, Ordering::Relaxed) {
                let database = settings.client.get_dbname().unwrap_or_default();
                info!(
                    database,
                    "PostgreSQL is behind a pooler: nothing is kept in a session"
                );
            }
            Ok(opened)
        }
    }
}

/// Connects to a session that is ours alone. What channels say goes to `heard`.
pub(super) async fn open_session(
    settings: &Settings,
    heard: &Heard,
) -> Result<Opened, LookupError> {
    let heard = Some(heard);
    let opened = match settings.pooler {
        Pooler::None => within(settings, direct(settings, heard)).await.map(Some),
        Pooler::Unknown => within(settings, marked(settings, heard)).await,
        Pooler::Transaction => Ok(None),
    };
    opened?.ok_or_else(|| {
        let why = "PostgreSQL is behind a pooler, which lends its sessions to others";
        LookupError::new(Code::LookupUnavailable, why)
    })
}

/// Gives each host its time.
async fn within<T>(
    settings: &Settings,
    opening: impl Future<Output = Result<T, Error>>,
) -> Result<T, LookupError> {
    let hosts = settings.client.get_hosts().len().max(1);
    let patience = settings.connect_timeout * u32::try_from(hosts).unwrap_or(1);
    let opened = match timeout(patience, opening).await {
        Ok(opened) => opened.map_err(|err| Failure::from(&err).error),
        Err(_elapsed) => Err(LookupError::new(
            Code::LookupUnavailable,
            "PostgreSQL did not answer within `connect_timeout`",
        )),
    };
    opened.map_err(|err| err.at(hosts::addresses(&settings.client)))
}

/// Connects, with TLS where the settings say so.
async fn dial(
    settings: &Settings,
    client: &Config,
    heard: Option<&Heard>,
) -> Result<Connected, Error> {
    match &settings.tls {
        Some(tls) => hosts::connect(client, tls, heard).await,
        None => hosts::connect(client, &NoTls, heard).await,
    }
}

/// Connects, and has the session be read-only.
async fn direct(settings: &Settings, heard: Option<&Heard>) -> Result<Opened, Error> {
    settle(settings, dial(settings, &settings.client, heard).await?).await
}

/// Makes the session read-only. This is not part of the start-up options, because `target_session_attrs` would then take
/// every server for one that accepts no writes.
async fn settle(
    settings: &Settings,
    Connected {
        client,
        mut driver,
        peer,
    }: Connected,
) -> Result<Opened, Error> {
    let sql = format!(
        "set default_transaction_read_only = on; set statement_timeout = {}",
        settings.timeout_millis()
    );
    tokio::select! {
        settled = client.batch_execute(&sql) => settled?,
        ended = &mut driver => ended?,
    }
    let peer = peer.filter(|_| settings.cancels);
    let cancel = peer.map(|peer| CancelHandle::new(&client, peer, settings.tls.clone()));
    Ok(Opened {
        client,
        driver,
        is_pooled: false,
        cancel,
    })
}

/// The setting that marks a session as ours. PostgreSQL takes any that has a prefix.
const MARK: &str = "tributary.session";

/// Connects and makes the session read-only, if it turns out to be ours alone; `None` if it belongs to a pooler.
async fn marked(settings: &Settings, heard: Option<&Heard>) -> Result<Option<Opened>, Error> {
    // Seeded at random by each call.
    let mark = format!("{:016x}", RandomState::new().build_hasher().finish());
    let mut client = settings.client.clone();
    let others = client.get_options().unwrap_or_default();
    client.options(format!("{others} -c {MARK}={mark}").trim_start());
    let mut connected = match dial(settings, &client, heard).await {
        Err(err) if is_refusal(&err) => return Ok(None),
        dialled => dialled?,
    };
    let show = format!("select current_setting('{MARK}', true)");
    let shown = tokio::select! {
        shown = connected.client.simple_query(&show) => shown?,
        ended = &mut connected.driver => {
            ended?;
            return Ok(None);
        }
    };
    let is_ours = shown.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some(&*mark),
        _ => false,
    });
    if !is_ours {
        return Ok(None);
    }
    settle(settings, connected).await.map(Some)
}

/// Whether a connection was refused because of an option. What a pooler says of it begins with
/// `unsupported startup parameter`.
fn is_refusal(err: &Error) -> bool {
    let states = [
        SqlState::PROTOCOL_VIOLATION,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::UNDEFINED_OBJECT,
        SqlState::CANT_CHANGE_RUNTIME_PARAM,
    ];
    err.code().is_some_and(|state| states.contains(state))
}

/// Connects to a pooler, and has it reach the server: it accepts clients while the server is down.
async fn pooled(settings: &Settings) -> Result<Opened, Error> {
    let (client, mut driver) = pooler::connect(settings).await?;
    tokio::select! {
        answered = client.simple_query("") => drop(answered?),
        ended = &mut driver => ended?,
    }
    Ok(Opened {
        client,
        driver,
        is_pooled: true,
        cancel: None,
    })
}
