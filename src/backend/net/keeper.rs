//! Keeps one connection in a loop: connect, serve, wait, connect again.
//!
//! In: a [`Dial`], which knows one kind of store. Out: the connection's [`Availability`]. When an attempt fails on every
//! server of the store, the connection is unavailable and the next attempt waits for its [`Backoff`], or for a lookup that
//! wants it. A connection that lasted is made again at once, with a second attempt if the first fails. One that broke early is
//! made again at once a few times in a row, and counts as a failed attempt after that, whatever it was good for: a server
//! whose connections break again and again is asked ever more rarely. In any case, no more often than its [`super::pace`] allows.
//! A panic of the store's client is a failed attempt.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::availability::{Availability, State};
use crate::backend::{Evidence, LookupError};
use crate::backoff::{Backoff, DELAY_MAX};
use crate::error::Code;
use crate::supervise::Panics;

/// How many connections in a row that broke early are followed by the next at once.
const BRIEF_MAX: u32 = 3;
/// A connection lasted if it broke after this at the earliest, whether asked anything or not.
pub(in crate::backend) const LASTS: Duration = DELAY_MAX;
/// An attempt that fails within this time may be followed by the next at once.
const SOON: Duration = Duration::from_millis(100);

/// How one kind of store connects, and what it does with a connection.
pub(in crate::backend) trait Dial {
    /// What lookups send their questions through; `()` where a queue carries them.
    type Client;
    /// What the keeper's task drives.
    type Connection;

    /// Makes a connection. Ends within the store's own time limit.
    async fn connect(&mut self) -> Result<(Self::Client, Self::Connection), LookupError>;

    /// Uses a connection until it is no good any more, or, from `retire_at` on, until no answer is due.
    async fn serve(&mut self, connection: Self::Connection, retire_at: Instant) -> Ended;

    /// How old a connection may become, give or take a fifth.
    fn age_max(&self) -> Duration;

    /// How many servers to try before waiting.
    fn servers(&self) -> usize {
        1
    }

    /// Makes the next attempt go to another server. Called after each failure.
    fn next_server(&mut self) {}

    /// Called when there is no connection and none is expected before the next attempt: waiting questions get the reason.
    fn unavailable(&mut self, _why: &LookupError) {}
}

/// How a connection ended.
#[derive(Debug)]
pub(in crate::backend) enum Ended {
    /// When no answer was due: because of its age, or because its server closed it after an answer. The next attempt is made at
    /// once, however many there are.
    InOrder,
    /// It broke, or what came over it was no answer: this counts as a failed attempt unless it had lasted.
    Broken(LookupError),
    /// It was closed because the answer to a question that was dropped did not come, which says little about the server.
    GivenUp(LookupError),
    /// The server turned out to refuse us: this counts as a failed attempt.
    Refused(LookupError),
}

/// The task that keeps a connection; ends when dropped.
pub(in crate::backend) struct Keeper {
    _task: AbortOnDropHandle<()>,
}

/// Starts to keep a connection, on this loop.
pub(in crate::backend) fn keep<D: Dial + 'static>(
    dial: D,
    availability: Rc<Availability<D::Client>>,
    seed: u64,
) -> Keeper {
    let keeping = run(dial, availability, Backoff::seeded(seed));
    Keeper {
        _task: AbortOnDropHandle::new(tokio::task::spawn_local(keeping)),
    }
}

