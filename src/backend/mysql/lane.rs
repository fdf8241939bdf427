//! Keeps the connections of one loop: each has a task that owns it, and all take questions from one queue.
//!
//! A task connects, and connects again with growing pauses for as long as the server is away. When no task has or
//! expects a connection, lookups end at once in `lookup.unavailable`; while one connects for the first time or
//! after a break they wait for that, which takes `connect_timeout` at most. A question whose connection turns out
//! broken is asked once more on the next one: all are reads. The queue holds what the guard lets be on its way
//! (`in_flight_max`) and at most about as many that were dropped. Between questions, a new connection prepares what is
//! going to be asked.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::ask::{Job, ask};
use super::config::Config;
use super::error;
use super::lookup::Lookup;
use crate::backend::sql::{self, Warned};
use crate::backend::{LookupError, Planned};
use crate::error::Code;

/// The pause after the first failed attempt; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// What the server may take beyond `statement_timeout` before its connection is given up.
const SLACK: Duration = Duration::from_secs(1);
/// With fewer questions waiting, nobody looks for those that were dropped.
const SWEEP_MIN: usize = 1024;
/// For saying goodbye to a server.
const CLOSE_MAX: Duration = Duration::from_millis(100);

/// One loop's connections.
pub(super) struct Lanes {
    shared: Rc<Shared>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Shared {
    jobs: RefCell<VecDeque<Job>>,
    /// With how many questions waiting those are taken out that nobody waits for any more.
    swept_at: Cell<usize>,
    pushed: Notify,
    /// By connection: why it can't be made, unless it is there or expected.
    down: RefCell<Vec<Option<LookupError>>>,
}

/// What a task makes its connections with.
pub(super) struct Settings {
    opts: Opts,
    connect_timeout: Duration,
    statement_timeout: Duration,
    ready: Vec<Ready>,
}

/// A statement to prepare before it is asked.
struct Ready {
    lookup: Arc<str>,
    sql: Arc<str>,
    warned: Warned,
}

impl Lanes {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(config: &Config, planned: &[Planned<'_, Lookup>]) -> Self {
        let shared = Rc::new(Shared::default());
        shared.down.borrow_mut().resize(config.connections, None);
        let settings = Rc::new(Settings::new(config, planned));
        let task = |at| {
            let keep = keep(at, Rc::clone(&settings), Rc::clone(&shared));
            AbortOnDropHandle::new(tokio::task::spawn_local(keep))
        };
        let tasks = (0..config.connections).map(task).collect();
        Lanes {
            shared,
            _tasks: tasks,
        }
    }

    /// Queues a question, unless there is nobody to ask it.
    pub(super) fn push(&self, job: Job) -> Result<(), LookupError> {
        if let Some(why) = self.shared.all_down() {
            return Err(why);
        }
        self.shared.add(job);
        self.shared.pushed.notify_one();
        Ok(())
    }
}

impl Settings {
    pub(super) fn new(config: &Config, planned: &[Planned<'_, Lookup>]) -> Self {
        let statement_timeout = sql::statement_timeout(config.statement_timeout, planned);
        Settings {
            opts: config.opts(statement_timeout),
            connect_timeout: config.connect_timeout,
            statement_timeout,
            ready: planned.iter().flat_map(Ready::all).collect(),
        }
    }
}

impl Ready {
    /// The statements of one lookup.
    fn all(planned: &Planned<'_, Lookup>) -> Vec<Ready> {
        let texts = planned.lookup.texts().iter();
        let ready = texts.map(|sql| Ready {
            lookup: Arc::clone(planned.name),
            sql: Arc::clone(sql),
            warned: planned.lookup.warned.clone(),
        });
        ready.collect()
    }
}

impl Shared {
    /// Queues; once in a while without those that were dropped, so that they never outnumber the others for long.
    fn add(&self, job: Job) {
        let mut jobs = self.jobs.borrow_mut();
        if jobs.len() >= self.swept_at.get().max(SWEEP_MIN) {
            jobs.retain(|job| !job.answer.is_closed());
            self.swept_at.set(jobs.len() * 2);
        }
        jobs.push_back(job);
    }

    /// Why there is no connection, if there is none and none is expected.
    fn all_down(&self) -> Option<LookupError> {
        let down = self.down.borrow();
        if down.iter().any(Option::is_none) {
            return None;
        }
        down.iter().flatten().next().cloned()
    }

    fn set(&self, at: usize, down: Option<LookupError>) {
        self.down.borrow_mut()[at] = down;
        if let Some(why) = self.all_down() {
            let jobs = std::mem::take(&mut *self.jobs.borrow_mut());
            for job in jobs {
                job.answer(Err(why.clone()));
            }
        }
    }

    /// The next question that somebody still waits for.
    async fn next(&self) -> Job {
        loop {
            match self.waiting() {
                Some(job) => return job,
                None => self.pushed.notified().await,
            }
        }
    }

