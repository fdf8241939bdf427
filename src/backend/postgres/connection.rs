//! One pipelined connection to a PostgreSQL server that comes back by itself.
//!
//! A task of its own connects, drives the connection, and connects again with growing pauses for as long as the
//! server is away. Meanwhile lookups end at once in `lookup.unavailable`; only while an attempt that may well
//! succeed is under way (the first, and the one after a connection broke) do they wait for it, never longer
//! than `connect_timeout`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, LocalBoxFuture, Shared, join, join_all};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, NoTls};
use tokio_util::task::AbortOnDropHandle;

use super::config::{Lookup, Settings};
use super::failure::{Cure, Failure};
use super::statement::Prepared;
use crate::backend::LookupError;
use crate::error::Code;

/// The pause after the first failed attempt; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// What all connections of a loop have in common.
pub(super) struct Settled {
    pub(super) settings: Settings,
    /// The lookups that are going to be asked, with their names.
    pub(super) planned: Vec<(Arc<str>, Lookup)>,
}

/// A connection and the task that keeps it.
pub(super) struct Connection {
    link: Rc<watch::Sender<Link>>,
    connect_timeout: Duration,
    _keeper: AbortOnDropHandle<()>,
}

/// How the connection is at the moment.
enum Link {
    /// An attempt is under way and worth waiting for.
    Connecting,
    Up(Rc<Session>),
    /// The server can't be reached or refuses the connection.
    Down(LookupError),
}

/// A connection that is up, and the statements prepared on it.
pub(super) struct Session {
    /// Sends questions; all of them are pipelined.
    pub(super) client: Client,
    /// By the lookup's number.
    statements: RefCell<HashMap<usize, Preparing>>,
}

/// A statement that is or will be prepared.
type Preparing = Shared<LocalBoxFuture<'static, Result<Rc<Prepared>, Failure>>>;

/// What moves bytes.
pub(super) type Driver = LocalBoxFuture<'static, Result<(), tokio_postgres::Error>>;

impl Connection {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(settled: Rc<Settled>) -> Self {
        let link = Rc::new(watch::Sender::new(Link::Connecting));
        let connect_timeout = settled.settings.connect_timeout;
        let keeper = keep(settled, Rc::clone(&link));
        Connection {
            link,
            connect_timeout,
            _keeper: AbortOnDropHandle::new(tokio::task::spawn_local(keeper)),
        }
    }

    /// How much it has to do: one share per lookup on its way; a connection that is not up is the last choice,
    /// one that is known to be down even more so.
    pub(super) fn load(&self) -> usize {
        match &*self.link.borrow() {
            Link::Up(session) => Rc::strong_count(session),
            Link::Connecting => usize::MAX - 1,
            Link::Down(_) => usize::MAX,
        }
    }

    /// The session, once it is known whether there is one.
    pub(super) async fn session(&self) -> Result<Rc<Session>, LookupError> {
        let now = known(&self.link.borrow());
        match now {
            Some(session) => session,
            // Rare, and boxed to keep every lookup's future small.
            None => Box::pin(self.settled()).await,
        }
    }

    async fn settled(&self) -> Result<Rc<Session>, LookupError> {
        let mut changes = self.link.subscribe();
        let settled = changes.wait_for(|link| known(link).is_some());
        match timeout(self.connect_timeout, settled).await {
            Ok(Ok(link)) => known(&link).unwrap_or_else(|| Err(not_connected())),
            _ => Err(not_connected()),
        }
    }

    /// Has the keeper connect again, unless it did so already.
    pub(super) fn lost(&self, broken: &Rc<Session>) {
        self.link.send_if_modified(|link| {
            let current = matches!(link, Link::Up(session) if Rc::ptr_eq(session, broken));
            if current {
                *link = Link::Connecting;
            }
            current
        });
    }
}

fn known(link: &Link) -> Option<Result<Rc<Session>, LookupError>> {
    match link {
        Link::Connecting => None,
        Link::Up(session) => Some(Ok(Rc::clone(session))),
        Link::Down(why) => Some(Err(why.clone())),
    }
}

fn not_connected() -> LookupError {
    LookupError::new(Code::LookupUnavailable, "not connected to PostgreSQL yet")
}

impl Session {
    /// Prepares what is going to be asked, all of it in one go. A lookup that comes meanwhile waits for its own
    /// statement only; one whose statement is refused has it tried again when it is asked.
    async fn prepare_all(self: Rc<Self>, planned: &[(Arc<str>, Lookup)]) {
        let prepare = async |(name, lookup): &(Arc<str>, Lookup)| match self.prepared(lookup).await
        {
            Ok(_) => lookup.warned.prepared(),
            // The connection's end is no word on the statement.
            Err(failure) if failure.cure == Cure::Connect => {}
            Err(failure) => lookup.warned.refused(name, &failure.error),
        };
        join_all(planned.iter().map(prepare)).await;
    }