/// Never ends.
async fn run<D: Dial>(
    mut dial: D,
    availability: Rc<Availability<D::Client>>,
    mut backoff: Backoff,
) {
    let pace = availability.pace();
    let mut panics = Panics::default();
    // Servers in a row that were no good, and connections in a row that broke early.
    let (mut failed, mut brief) = (0, 0);
    // Whether the attempt before came to a connection.
    let mut was_up = false;
    pace.take();
    loop {
        let attempted = panics.catch(attempt(&mut dial, &availability, &mut backoff));
        let attempted = attempted.await.unwrap_or_else(|panic| {
            let why = format!("the client of the store panicked: {panic}");
            Attempt::Failed(LookupError::new(Code::LookupUnavailable, why), false)
        });
        if availability.is_up() {
            availability.set(State::Connecting);
        }
        if let Attempt::Lasting(_) = &attempted {
            backoff.reset();
            (failed, brief, was_up) = (0, 0, true);
        }
        let (why, at_once) = match attempted {
            Attempt::Ended => {
                (failed, was_up) = (0, true);
                continue;
            }
            Attempt::Lasting(why) | Attempt::GivenUp(why) => {
                if !pace.take() {
                    pause(&mut dial, &availability, &mut backoff, &why).await;
                }
                continue;
            }
            Attempt::Brief(why) => {
                (brief, was_up) = (brief + 1, true);
                (why, brief <= BRIEF_MAX)
            }
            // What broke the connection before may have broken this attempt as well.
            Attempt::Failed(why, was_soon) => (why, std::mem::take(&mut was_up) && was_soon),
        };
        dial.next_server();
        failed += 1;
        if at_once && pace.take() || failed < dial.servers() {
            continue;
        }
        failed = 0;
        pause(&mut dial, &availability, &mut backoff, &why).await;
    }
}

/// Waits until the next attempt may be made.
async fn pause<D: Dial>(
    dial: &mut D,
    availability: &Availability<D::Client>,
    backoff: &mut Backoff,
    why: &LookupError,
) {
    let pace = availability.pace();
    let mut delay = backoff.delay().max(pace.wait());
    let mut wanted_after = backoff.wanted_after(delay);
    loop {
        availability.set(State::Unavailable(why.clone()));
        dial.unavailable(why);
        availability.pause(delay, wanted_after).await;
        if pace.take() {
            return;
        }
        // Another connection to the server was first.
        (delay, wanted_after) = (pace.wait(), pace.wait());
    }
}

/// The result of one attempt.
enum Attempt {
    /// A connection that ended in order.
    Ended,
    /// A connection that broke after it had lasted.
    Lasting(LookupError),
    /// A connection that broke before that.
    Brief(LookupError),
    /// A connection that was given up before that.
    GivenUp(LookupError),
    /// No connection, and whether that was known soon.
    Failed(LookupError, bool),
}

/// One connection from its beginning to its end.
async fn attempt<D: Dial>(
    dial: &mut D,
    availability: &Availability<D::Client>,
    backoff: &mut Backoff,
) -> Attempt {
    let since = Instant::now();
    let (client, connection) = match dial.connect().await {
        Ok(connected) => connected,
        Err(why) => return Attempt::Failed(unavailable(why), since.elapsed() < SOON),
    };
    let since = Instant::now();
    availability.set(State::Up(client));
    let age_max = backoff.jittered(dial.age_max());
    let ended = dial.serve(connection, since + age_max).await;
    let lasted = since.elapsed() >= LASTS;
    match ended {
        Ended::InOrder => Attempt::Ended,
        Ended::Refused(why) => Attempt::Failed(unavailable(why), false),
        Ended::Broken(why) | Ended::GivenUp(why) if lasted => Attempt::Lasting(unavailable(why)),
        Ended::Broken(why) => Attempt::Brief(unavailable(why)),
        Ended::GivenUp(why) => Attempt::GivenUp(unavailable(why)),
    }
}

