//! Limits how many unbatched lookups are under way to a store. The others wait, and their callers take turns.
//!
//! Waiting for a permit counts against the lookup's time, and has its own fate, because the store is not to blame.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, timeout_at};

use super::backlog::{Backlog, Backlogs, Pace, Prospect, is_of_store};
use super::question::Question;
use super::turns::TURN;
use super::waiters::Waiters;
use crate::backend::{Answer, LookupError};
use crate::context::CallerId;
use crate::error::Code;
use crate::metrics::{Gauge, Load};

/// No more lookups wait, whatever `waiting_max` is: each takes up to a kilobyte, so all of them 64 MiB.
const WAITING_CEILING: usize = 64 * 1024;

/// The permits of one store on one loop.
pub(super) struct Permits {
    state: RefCell<State>,
    load: Load,
    waiting_max: usize,
}

struct State {
    free: usize,
    in_flight: usize,
    /// Who is let through has a permit.
    waiters: Waiters,
    backlog: Backlog,
}

/// Allows one lookup to be under way; returned when dropped.
pub(super) struct Permit<'a> {
    permits: &'a Permits,
    _in_flight: Counted<'a>,
}

/// Waits for a permit.
struct Turn<'a> {
    permits: &'a Permits,
    /// `None` once it has the permit.
    key: Option<usize>,
}

impl Permits {
    pub(super) fn new(
        in_flight_max: usize,
        waiting_max: usize,
        (load, backlogs): (Load, &Backlogs),
    ) -> Self {
        let state = State {
            free: in_flight_max,
            in_flight: 0,
            waiters: Waiters::new(TURN),
            backlog: Backlog::new(backlogs),
        };
        Permits {
            state: RefCell::new(state),
            load,
            waiting_max,
        }
    }

    /// A permit, now or by `deadline` and `latest`. Fails with `lookup.shed` if there is no room to wait, with `lookup.waited` if no
    /// permit becomes free until `latest`, and with `lookup.timeout_pool` if none does until `deadline`.
    async fn acquire(
        &self,
        caller: CallerId,
        (deadline, latest): (Instant, Option<Instant>),
    ) -> Result<Permit<'_>, LookupError> {
        if self.state.borrow_mut().take() {
            return Ok(self.permit());
        }
        if self.is_full() {
            return Err(queue_full());
        }
        let _waiting = Counted::one(&self.load.waiting);
        let latest = latest.filter(|latest| *latest < deadline);
        match timeout_at(latest.unwrap_or(deadline), self.queue(caller)).await {
            Ok(()) => Ok(self.permit()),
            Err(_elapsed) if latest.is_some() => Err(waited()),
            Err(_elapsed) => Err(not_sent()),
        }
    }

    /// Asks a question with `lookup` once it has its permit, for which it waits until `latest` at most.
    pub(super) async fn hold(
        &self,
        (question, latest): (&Question<'_>, Option<Instant>),
        lookup: impl Future<Output = Result<Answer, LookupError>>,
    ) -> Result<Answer, LookupError> {
        let caller = question.context.caller;
        let _permit = self.acquire(caller, (question.deadline, latest)).await?;
        let answer = lookup.await;
        // No lookup waits any more for an answer that does not come here.
        if is_of_store(&answer) {
            self.served();
        }
        answer
    }

    fn served(&self) {
        self.state.borrow_mut().backlog.served(1);
    }

    /// What a lookup finds whose caller has `own` in the queue.
    pub(super) fn prospect(&self, own: usize, now: Instant) -> Prospect {
        let mut state = self.state.borrow_mut();
        Prospect {
            pace: state.backlog.pace(now),
            ahead: state.waiters.ahead(own),
            in_flight: state.in_flight,
        }
    }

    /// Looks at the queue, which has so many lookups in it.
    pub(super) fn with_backlog<R>(&self, look: impl FnOnce(&mut Backlog, usize) -> R) -> R {
        let state = &mut *self.state.borrow_mut();
        look(&mut state.backlog, state.waiters.waiting())
    }

    /// Whether there is no memory, or `waiting_max` lookups wait for a store that does not answer. If it answers, calls whose
    /// lookups would wait too long are refused before they begin.
    fn is_full(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let waiting = state.waiters.waiting();
        waiting >= self.waiting_max
            && (waiting >= self.waiting_max.max(WAITING_CEILING)
                || state.backlog.pace(Instant::now()) == Pace::Silent)
    }

    fn queue(&self, caller: CallerId) -> Turn<'_> {
        let state = &mut *self.state.borrow_mut();
        let key = state.waiters.add(caller, 1);
        state.rest();
        Turn {
            permits: self,
            key: Some(key),
        }
    }

    fn permit(&self) -> Permit<'_> {
        Permit {
            permits: self,
            _in_flight: Counted::one(&self.load.in_flight),
        }
    }
}

