//! Holds the connections of one loop: all take questions from one queue, and each answers one at a time.
//!
//! A question whose connection turns out to be broken is asked once more on the next connection of the same task: all
//! are reads. Between questions, a new connection prepares the statements that are going to be asked.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::Connection;
use super::config::Config;
use super::error;
use super::lookup::Lookup;
use super::options::Options;
use super::query::{BoundStatement, Found, ask};
use crate::backend::net::{self, Dial, Ended, Limit, Turns};
use crate::backend::sql::{self, Warned};
use crate::backend::{LookupError, Planned};
use crate::error::Code;
use crate::random::Random;

/// How much longer than `statement_timeout` the server may take before its connection is given up.
const SLACK: Duration = Duration::from_secs(1);
/// How long closing a connection may take.
const CLOSE_MAX: Duration = Duration::from_millis(100);
/// The queue holds the questions that the guard lets through. This is the largest `in_flight_max`.
const LIMIT: Limit = Limit {
    questions_max: 1_000_000,
    shed: "too many questions wait for MySQL",
};

/// One loop's connections.
pub(super) type Pool = net::Pool<Rc<BoundStatement>, Found>;
/// A question, and the lookup that waits for its answer.
type Waiting = net::Queued<Rc<BoundStatement>, Found>;
type Queue = net::Queue<Rc<BoundStatement>, Found>;

/// What connections are made with.
pub(super) struct Settings {
    options: Options,
    connect_timeout: Duration,
    statement_timeout: Duration,
    age_max: Duration,
    statements: Vec<Preparation>,
}

/// A statement to prepare before it is asked.
struct Preparation {
    lookup: Arc<str>,
    sql: Arc<str>,
    warned: Warned,
}

