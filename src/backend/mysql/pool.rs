//! Holds the connections of one loop: all take questions from one queue, and each answers one at a time.
//!
//! A question whose connection turns out to be broken is asked once more on the next connection of the same task: all
//! are reads. Between questions, a new connection prepares the statements that are going to be asked.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, pending};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::cancel::Target;
use super::client::Connection;
use super::config::Config;
use super::error::{self, Error};
use super::lookup::Lookup;
use super::options::Options;
use super::query::{BoundStatement, Found, ask};
use crate::backend::cancels::CancelRequests;
use crate::backend::net::{self, Dial, Ended, Extra, Limit, Turns};
use crate::backend::sql::{self, Warned};
use crate::backend::{LookupError, OnLoop, OpenConnections, Planned, StoreMemory};
use crate::error::Code;
use crate::random::Random;
use crate::value::FieldNames;

/// How much longer than `statement_timeout` the server may take before its connection is given up.
const SLACK: Duration = Duration::from_secs(1);
/// How long an abandoned statement may go on: most end by themselves, and a request costs the server more.
const GRACE: Duration = Duration::from_millis(10);
/// What stops a statement that ended just before it could be: the server would stop the next one.
const PROBE: &str = "do 0";
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
/// The reply and whether it was read to its end; or an error, a panic, or no end in time.
type Asked = Result<std::thread::Result<Result<(Found, bool), Error>>, Elapsed>;

/// What connections are made with.
pub(super) struct Settings {
    options: Options,
    connect_timeout: Duration,
    statement_timeout: Duration,
    age_max: Duration,
    cancels: bool,
    statements: Vec<Preparation>,
}

/// A statement to prepare before it is asked.
struct Preparation {
    lookup: Arc<str>,
    sql: Arc<str>,
    warned: Warned,
}