/// A server over which no session can be set up is unavailable, in its own words, whatever it objects to.
fn unavailable(why: LookupError) -> LookupError {
    LookupError {
        code: Code::LookupUnavailable,
        evidence: Evidence::Code,
        ..why
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use tokio::time::{sleep, timeout_at};

    use super::*;

    /// What a server does with an attempt.
    enum Act {
        Refuse,
        /// The store's client panics.
        Panic,
        /// Serves for as many milliseconds.
        Serve(u64, Ended),
    }

    /// A store of `servers` that follows a script. Records when each attempt is made, in milliseconds.
    struct Scripted {
        acts: VecDeque<Act>,
        servers: usize,
        at: usize,
        start: Instant,
        log: Rc<RefCell<Vec<String>>>,
    }

    impl Scripted {
        fn note(&self, what: &str) {
            let now = self.start.elapsed().as_millis();
            let line = format!("{now} server {} {what}", self.at);
            self.log.borrow_mut().push(line);
        }
    }

    impl Dial for Scripted {
        type Client = ();
        type Connection = (u64, Ended);

        async fn connect(&mut self) -> Result<((), Self::Connection), LookupError> {
            match self.acts.pop_front() {
                Some(Act::Serve(millis, ended)) => Ok(((), (millis, ended))),
                Some(Act::Refuse) => {
                    self.note("refuses");
                    Err(LookupError::new(Code::LookupUnavailable, "refused"))
                }
                Some(Act::Panic) => {
                    self.note("panics");
                    panic!("no such number")
                }
                None => std::future::pending().await,
            }
        }

        async fn serve(&mut self, (millis, ended): Self::Connection, retire_at: Instant) -> Ended {
            self.note("serves");
            let life = sleep(Duration::from_millis(millis));
            let Ok(()) = timeout_at(retire_at, life).await else {
                self.note("is old");
                return Ended::InOrder;
            };
            if let Ended::Broken(why) = &ended {
                self.note(&why.detail);
            }
            ended
        }

        fn age_max(&self) -> Duration {
            Duration::from_secs(10)
        }

        fn servers(&self) -> usize {
            self.servers
        }

        fn next_server(&mut self) {
            self.at = (self.at + 1) % self.servers;
        }

        fn unavailable(&mut self, why: &LookupError) {
            self.note(&format!("is unavailable: {}", why.detail));
        }
    }

    /// Runs the script. Returns the log and the final state.
    async fn run_script(servers: usize, acts: Vec<Act>) -> (Vec<String>, State<()>) {
        let log = Rc::default();
        let scripted = Scripted {
            acts: acts.into(),
            servers,
            at: 0,
            start: Instant::now(),
            log: Rc::clone(&log),
        };
        let availability = Rc::new(Availability::new());
        let keeper = keep(scripted, Rc::clone(&availability), 3);
        sleep(Duration::from_mins(1)).await;
        drop(keeper);
        let state = availability.state().clone();
        (log.take(), state)
    }

    /// Replaces the time in each line by the nominal time since the line before.
    fn nominal(lines: &[String]) -> Vec<String> {
        let mut before = 0;
        let line = |line: &String| {
            let (time, rest) = line.split_once(' ').expect("a time");
            let time: u64 = time.parse().expect("a number");
            let passed = std::mem::replace(&mut before, time).abs_diff(time);
            let steps = [0, 50, 100, 200, 400, 600, 800, 1000, 10_000];
            let near = |step: &&u64| passed * 10 >= **step * 8 && passed * 10 <= **step * 12;
            let exact = steps.iter().find(|step| **step == passed);
            let step = exact.or_else(|| steps.iter().find(near));
            format!("+{} {rest}", step.expect("a step"))
        };
        lines.iter().map(line).collect()
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn failed_attempts_are_made_ever_more_rarely() {
        let acts = vec![Act::Refuse, Act::Refuse, Act::Refuse];
        let (lines, state) = run_script(1, acts).await;
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 refuses",
                "+0 server 0 is unavailable: refused",
                "+50 server 0 refuses",
                "+0 server 0 is unavailable: refused",
                "+100 server 0 refuses",
                "+0 server 0 is unavailable: refused",
            ]
        );
        assert!(matches!(state, State::Unavailable(_)));
    }

    fn broken() -> Ended {
        Ended::Broken(LookupError::new(Code::LookupBadAnswer, "breaks"))
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_ended_in_order_or_lasted_is_replaced_immediately() {
        let acts = vec![
            Act::Serve(0, Ended::InOrder),
            Act::Serve(1000, broken()),
            Act::Serve(60_000, broken()),
            Act::Refuse,
            Act::Refuse,
        ];
        let (lines, _) = run_script(1, acts).await;
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 serves",
                "+0 server 0 serves",
                "+1000 server 0 breaks",
                "+0 server 0 serves",
                "+10000 server 0 is old",
                "+0 server 0 refuses",
                "+0 server 0 refuses",
                "+0 server 0 is unavailable: refused",
            ]
        );
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn connections_that_break_early_are_made_again_at_once_only_a_few_times() {
        let acts = (0..6).map(|_| Act::Serve(0, broken())).collect();
        let (lines, state) = run_script(1, acts).await;
        let ends = lines.iter().filter(|line| line.ends_with("0 breaks"));
        assert_eq!(ends.count(), 6);
        let others: Vec<_> = nominal(&lines);
        let others = others.iter().filter(|line| !line.ends_with("0 breaks"));
        assert_eq!(
            others.collect::<Vec<_>>(),
            [
                "+0 server 0 serves",
                "+0 server 0 serves",
                "+0 server 0 serves",
                "+0 server 0 serves",
                "+0 server 0 is unavailable: breaks",
                "+50 server 0 serves",
                "+0 server 0 is unavailable: breaks",
                "+100 server 0 serves",
                "+0 server 0 is unavailable: breaks",
            ]
        );
        let State::Unavailable(why) = state else {
            panic!("there is a wait although no attempt is under way: {state:?}")
        };
        assert_eq!(why.code, Code::LookupUnavailable, "whatever broke it");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn what_ends_in_order_or_is_given_up_is_no_failed_attempt() {
        let given_up = || Ended::GivenUp(LookupError::new(Code::LookupUnavailable, "late"));
        let mut acts: Vec<_> = (0..50).map(|_| Act::Serve(0, Ended::InOrder)).collect();
        acts.extend((0..6).map(|_| Act::Serve(0, given_up())));
        acts.push(Act::Serve(0, broken()));
        let (lines, _) = run_script(1, acts).await;
        let nominal = nominal(&lines);
        assert!(
            nominal[..55]
                .iter()
                .all(|line| line == "+0 server 0 serves")
        );
        // Of the five tokens one was taken at first.
        assert_eq!(
            nominal[55..],
            [
                "+0 server 0 is unavailable: late",
                "+100 server 0 serves",
                "+0 server 0 is unavailable: late",
                "+100 server 0 serves",
                "+0 server 0 breaks",
                "+0 server 0 is unavailable: breaks",
            ]
        );
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_store_that_dies_again_and_again_is_used_whenever_it_is_back() {
        let mut acts = Vec::new();
        for _ in 0..5 {
            acts.push(Act::Serve(1000, broken()));
            acts.push(Act::Refuse);
            acts.push(Act::Refuse);
        }
        let (lines, _) = run_script(1, acts).await;
        let life = [
            "+1000 server 0 breaks",
            "+0 server 0 refuses",
            "+0 server 0 refuses",
            "+0 server 0 is unavailable: refused",
            "+50 server 0 serves",
        ];
        let lives = std::iter::repeat_n(life, 5).flatten();
        let lives: Vec<_> = std::iter::once("+0 server 0 serves").chain(lives).collect();
        assert_eq!(nominal(&lines), lives[..lives.len() - 1]);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_panic_of_the_client_is_a_failed_attempt() {
        let acts = vec![Act::Panic, Act::Panic, Act::Serve(1000, broken())];
        let (lines, _) = run_script(1, acts).await;
        let unavailable =
            "+0 server 0 is unavailable: the client of the store panicked: no such number";
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 panics",
                unavailable,
                "+50 server 0 panics",
                unavailable,
                "+100 server 0 serves",
                "+1000 server 0 breaks",
            ]
        );
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn every_server_is_tried_before_the_pause() {
        let refused = LookupError::new(Code::LookupUnavailable, "turned down");
        let acts = vec![
            Act::Refuse,
            Act::Serve(0, broken()),
            Act::Serve(0, Ended::Refused(refused)),
            Act::Refuse,
        ];
        let (lines, state) = run_script(3, acts).await;
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 refuses",
                "+0 server 1 serves",
                "+0 server 1 breaks",
                "+0 server 2 serves",
                "+0 server 0 is unavailable: turned down",
                "+50 server 0 refuses",
            ]
        );
        assert!(matches!(state, State::Unavailable(_)));
    }
}
