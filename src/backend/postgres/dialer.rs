//! Makes a connection, prepares its statements, and keeps it until it ends, is too old, or is no longer needed.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, FutureExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::config::{Lookup, Settings};
use super::driver::Driver;
use super::failure::Failure;
use super::open::{Opened, open};
use super::session::{Session, session_ended};
use super::stopping::Stopping;
use super::waiting::Waiting;
use crate::backend::cancels::CancelRequests;
use crate::backend::net::{Availability, Dial, Durations, Ended, Pace, unused};
use crate::backend::{LookupError, OpenConnections};

/// How long the server may take beyond `statement_timeout`.
const SLACK: Duration = Duration::from_secs(1);

/// What all connections of a loop have in common.
pub(super) struct Setup {
    pub(super) settings: Settings,
    /// The lookups that are going to be asked, with their names.
    pub(super) planned: Vec<(Arc<str>, Lookup)>,
    pub(super) cancels: Rc<CancelRequests>,
    /// How long the statements take.
    pub(super) durations: Durations,
    /// The statements that no connection may take yet.
    pub(super) waiting: Rc<Waiting>,
    /// How many connections are up.
    pub(super) open: OpenConnections,
    /// How long a connection stays open that is not needed.
    pub(super) idle_max: Duration,
    /// How often connections are made.
    pub(super) pace: Rc<Pace>,
}

/// Whether a connection is needed.
pub(super) struct Usage {
    /// It is closed if it is not.
    pub(super) is_extra: bool,
    pub(super) is_closed: Cell<bool>,
    /// When it was last needed.
    pub(super) at: Cell<Instant>,
}

/// Makes the connections, one at a time.
pub(super) struct Dialer {
    pub(super) setup: Rc<Setup>,
    pub(super) availability: Rc<Availability<Rc<Session>>>,
    pub(super) usage: Rc<Usage>,
    /// The connection that became too old, while questions on it are unanswered.
    pub(super) retired: Option<AbortOnDropHandle<()>>,
}

impl Dialer {
    /// How long the answer to any statement may take.
    fn answer_max(&self) -> Duration {
        self.setup.settings.statement_timeout.saturating_add(SLACK)
    }

    /// Ends when the connection is extra and has not been needed for long.
    async fn unneeded(&self, session: &Session) {
        if !self.usage.is_extra {
            future::pending::<()>().await;
        }
        let in_use = || session.stopping.sent.borrow().len() > 0;
        unused(self.setup.idle_max, || (self.usage.at.get(), in_use())).await;
    }

    /// Closes the connection, which nothing uses, until it is opened again with another dialer.
    async fn close(&self, session: Rc<Session>, driver: Driver) -> Ended {
        self.usage.is_closed.set(true);
        let is_own = |known: &Rc<Session>| Rc::ptr_eq(known, &session);
        self.availability.lost(is_own);
        drop(session);
        // Says goodbye.
        drop(timeout(SLACK, driver).await);
        future::pending().await
    }
}

impl Dial for Dialer {
    type Client = Rc<Session>;
    type Connection = (Rc<Session>, Driver);

    async fn connect(&mut self) -> Result<(Rc<Session>, Self::Connection), LookupError> {
        let idle_max = self.setup.idle_max;
        if self.usage.is_extra && self.usage.at.get().elapsed() >= idle_max {
            // It could not be made while it was needed.
            self.usage.is_closed.set(true);
            future::pending::<()>().await;
        }
        let Opened {
            client,
            driver,
            cancel,
            ..
        } = open(&self.setup.settings).await?;
        let client = Rc::new(client);
        let stopping = Stopping::new(
            &client,
            self.answer_max(),
            cancel,
            (&self.setup.cancels, &self.setup.waiting),
        );
        let session = Rc::new(Session::new(client, Rc::new(stopping)));
        Ok((Rc::clone(&session), (session, driver)))
    }

    async fn serve(
        &mut self,
        (session, mut driver): Self::Connection,
        retire_at: Instant,
    ) -> Ended {
        let open = self.setup.open.one();
        self.setup.waiting.changed();
        let prepare = Rc::clone(&session).prepare_all(&self.setup.planned);
        let prepare = prepare.then(|()| future::pending::<()>());
        let mut server_knows = false;
        let why = tokio::select! {
            ended = &mut driver => match ended {
                Err(err) => {
                    server_knows = err.as_db_error().is_some();
                    Failure::from(&err).error
                }
                Ok(()) => session_ended(),
            },
            () = prepare => session_ended(),
            () = session.stopping.lost.notified() => session_ended(),
            () = self.unneeded(&session) => {
                drop(open);
                return self.close(session, driver).await;
            }
            () = sleep_until(retire_at) => {
                // It ends once the questions that are asked on it by now are answered.
                let rest = timeout(self.answer_max(), driver).map(drop);
                self.retired = Some(AbortOnDropHandle::new(tokio::task::spawn_local(rest)));
                return Ended::InOrder;
            }
        };
        if !server_knows {
            session.stopping.stop_what_is_lost(&self.setup.pace);
        }
        Ended::Broken(why)
    }

    fn age_max(&self) -> Duration {
        self.setup.settings.age_max
    }

    fn unavailable(&mut self, _why: &LookupError) {
        self.setup.waiting.changed();
    }
}
