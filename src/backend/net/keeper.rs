//! Keeps one connection in a loop: connect, serve, wait, connect again.
//!
//! In: a [`Dial`], which knows one kind of store. Out: the connection's [`Availability`]. When an attempt fails on every
//! server of the store, the connection is unavailable and the next attempt waits for its [`Backoff`], or for a lookup that
//! wants it. A connection that was of use is made again at once, with a second attempt if the first fails, and so is one that
//! was not, a few times in a row: a server that accepts and hangs up is not asked in a tight loop. A panic of the store's
//! client is a failed attempt.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::availability::{Availability, State};
use crate::backend::{Evidence, LookupError};
use crate::backoff::{Backoff, DELAY_MAX};
use crate::error::Code;
use crate::supervise::Panics;

/// How many connections in a row that were of no use are followed by the next at once.
const USELESS_MAX: u32 = 3;
/// A connection over which the server has answered was of use if it lived for this long, whether asked anything or not.
const LIVED: Duration = Duration::from_millis(100);

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

    /// Whether the server has answered over a connection that [`Dial::connect`] returns.
    fn is_greeted(&self) -> bool {
        true
    }

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
    /// After it was of use, or because of its age: the next attempt is made at once.
    Served,
    /// It broke, and was not of use unless it had lived for long.
    Lost(LookupError),
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
    let mut panics = Panics::default();
    // Servers in a row that were no good, and connections in a row that were of no use.
    let (mut failed, mut useless) = (0, 0);
    // Whether the attempt before came to a connection.
    let mut was_up = false;
    loop {
        let attempted = panics.catch(attempt(&mut dial, &availability, &mut backoff));
        let attempted = attempted.await.unwrap_or_else(|panic| {
            let why = format!("the client of the store panicked: {panic}");
            Attempt::Failed(LookupError::new(Code::LookupUnavailable, why), false)
        });
        if availability.is_up() {
            availability.set(State::Connecting);
        }
        let (why, at_once) = match attempted {
            Attempt::Good => {
                backoff.reset();
                (failed, useless, was_up) = (0, 0, true);
                continue;
            }
            Attempt::Useless(why) => {
                (useless, was_up) = (useless + 1, true);
                let at_once = useless <= USELESS_MAX;
                if at_once && dial.is_greeted() {
                    backoff.reset();
                }
                (why, at_once)
            }
            // What broke the connection before may have broken this attempt as well.
            Attempt::Failed(why, was_soon) => (why, std::mem::take(&mut was_up) && was_soon),
        };
        dial.next_server();
        failed += 1;
        if at_once || failed < dial.servers() {
            continue;
        }
        failed = 0;
        availability.set(State::Unavailable(why.clone()));
        dial.unavailable(&why);
        let delay = backoff.delay();
        let wanted_after = backoff.wanted_after(delay);
        availability.pause(delay, wanted_after).await;
    }
}

/// The result of one attempt.
enum Attempt {
    /// A connection that was useful.
    Good,
    /// A connection that broke before it was of use.
    Useless(LookupError),
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
        Err(why) => return Attempt::Failed(unavailable(why), since.elapsed() < LIVED),
    };
    let since = Instant::now();
    availability.set(State::Up(client));
    let age_max = backoff.jittered(dial.age_max());
    let ended = dial.serve(connection, since + age_max).await;
    let lived = since.elapsed();
    match ended {
        Ended::Served => Attempt::Good,
        Ended::Refused(why) => Attempt::Failed(unavailable(why), false),
        Ended::Lost(_) if lived >= DELAY_MAX => Attempt::Good,
        Ended::Lost(_) if lived >= LIVED && dial.is_greeted() => Attempt::Good,
        Ended::Lost(why) => Attempt::Useless(unavailable(why)),
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
        is_greeted: bool,
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
                return Ended::Served;
            };
            if let Ended::Lost(why) = &ended {
                self.note(&why.detail);
            }
            ended
        }

        fn age_max(&self) -> Duration {
            Duration::from_secs(10)
        }

        fn is_greeted(&self) -> bool {
            self.is_greeted
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
        run_scripted((servers, true), acts).await
    }

    async fn run_scripted(
        (servers, is_greeted): (usize, bool),
        acts: Vec<Act>,
    ) -> (Vec<String>, State<()>) {
        let log = Rc::default();
        let scripted = Scripted {
            acts: acts.into(),
            servers,
            is_greeted,
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

    fn lost() -> Ended {
        Ended::Lost(LookupError::new(Code::LookupBadAnswer, "breaks"))
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_was_useful_or_old_is_replaced_immediately() {
        let acts = vec![
            Act::Serve(0, Ended::Served),
            Act::Serve(1000, lost()),
            Act::Serve(60_000, lost()),
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
    async fn connections_of_no_use_are_made_again_at_once_only_a_few_times() {
        let acts = || (0..6).map(|_| Act::Serve(0, lost())).collect();
        for is_greeted in [true, false] {
            let (lines, state) = run_scripted((1, is_greeted), acts()).await;
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
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_store_that_dies_again_and_again_is_used_whenever_it_is_back() {
        let mut acts = Vec::new();
        for _ in 0..5 {
            acts.push(Act::Serve(600, lost()));
            acts.push(Act::Refuse);
            acts.push(Act::Refuse);
        }
        let (lines, _) = run_script(1, acts).await;
        let life = [
            "+600 server 0 breaks",
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
        let acts = vec![Act::Panic, Act::Panic, Act::Serve(1000, lost())];
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
            Act::Serve(0, lost()),
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