impl State {
    fn take(&mut self) -> bool {
        let is_free = self.free > 0;
        if is_free {
            self.free -= 1;
            self.in_flight += 1;
        }
        is_free
    }

    /// Gives a permit to the next one that waits for it.
    fn give_back(&mut self) {
        if self.waiters.let_through().is_none() {
            self.free += 1;
            self.in_flight -= 1;
        }
        self.rest();
    }

    /// Nothing more can leave the queue at the moment.
    fn rest(&mut self) {
        self.backlog.rest(self.waiters.waiting(), Instant::now);
    }
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(key) = self.key else {
            return Poll::Ready(());
        };
        let polled = self.permits.state.borrow_mut().waiters.poll(key, cx);
        if polled.is_ready() {
            self.key = None;
        }
        polled.map(drop)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else {
            return;
        };
        let state = &mut *self.permits.state.borrow_mut();
        if state.waiters.leave(key).is_some() {
            state.give_back();
        } else {
            state.rest();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.permits.state.borrow_mut().give_back();
    }
}

/// The lookup was not sent to its store in time.
pub(super) fn not_sent() -> LookupError {
    LookupError::new(
        Code::LookupTimeoutPool,
        "still queued at its deadline: `in_flight_max` lookups were under way",
    )
}

/// The lookup was not sent to its store in time, because that was busy with others.
pub(super) fn in_line() -> LookupError {
    LookupError::new(
        Code::LookupTimeoutPool,
        "still without a connection at its deadline: all were busy with other lookups",
    )
}

/// The lookup was not sent to its store within its `wait_max`.
pub(super) fn waited() -> LookupError {
    LookupError::new(
        Code::LookupWaited,
        "still queued after `wait_max`: `in_flight_max` lookups were under way",
    )
}

/// No further lookup can wait for the store.
pub(super) fn queue_full() -> LookupError {
    LookupError::new(
        Code::LookupShed,
        "`waiting_max` lookups wait for a store that does not answer, or there is no memory for more",
    )
}

