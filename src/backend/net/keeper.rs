//! Keeps one connection in a loop: connect, serve, wait, connect again.
//!
//! In: a [`Dial`], which knows one kind of store. Out: the connection's [`Availability`]. When an attempt fails on every
//! server of the store, the connection is unavailable and the next attempt waits for its [`Backoff`]. A connection that
//! ends soon after it was made leads to a delay too, so that a server that accepts and hangs up does not cause a tight
//! loop.

use std::rc::Rc;

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::availability::{Availability, State};
use super::backoff::{Backoff, DELAY_MAX};
use crate::backend::LookupError;
use crate::error::Code;

/// How one kind of store connects, and what it does with a connection.
pub(in crate::backend) trait Dial {
    /// What lookups send their questions through; `()` where a queue carries them.
    type Client;
    /// What the keeper's task drives.
    type Connection;

    /// Makes a connection over which the server has answered. Ends within the store's own time limit.
    async fn connect(&mut self) -> Result<(Self::Client, Self::Connection), LookupError>;

    /// Uses a connection until it breaks.
    async fn serve(&mut self, connection: Self::Connection) -> Ended;

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
    /// It had been useful: the next attempt is made immediately.
    Served,
    /// It broke. The next attempt is made immediately if the connection had lived for long.
    Lost,
    /// The server refused us: this counts as a failed attempt.
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
    // Servers in a row that failed.
    let mut failed = 0;
    loop {
        let why = match attempt(&mut dial, &availability).await {
            Attempt::Good => {
                backoff.reset();
                failed = 0;
                continue;
            }
            Attempt::Dropped => None,
            Attempt::Failed(why) => Some(why),
        };
        dial.next_server();
        failed += 1;
        if failed < dial.servers() {
            continue;
        }
        failed = 0;
        if let Some(why) = why {
            availability.set(State::Unavailable(why.clone()));
            dial.unavailable(&why);
        }
        sleep(backoff.delay()).await;
    }
}

/// The result of one attempt.
enum Attempt {
    /// A connection that was useful.
    Good,
    /// A connection that was dropped soon after it was made. Lookups wait for the next one.
    Dropped,
    /// No connection.
    Failed(LookupError),
}

/// Makes one connection and uses it until it ends.
async fn attempt<D: Dial>(dial: &mut D, availability: &Availability<D::Client>) -> Attempt {
    let (client, connection) = match dial.connect().await {
        Ok(connected) => connected,
        Err(why) => return Attempt::Failed(unavailable(why)),
    };
    let since = Instant::now();
    availability.set(State::Up(client));
    let ended = dial.serve(connection).await;
    availability.set(State::Connecting);
    match ended {
        Ended::Served => Attempt::Good,
        _ if since.elapsed() >= DELAY_MAX => Attempt::Good,
        Ended::Lost => Attempt::Dropped,
        Ended::Refused(why) => Attempt::Failed(unavailable(why)),
    }
}

/// A server over which no session can be set up is unavailable, in its own words, whatever it objects to.
fn unavailable(why: LookupError) -> LookupError {
    LookupError {
        code: Code::LookupUnavailable,
        ..why
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;

    /// What a server does with an attempt.
    enum Act {
        Refuse,
        /// Serves for this many milliseconds.
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
                None => std::future::pending().await,
            }
        }

        async fn serve(&mut self, (millis, ended): Self::Connection) -> Ended {
            self.note("serves");
            sleep(Duration::from_millis(millis)).await;
            ended
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
            let steps = [0, 50, 100, 200, 999, 1000];
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

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_was_useful_or_old_is_replaced_immediately() {
        let acts = vec![
            Act::Serve(0, Ended::Served),
            Act::Serve(1000, Ended::Lost),
            Act::Serve(0, Ended::Lost),
            Act::Serve(0, Ended::Lost),
            Act::Serve(0, Ended::Served),
            Act::Refuse,
        ];
        let (lines, _) = run_script(1, acts).await;
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 serves",
                "+0 server 0 serves",
                "+1000 server 0 serves",
                "+50 server 0 serves",
                "+100 server 0 serves",
                "+0 server 0 refuses",
                "+0 server 0 is unavailable: refused",
            ]
        );
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn every_server_is_tried_before_the_pause() {
        let refused = LookupError::new(Code::LookupUnavailable, "turned down");
        let acts = vec![
            Act::Refuse,
            Act::Serve(0, Ended::Lost),
            Act::Serve(0, Ended::Refused(refused)),
            Act::Refuse,
        ];
        let (lines, state) = run_script(3, acts).await;
        assert_eq!(
            nominal(&lines),
            [
                "+0 server 0 refuses",
                "+0 server 1 serves",
                "+0 server 2 serves",
                "+0 server 0 is unavailable: turned down",
                "+50 server 0 refuses",
            ]
        );
        assert!(matches!(state, State::Unavailable(_)));
    }
}