/// Starts to connect in the background, on this loop.
pub(super) fn start(config: &Config, planned: &[Planned<'_, Lookup>], seed: u64) -> Pool {
    let settings = Rc::new(Settings::new(config, planned));
    let mut random = Random::seeded(seed);
    let turns = Turns::new(config.connections);
    Pool::start((config.connections, LIMIT), &mut random, |_, queue| {
        Dialer {
            settings: Rc::clone(&settings),
            queue,
            turns: Rc::clone(&turns),
            again: None,
        }
    })
}

impl Settings {
    pub(super) fn new(config: &Config, planned: &[Planned<'_, Lookup>]) -> Self {
        let statement_timeout = sql::statement_timeout(config.statement_timeout, planned);
        Settings {
            options: config.options(statement_timeout),
            connect_timeout: config.connect_timeout,
            statement_timeout,
            age_max: config.age_max,
            statements: planned.iter().flat_map(Preparation::all).collect(),
        }
    }
}

impl Preparation {
    /// The statements of one lookup.
    fn all(planned: &Planned<'_, Lookup>) -> Vec<Preparation> {
        let texts = planned.lookup.texts().iter();
        let statements = texts.map(|sql| Preparation {
            lookup: Arc::clone(planned.name),
            sql: Arc::clone(sql),
            warned: planned.lookup.warned.clone(),
        });
        statements.collect()
    }
}

/// Makes the connections, one at a time.
struct Dialer {
    settings: Rc<Settings>,
    queue: Rc<Queue>,
    turns: Rc<Turns>,
    /// The question during which the previous connection broke.
    again: Option<Waiting>,
}

impl Dial for Dialer {
    type Client = ();
    type Connection = Connection;

    async fn connect(&mut self) -> Result<((), Connection), LookupError> {
        Ok(((), connect(&self.settings).await?))
    }

    async fn serve(&mut self, mut connection: Connection, retire_at: Instant) -> Ended {
        let ended = self.ask_all(&mut connection, retire_at).await;
        // A question may wait for the turn that this connection had.
        self.queue.pass_on();
        drop(timeout(CLOSE_MAX, connection.quit()).await);
        ended
    }

    fn age_max(&self) -> Duration {
        self.settings.age_max
    }

    fn unavailable(&mut self, why: &LookupError) {
        if let Some(question) = self.again.take() {
            question.answer(Err(why.clone()));
        }
        self.queue.refuse_if_unavailable();
    }
}

/// A new connection.
pub(super) async fn connect(settings: &Settings) -> Result<Connection, LookupError> {
    let connecting = Connection::connect(&settings.options);
    let connected = match timeout(settings.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|err| error::lookup_error(&err)),
        Err(_elapsed) => {
            let detail = "no connection within `connect_timeout`";
            Err(LookupError::new(Code::LookupUnavailable, detail))
        }
    };
    connected.map_err(|err| err.at(&settings.options.address))
}

impl Dialer {
    /// Asks question after question until the connection is of no use any more.
    async fn ask_all(&mut self, connection: &mut Connection, retire_at: Instant) -> Ended {
        let settings = Rc::clone(&self.settings);
        let limit = settings.statement_timeout.saturating_add(SLACK);
        let mut names = HashMap::new();
        let mut statements = settings.statements.iter();
        let mut has_answered = false;
        loop {
            let may_begin = |asked: &Rc<BoundStatement>| self.turns.may_begin(asked.statement);
            let next = self.again.take();
            let question = match next.or_else(|| self.queue.take_of(may_begin)) {
                Some(question) => question,
                None if let Some(next) = statements.next() => {
                    if let Err(ended) = prepare(connection, next, limit).await {
                        return ended;
                    }
                    continue;
                }
                None => tokio::select! {
                    biased;
                    why = connection.ended() => return ended(has_answered, error::lookup_error(&why)),
                    () = sleep_until(retire_at) => return Ended::Served,
                    question = self.queue.next_of(may_begin) => question,
                },
            };
            let Some(question) = accepted(question, connection.bytes_max()) else {
                continue;
            };
            let turn = self.turns.begin(question.asked.statement);
            // If the client panics, only this question fails.
            let asking = ask(connection, &question.asked, &mut names);
            let asking = AssertUnwindSafe(asking).catch_unwind();
            let asked = timeout(limit, asking).await;
            drop(turn);
            match asked {
                Ok(Ok(Ok((reply, complete)))) => {
                    has_answered = true;
                    question.answer(Ok(reply));
                    if !complete || connection.has_more() {
                        return Ended::Served;
                    }
                }
                Ok(Ok(Err(err))) => {
                    let why = error::lookup_error(&err);
                    if error::is_gone(&err) {
                        self.again = question.retry(&why);
                        return ended(has_answered, why);
                    }
                    question.answer(Err(why.clone()));
                    if error::ends_session(&err) || connection.has_more() {
                        return ended(has_answered, why);
                    }
                    has_answered = true;
                }
                Ok(Err(_panic)) => {
                    let detail = "an answer that the client can't read";
                    question.answer(Err(LookupError::new(Code::LookupBadAnswer, detail)));
                    return Ended::Served;
                }
                Err(_elapsed) => {
                    let detail = "the server exceeded `statement_timeout`, or stopped in the middle of its answer";
                    question.answer(Err(LookupError::new(Code::LookupTimeout, detail)));
                    return Ended::Served;
                }
            }
        }
    }
}

/// The end of a connection that broke.
fn ended(has_answered: bool, why: LookupError) -> Ended {
    if has_answered {
        Ended::Served
    } else {
        Ended::Lost(why)
    }
}

/// The question, unless it is longer than the server accepts: it would hang up without an error message.
fn accepted(question: Waiting, bytes_max: usize) -> Option<Waiting> {
    if question.asked.bytes_most() <= bytes_max {
        return Some(question);
    }
    let detail = "longer than the server's `max_allowed_packet`";
    question.answer(Err(LookupError::new(Code::LookupBadParam, detail)));
    None
}

/// Makes the server prepare a statement, which the client keeps. A refusal affects only the statement's own lookup.
async fn prepare(
    connection: &mut Connection,
    statement: &Preparation,
    limit: Duration,
) -> Result<(), Ended> {
    match timeout(limit, connection.prepare(&statement.sql)).await {
        Ok(Ok(_)) => {
            statement.warned.prepared();
            Ok(())
        }
        Ok(Err(err)) if error::ends_session(&err) => Err(Ended::Lost(error::lookup_error(&err))),
        Ok(Err(err)) => {
            let why = error::lookup_error(&err);
            statement.warned.refused(&statement.lookup, &why);
            Ok(())
        }
        Err(_elapsed) => Err(Ended::Served),
    }
}