/// Counts one for as long as it lives, even if its future is dropped.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn one(gauge: &'a Gauge) -> Self {
        gauge.up();
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn permits(in_flight_max: usize, waiting_max: usize) -> (Permits, Load) {
        let load = Load::unscraped();
        let counted = (load.clone(), &Backlogs::default());
        (Permits::new(in_flight_max, waiting_max, counted), load)
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn waiters_time_out_and_too_many_are_shed_if_the_store_is_silent() {
        let (permits, load) = permits(1, 1);
        let caller = CallerId(1);
        let start = Instant::now();
        let held = permits
            .acquire(caller, (start, None))
            .await
            .expect("the first permit");
        let mut late = Box::pin(permits.acquire(caller, (start + 1500 * MS, None)));
        assert!(late.as_mut().now_or_never().is_none());
        let mut burst = Box::pin(permits.acquire(caller, (start + 1500 * MS, None)));
        assert!(burst.as_mut().now_or_never().is_none(), "a burst waits");
        assert_eq!(load.waiting.get(), 2);
        drop(burst);
        tokio::time::advance(1000 * MS).await;
        let shed = permits.acquire(caller, (start + 1500 * MS, None)).await;
        assert_eq!(shed.map(|_| ()).unwrap_err().code, Code::LookupShed);
        let late = late.await.map(|_| ()).unwrap_err();
        assert_eq!(
            (late.code, start.elapsed()),
            (Code::LookupTimeoutPool, 1500 * MS)
        );
        assert_eq!((load.in_flight.get(), load.waiting.get()), (1, 0));
        drop(held);
        assert_eq!(load.in_flight.get(), 0);
        assert!(permits.acquire(caller, (start, None)).await.is_ok());
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_wait_ends_at_its_own_limit_and_leaves_no_place_behind() {
        let (permits, load) = permits(1, 10);
        let caller = CallerId(1);
        let start = Instant::now();
        let end = start + 1000 * MS;
        let held = permits.acquire(caller, (end, None)).await;
        let held = held.expect("the first permit");
        let code = |result: Result<Permit<'_>, LookupError>| result.map(drop).unwrap_err().code;
        let early = permits.acquire(caller, (end, Some(start + 50 * MS))).await;
        assert_eq!(
            (code(early), start.elapsed()),
            (Code::LookupWaited, 50 * MS)
        );
        let late = permits.acquire(caller, (end, Some(end + MS))).await;
        assert_eq!(
            (code(late), start.elapsed()),
            (Code::LookupTimeoutPool, 1000 * MS)
        );
        assert_eq!((load.in_flight.get(), load.waiting.get()), (1, 0));
        drop(held);
        let free = permits.acquire(caller, (end, Some(start))).await;
        assert!(free.is_ok(), "what need not wait has no limit");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_store_that_answers_sheds_nothing_although_its_queue_stands() {
        let (permits, load) = permits(1, 1);
        let caller = CallerId(1);
        let end = Instant::now() + 60_000 * MS;
        let held = permits
            .acquire(caller, (end, None))
            .await
            .expect("the first permit");
        let mut waiting = Vec::new();
        for _ in 0..30 {
            let mut turn = Box::pin(permits.acquire(caller, (end, None)));
            assert!(turn.as_mut().now_or_never().is_none());
            waiting.push(turn);
            tokio::time::advance(100 * MS).await;
            permits.served();
        }
        assert_eq!(load.waiting.get(), 30);
        let prospect = permits.prospect(7, Instant::now());
        assert_eq!((prospect.ahead, prospect.in_flight), (30, 1));
        let wait = prospect.pace.time(30).as_millis();
        assert!((2900..3100).contains(&wait), "ten per second: {wait}");
        drop(held);
        for turn in waiting {
            assert!(turn.now_or_never().is_some_and(|permit| permit.is_ok()));
        }
        assert_eq!((load.in_flight.get(), load.waiting.get()), (0, 0));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn callers_take_turns_and_those_that_gave_up_lose_no_permit() {
        let (permits, load) = permits(1, 1000);
        let end = Instant::now() + 1000 * MS;
        let held = permits
            .acquire(CallerId(0), (end, None))
            .await
            .expect("the first permit");
        let (permits, ended) = (&permits, &RefCell::new(Vec::new()));
        let mut turns: FuturesUnordered<_> = (0..101)
            .map(|n| async move {
                let caller = CallerId(u64::from(n < 100));
                let permit = permits.acquire(caller, (end, None)).await.expect("in time");
                ended.borrow_mut().push(n);
                drop(permit);
            })
            .collect();
        assert!(turns.next().now_or_never().is_none());
        let mut gives_up = Box::pin(permits.acquire(CallerId(1), (end, None)));
        assert!(gives_up.as_mut().now_or_never().is_none());
        drop(gives_up);
        let mut granted = Box::pin(permits.acquire(CallerId(2), (end, None)));
        assert!(granted.as_mut().now_or_never().is_none());
        drop(held);
        while turns.next().now_or_never().flatten().is_some() {}
        drop(granted);
        while turns.next().await.is_some() {}
        let ended = ended.borrow();
        let polite = ended.iter().position(|n| *n == 100);
        assert!(ended.len() == 101 && polite <= Some(16), "{polite:?}");
        assert_eq!((load.in_flight.get(), load.waiting.get()), (0, 0));
        assert!(permits.state.borrow().waiters.is_empty());
    }
}