    /// The same, if there is one.
    fn waiting(&self) -> Option<Job> {
        let mut jobs = self.jobs.borrow_mut();
        loop {
            let job = jobs.pop_front()?;
            if !job.answer.is_closed() {
                return Some(job);
            }
        }
    }
}

/// Why a connection is not used any more.
enum End {
    /// We closed it: what was still to come on it is nobody's.
    Closed,
    /// It broke, perhaps with a question that is worth another try.
    Broken(Option<Job>),
}

/// Connects for as long as the backend lives.
async fn keep(at: usize, settings: Rc<Settings>, shared: Rc<Shared>) {
    let mut again: Option<Job> = None;
    let mut delay = RETRY_DELAY_MIN;
    loop {
        match connect(&settings).await {
            Ok((mut connection, bytes_max)) => {
                let since = Instant::now();
                shared.set(at, None);
                let end = serve(
                    (&mut connection, bytes_max),
                    &settings,
                    &shared,
                    again.take(),
                )
                .await;
                // Not merely dropped: the client would then read what is still to come to its end.
                drop(timeout(CLOSE_MAX, connection.disconnect()).await);
                match end {
                    End::Closed => continue,
                    End::Broken(job) => again = job,
                }
                if since.elapsed() >= RETRY_DELAY_MAX {
                    delay = RETRY_DELAY_MIN;
                    continue;
                }
                // Accepted and dropped soon after: not to be asked again without a pause.
            }
            Err(err) => {
                if let Some(job) = again.take() {
                    job.answer(Err(err.clone()));
                }
                shared.set(at, Some(err));
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

/// A connection, and the longest message that its server takes.
pub(super) async fn connect(settings: &Settings) -> Result<(Conn, usize), LookupError> {
    let connecting = async {
        let mut connection = Conn::new(settings.opts.clone()).await?;
        let bytes_max = connection
            .query_first("select @@max_allowed_packet")
            .await?;
        Ok((connection, bytes_max.unwrap_or(usize::MAX)))
    };
    match timeout(settings.connect_timeout, connecting).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(err)) => Err(error::lookup_error(&err)),
        Err(_elapsed) => {
            let detail = "no connection within `connect_timeout`";
            Err(LookupError::new(Code::LookupUnavailable, detail))
        }
    }
}

/// Asks question after question, `again` first, until the connection is of no use any more.
async fn serve(
    (connection, bytes_max): (&mut Conn, usize),
    settings: &Settings,
    shared: &Shared,
    mut again: Option<Job>,
) -> End {
    let limit = settings.statement_timeout.saturating_add(SLACK);
    let mut names = HashMap::new();
    let mut ready = settings.ready.iter();
    loop {
        let (job, tried) = match again.take() {
            Some(job) => (job, true),
            None => match shared.waiting() {
                Some(job) => (job, false),
                None if let Some(next) = ready.next() => {
                    if let Err(end) = prepare(connection, next, limit).await {
                        return end;
                    }
                    continue;
                }
                None => (shared.next().await, false),
            },
        };
        // The server would not say what is wrong, but hang up.
        if job.question.bytes_most() > bytes_max {
            let detail = "longer than the server's `max_allowed_packet`";
            job.answer(Err(LookupError::new(Code::LookupBadParam, detail)));
            continue;
        }
        // The client panics on types that it does not know; that ends in this question.
        let asking = AssertUnwindSafe(ask(connection, &job.question, &mut names)).catch_unwind();
        match timeout(limit, asking).await {
            Ok(Ok(Ok((reply, whole)))) => {
                job.answer(Ok(reply));
                if !whole {
                    return End::Closed;
                }
            }
            Ok(Ok(Err(err))) if error::is_gone(&err) && !tried => return End::Broken(Some(job)),
            Ok(Ok(Err(err))) => {
                job.answer(Err(error::lookup_error(&err)));
                if error::ends_session(&err) {
                    return End::Broken(None);
                }
            }
            Ok(Err(_panic)) => {
                let detail = "a value of a type that is not known here";
                job.answer(Err(LookupError::new(Code::LookupBadAnswer, detail)));
                return End::Closed;
            }
            Err(_elapsed) => {
                let detail = "the server kept neither `statement_timeout` nor its answer coming";
                job.answer(Err(LookupError::new(Code::LookupTimeout, detail)));
                return End::Closed;
            }
        }
    }
}

/// Has the server prepare a statement; the client keeps it. What is wrong with it costs its own lookup only.
async fn prepare(connection: &mut Conn, ready: &Ready, limit: Duration) -> Result<(), End> {
    match timeout(limit, connection.prep(&*ready.sql)).await {
        Ok(Ok(_)) => {
            ready.warned.prepared();
            Ok(())
        }
        Ok(Err(err)) if error::ends_session(&err) => Err(End::Broken(None)),
        Ok(Err(err)) => {
            ready
                .warned
                .refused(&ready.lookup, &error::lookup_error(&err));
            Ok(())
        }
        Err(_elapsed) => Err(End::Closed),
    }
}