    /// The lookup's statement, prepared on first use if it is not yet. It is prepared in a task of its own: a dropped asker
    /// must neither leave a half-prepared statement behind nor an answer that nobody reads, for which all
    /// others on the connection would wait.
    pub(super) async fn prepared(
        self: &Rc<Self>,
        lookup: &Lookup,
    ) -> Result<Rc<Prepared>, Failure> {
        let preparing = {
            let mut statements = self.statements.borrow_mut();
            let entry = statements.entry(lookup.id);
            entry.or_insert_with(|| self.prepare(lookup)).clone()
        };
        let prepared = preparing.clone().await;
        if prepared.is_err() {
            self.remove(lookup, |known| known.ptr_eq(&preparing));
        }
        prepared
    }

    fn prepare(self: &Rc<Self>, lookup: &Lookup) -> Preparing {
        let session = Rc::clone(self);
        let sql = lookup.sql.clone();
        let rows = lookup.rows;
        let key = lookup.batch.as_ref().map(|batch| batch.key.clone());
        let prepare =
            async move { Prepared::new(&session.client, &sql, rows, key.as_deref()).await };
        let task = AbortOnDropHandle::new(tokio::task::spawn_local(prepare));
        let ended = |_| Failure {
            error: not_connected(),
            cure: Cure::Connect,
        };
        let prepared = task.map(move |done| done.map_err(ended)?.map(Rc::new));
        prepared.boxed_local().shared()
    }

    /// Has the lookup's statement prepared again, unless that happened already.
    pub(super) fn forget(&self, lookup: &Lookup, stale: &Rc<Prepared>) {
        let is_stale = |known: &Preparing| match known.peek() {
            Some(Ok(prepared)) => Rc::ptr_eq(prepared, stale),
            _ => false,
        };
        if self.remove(lookup, is_stale) {
            self.client.clear_type_cache();
        }
    }

    fn remove(&self, lookup: &Lookup, wanted: impl Fn(&Preparing) -> bool) -> bool {
        let mut statements = self.statements.borrow_mut();
        let found = statements.get(&lookup.id).is_some_and(wanted);
        if found {
            statements.remove(&lookup.id);
        }
        found
    }
}

/// Keeps the connection for as long as anyone may ask.
async fn keep(settled: Rc<Settled>, link: Rc<watch::Sender<Link>>) {
    let mut changes = link.subscribe();
    let mut delay = RETRY_DELAY_MIN;
    loop {
        match open(&settled.settings).await {
            Ok((client, driver)) => {
                let since = Instant::now();
                let session = Rc::new(Session {
                    client,
                    statements: RefCell::default(),
                });
                link.send_replace(Link::Up(Rc::clone(&session)));
                let served = async { join(driver, session.prepare_all(&settled.planned)).await.0 };
                tokio::select! {
                    _ended = served => {}
                    _lost = changes.wait_for(|link| !matches!(link, Link::Up(_))) => {}
                }
                link.send_replace(Link::Connecting);
                if since.elapsed() >= RETRY_DELAY_MAX {
                    delay = RETRY_DELAY_MIN;
                    continue;
                }
                // Accepted and dropped soon after: not to be asked again without a pause.
            }
            Err(why) => {
                link.send_replace(Link::Down(why));
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

/// Connects, with TLS where the settings say so.
async fn dial(settings: &Settings) -> Result<(Client, Driver), tokio_postgres::Error> {
    if let Some(tls) = &settings.tls {
        let (client, connection) = settings.client.connect(tls.clone()).await?;
        return Ok((client, connection.boxed_local()));
    }
    let (client, connection) = settings.client.connect(NoTls).await?;
    Ok((client, connection.boxed_local()))
}

/// Connects and makes the session read-only. That is not said in the start-up options, since a server would
/// then look like one that takes no writes to `target_session_attrs`.
pub(super) async fn open(settings: &Settings) -> Result<(Client, Driver), LookupError> {
    let opening = async {
        let (client, mut driver) = dial(settings).await?;
        let settle = format!(
            "set default_transaction_read_only = on; set statement_timeout = {}",
            settings
                .statement_timeout
                .as_millis()
                .clamp(1, i32::MAX as u128)
        );
        let settled = tokio::select! {
            settled = client.batch_execute(&settle) => settled,
            ended = &mut driver => ended,
        };
        settled.map(|()| (client, driver))
    };
    let hosts = settings.client.get_hosts().len().max(1);
    let patience = settings.connect_timeout * u32::try_from(hosts).unwrap_or(1);
    match timeout(patience, opening).await {
        Ok(opened) => opened.map_err(|err| Failure::from(&err).error),
        Err(_elapsed) => Err(LookupError::new(
            Code::LookupUnavailable,
            "PostgreSQL did not answer within `connect_timeout`",
        )),
    }
}
