//! A connection that is up: the statements prepared on it, and what is before another one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::FixedState;
use futures_util::future::{self, FutureExt as _, LocalBoxFuture, join_all};
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::config::Lookup;
use super::failure::{Failure, Recovery};
use super::place::Traffic;
use super::sent::SentStatements;
use super::statement::Prepared;
use super::stopping::Stopping;
use crate::backend::LookupError;
use crate::backend::net::Durations;
use crate::error::Code;

/// A connection that is up, and the statements prepared on it.
pub(super) struct Session {
    /// Sends questions; all of them are pipelined.
    pub(super) client: Rc<Client>,
    /// By the lookup's number.
    statements: RefCell<HashMap<usize, Preparing, FixedState>>,
    pub(super) stopping: Rc<Stopping>,
    pub(super) made: Instant,
}

/// A statement that is or will be prepared.
type Preparing = future::Shared<LocalBoxFuture<'static, Result<Rc<Prepared>, Failure>>>;

pub(super) fn session_ended() -> LookupError {
    LookupError::new(
        Code::LookupUnavailable,
        "the connection to PostgreSQL ended",
    )
}

impl Session {
    pub(super) fn new(client: Rc<Client>, stopping: Rc<Stopping>) -> Self {
        Session {
            client,
            statements: RefCell::default(),
            stopping,
            made: Instant::now(),
        }
    }

    /// What is before another statement.
    pub(super) fn traffic(
        &self,
        sent: &SentStatements,
        now: Instant,
        durations: &Durations,
    ) -> Traffic {
        if sent.has_slow() || self.stopping.is_on_its_way() {
            Traffic::Slow
        } else if sent.is_stuck(now, durations) || self.stopping.is_unheard() {
            Traffic::Late
        } else {
            Traffic::Quick(sent.len())
        }
    }

    /// Prepares all statements that are going to be asked, together. A lookup that arrives meanwhile waits for its own
    /// statement only. A statement that is refused is tried again when its lookup is asked.
    pub(super) async fn prepare_all(self: Rc<Self>, planned: &[(Arc<str>, Lookup)]) {
        let prepare = async |(name, lookup): &(Arc<str>, Lookup)| match self.prepared(lookup).await
        {
            Ok(_) => lookup.warned.prepared(),
            // The end of the connection says nothing about the statement.
            Err(failure) if failure.recovery == Recovery::Connect => {}
            Err(failure) => lookup.warned.refused(name, &failure.error),
        };
        join_all(planned.iter().map(prepare)).await;
    }

    /// The lookup's statement, prepared on first use if it is not yet. It is prepared in its own task: a dropped lookup
    /// must leave neither a half-prepared statement behind nor an unread answer, for which everything else on the
    /// connection would wait.
    pub(super) async fn prepared(
        self: &Rc<Self>,
        lookup: &Lookup,
    ) -> Result<Rc<Prepared>, Failure> {
        // The usual case.
        if let Some(prepared) = self.known(lookup) {
            return Ok(prepared);
        }
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

    pub(super) fn known(&self, lookup: &Lookup) -> Option<Rc<Prepared>> {
        let statements = self.statements.borrow();
        let prepared = statements.get(&lookup.id)?.peek()?.as_ref();
        prepared.ok().cloned()
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
            error: session_ended(),
            recovery: Recovery::Connect,
            is_of_server: false,
        };
        let prepared = task.map(move |done| done.map_err(ended)?.map(Rc::new));
        prepared.boxed_local().shared()
    }

    /// Makes the lookup's statement be prepared again, unless that has happened already.
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