/// Starts to connect in the background, on this loop.
pub(super) fn start(
    config: &Config,
    planned: &[Planned<'_, Lookup>],
    on: &OnLoop,
    (cancels, open): (&Rc<CancelRequests>, &OpenConnections),
) -> Pool {
    let settings = Rc::new(Settings::new(config, planned));
    let mut random = Random::seeded(on.seed);
    let turns = Turns::new();
    let (cancels, open, memory) = (Rc::clone(cancels), open.clone(), on.memory.clone());
    // Behind quick statements there is nothing to gain: the server works as fast as it can.
    let of_pool = Rc::clone(&turns);
    let pays = move || of_pool.have_long();
    let dial = move |queue, extra| Dialer {
        settings: Rc::clone(&settings),
        queue,
        turns: Rc::clone(&turns),
        cancels: Rc::clone(&cancels),
        memory: memory.clone(),
        open: open.clone(),
        extra,
        again: None,
    };
    Pool::start_growing((config.sizes, LIMIT, &on.given_up), &mut random, dial, pays)
}

impl Settings {
    pub(super) fn new(config: &Config, planned: &[Planned<'_, Lookup>]) -> Self {
        let statement_timeout = sql::statement_timeout(config.statement_timeout, planned);
        Settings {
            options: config.options(statement_timeout),
            connect_timeout: config.connect_timeout,
            statement_timeout,
            age_max: config.age_max,
            cancels: config.cancels,
            statements: planned.iter().flat_map(Preparation::all).collect(),
        }
    }

    /// How long the answer to any statement may take.
    fn answer_max(&self) -> Duration {
        self.statement_timeout.saturating_add(SLACK)
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
    cancels: Rc<CancelRequests>,
    /// For large answers.
    memory: StoreMemory,
    /// How many connections are up.
    open: OpenConnections,
    /// Of a connection that is closed when it is not needed.
    extra: Option<Rc<Extra>>,
    /// The question during which the previous connection broke.
    again: Option<Waiting>,
}

impl Dial for Dialer {
    type Client = ();
    type Connection = (Connection, Option<Target>);

    async fn connect(&mut self) -> Result<((), Self::Connection), LookupError> {
        if let Some(extra) = self.extra.as_ref().filter(|extra| extra.is_unneeded()) {
            // It could not be made while it was needed.
            extra.close();
            pending::<()>().await;
        }
        let mut connection = connect(&self.settings).await?;
        let mut target = None;
        if self.settings.cancels {
            let found = timeout(self.settings.connect_timeout, Target::of(&mut connection));
            target = found.await.map_err(|_elapsed| not_connected())?;
        }
        Ok(((), (connection, target)))
    }

    async fn serve(
        &mut self,
        (mut connection, target): Self::Connection,
        retire_at: Instant,
    ) -> Ended {
        let up = (self.open.one(), self.turns.share());
        let ended = self
            .ask_all(&mut connection, target.as_ref(), retire_at)
            .await;
        drop(up);
        // A question may wait for the turn that this connection had.
        self.queue.pass_on();
        drop(timeout(CLOSE_MAX, connection.quit()).await);
        if self.extra.as_ref().is_some_and(|extra| extra.is_closed()) {
            pending::<()>().await;
        }
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
        Err(_elapsed) => Err(not_connected()),
    };
    connected.map_err(|err| err.at(&settings.options.address))
}

fn not_connected() -> LookupError {
    let detail = "no connection within `connect_timeout`";
    LookupError::new(Code::LookupUnavailable, detail)
}

impl Dialer {
    /// Asks a question. If its lookup is dropped and the statement goes on, has the server stop it. Also returns whether the
    /// server was asked to.
    async fn ask_wanted(
        &self,
        connection: &mut Connection,
        question: &mut Waiting,
        names: &mut HashMap<usize, FieldNames>,
        target: Option<&Target>,
    ) -> (Asked, bool) {
        let statement = Rc::clone(&question.asked);
        // If the client panics, only this question fails.
        let into = (names, self.memory.read_shared());
        let asking = AssertUnwindSafe(ask(connection, &statement, into)).catch_unwind();
        let mut asking = pin!(timeout(self.settings.answer_max(), asking));
        tokio::select! {
            biased;
            asked = &mut asking => return (asked, false),
            () = question.abandoned() => {}
        }
        if let Ok(asked) = timeout(GRACE, &mut asking).await {
            return (asked, false);
        }
        match target {
            Some(target) if self.cancels.may_send() => {
                if let Ok(asked) = timeout_at(self.cancels.turn(), &mut asking).await {
                    return (asked, false);
                }
                let request = target.stop(&self.settings.options);
                let (asked, _) = join(asking, self.cancels.send(request)).await;
                (asked, true)
            }
            _ => (asking.await, false),
        }
    }

    /// Ends when the connection is closed because it is not needed.
    async fn unneeded(&self) {
        match &self.extra {
            Some(extra) => {
                extra.unneeded().await;
                extra.close();
            }
            None => pending().await,
        }
    }

    /// Asks question after question until the connection is of no use any more.
    async fn ask_all(
        &mut self,
        connection: &mut Connection,
        target: Option<&Target>,
        retire_at: Instant,
    ) -> Ended {
        let settings = Rc::clone(&self.settings);
        let limit = settings.answer_max();
        let mut names = HashMap::new();
        let mut statements = settings.statements.iter();
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
                    why = connection.ended() => return Ended::Broken(error::lookup_error(&why)),
                    () = sleep_until(retire_at) => return Ended::InOrder,
                    question = self.queue.next_of(self.extra.is_some(), may_begin) => question,
                    () = self.unneeded() => return Ended::InOrder,
                },
            };
            // Others may wait that the same wake-up was for.
            self.queue.pass_on();
            let Some(mut question) = accepted(question, connection.bytes_max()) else {
                continue;
            };
            let turn = self.turns.begin(question.asked.statement);
            let (asked, was_stopped) = self
                .ask_wanted(connection, &mut question, &mut names, target)
                .await;
            drop(turn);
            if let Some(extra) = &self.extra {
                extra.used();
            }
            if was_stopped && !is_settled(connection, limit).await {
                return Ended::GivenUp(LookupError::new(
                    Code::LookupUnavailable,
                    "an abandoned statement could not be stopped",
                ));
            }
            if let Some(ended) = self.conclude(connection, question, asked) {
                return ended;
            }
        }
    }

    /// Answers a question. Returns how the connection ends, if it does.
    fn conclude(
        &mut self,
        connection: &Connection,
        question: Waiting,
        asked: Asked,
    ) -> Option<Ended> {
        let (code, detail) = match asked {
            Ok(Ok(Ok((reply, complete)))) => {
                question.answer(Ok(reply));
                if connection.has_more() {
                    let why = "MySQL sent more than an answer";
                    let why = LookupError::new(Code::LookupBadAnswer, why);
                    return Some(Ended::Broken(why));
                }
                // What is not read to its end is not the server's fault.
                return (!complete).then_some(Ended::InOrder);
            }
            Ok(Ok(Err(err))) => {
                let why = error::lookup_error(&err);
                if error::is_gone(&err) {
                    self.again = question.retry(&why);
                    return Some(Ended::Broken(why));
                }
                question.answer(Err(why.clone()));
                if error::ends_session(&err) || connection.has_more() {
                    return Some(Ended::Broken(why));
                }
                return None;
            }
            Ok(Err(_panic)) => (
                Code::LookupBadAnswer,
                "an answer that the client can't read",
            ),
            Err(_elapsed) => (
                Code::LookupTimeout,
                "the server exceeded `statement_timeout`, or stopped in the middle of its answer",
            ),
        };
        let why = LookupError::new(code, detail);
        question.answer(Err(why.clone()));
        Some(Ended::Broken(why))
    }
}

/// Whether no statement can be stopped any more by a request that has been handled.
async fn is_settled(connection: &mut Connection, limit: Duration) -> bool {
    if connection.is_reading() {
        return false;
    }
    match timeout(limit, connection.query(PROBE)).await {
        // It may have been stopped itself.
        Ok(Err(err)) => !error::ends_session(&err),
        Ok(Ok(_)) => true,
        Err(_elapsed) => false,
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
        Ok(Err(err)) if error::ends_session(&err) => Err(Ended::Broken(error::lookup_error(&err))),
        Ok(Err(err)) => {
            let why = error::lookup_error(&err);
            statement.warned.refused(&statement.lookup, &why);
            Ok(())
        }
        Err(_elapsed) => {
            let why = "the server did not prepare a statement in time";
            let why = LookupError::new(Code::LookupUnavailable, why);
            Err(Ended::Broken(why))
        }
    }
}
