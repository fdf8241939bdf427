//! Holds the questions that wait for one of several connections to the same server.
//!
//! Lookups ask, the tasks that keep the connections take questions and answer them. While every connection is
//! unavailable, a question is answered at once with the reason, or starts an attempt and waits for it. The queue is bounded: questions whose lookups were
//! dropped are removed from time to time and when it is full, and after that new ones are shed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::availability::{Availability, State};
use super::extra::Extra;
use super::line::{InLine, Line};
use super::pace::Pace;
use crate::backend::{GivenUp, LookupError};
use crate::error::Code;

/// With fewer questions waiting than this, the questions of dropped lookups are not removed.
const PURGE_MIN: usize = 1024;

/// A question `Q` and the channel for its answer `A`.
pub(in crate::backend) struct Queued<Q, A> {
    pub(in crate::backend) asked: Q,
    /// How many were asked before it.
    number: u64,
    /// A connection has already broken while it carried this question.
    tried: bool,
    /// It may be asked once more after that.
    repeats: bool,
    answer: oneshot::Sender<Result<A, LookupError>>,
}

impl<Q, A> Queued<Q, A> {
    /// Answers. If the lookup was dropped, the answer is discarded.
    pub(in crate::backend) fn answer(self, answer: Result<A, LookupError>) {
        drop(self.answer.send(answer));
    }

    /// Whether its lookup was dropped.
    pub(in crate::backend) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    /// Ends when its lookup is dropped.
    pub(in crate::backend) async fn abandoned(&mut self) {
        self.answer.closed().await;
    }

    /// Returns the question after its connection broke, to be asked once more: every question is a read, so asking twice
    /// does no harm. The second time, the question is answered with `why`.
    pub(in crate::backend) fn retry(mut self, why: &LookupError) -> Option<Self> {
        if self.tried || !self.repeats {
            self.answer(Err(why.clone()));
            return None;
        }
        self.tried = true;
        (!self.is_abandoned()).then_some(self)
    }
}

/// How many questions may wait, and the error for further questions.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Limit {
    pub(in crate::backend) questions_max: usize,
    pub(in crate::backend) shed: &'static str,
}

/// Questions in the order of their arrival.
pub(in crate::backend) struct Queue<Q, A> {
    waiting: RefCell<VecDeque<Queued<Q, A>>>,
    /// The number of waiting questions at which those of dropped lookups are removed next.
    purge_at: Cell<usize>,
    asked: Cell<u64>,
    arrived: Notify,
    /// Wakes a connection that is closed unless it is needed. None is woken while another one is free.
    arrived_for_extra: Notify,
    /// How many connections wait for a question: of those that are always kept, and of the others.
    idle: [Cell<usize>; 2],
    /// A question waits although no connection is free.
    crowded: Notify,
    pub(super) connections: Vec<Rc<Availability<()>>>,
    pub(super) extras: Vec<Rc<Extra>>,
    limit: Limit,
    line: Line,
}

impl<Q, A> Queue<Q, A> {
    /// An empty queue for this many connections.
    pub(super) fn new(connections: usize, limit: Limit, given_up: &GivenUp) -> Self {
        Queue::paced(connections, &Pace::new(connections), (limit, given_up))
    }

    fn paced(connections: usize, pace: &Rc<Pace>, (limit, given_up): (Limit, &GivenUp)) -> Self {
        Queue {
            waiting: RefCell::default(),
            purge_at: Cell::new(PURGE_MIN),
            asked: Cell::new(0),
            arrived: Notify::new(),
            arrived_for_extra: Notify::new(),
            idle: [Cell::new(0), Cell::new(0)],
            crowded: Notify::new(),
            connections: (0..connections)
                .map(|_| Rc::new(Availability::paced(pace)))
                .collect(),
            extras: Vec::new(),
            limit,
            line: Line::new(given_up),
        }
    }

    /// An empty queue for this many connections, and for so many others that are opened when they are needed and stay open
    /// for so long after that.
    pub(super) fn with_extras(
        connections: usize,
        (count, idle_max): (usize, Duration),
        limited: (Limit, &GivenUp),
    ) -> Self {
        let pace = Pace::new(connections + count);
        Queue {
            extras: (0..count).map(|_| Extra::new(idle_max, &pace)).collect(),
            ..Queue::paced(connections, &pace, limited)
        }
    }

    /// Asks, and waits for the answer. If the connection breaks, asks once more over another one.
    pub(in crate::backend) async fn ask(&self, asked: Q) -> Result<A, LookupError> {
        self.ask_and(asked, true).await
    }

    /// Asks over one connection, and waits for the answer.
    pub(in crate::backend) async fn ask_once(&self, asked: Q) -> Result<A, LookupError> {
        self.ask_and(asked, false).await
    }

    async fn ask_and(&self, asked: Q, repeats: bool) -> Result<A, LookupError> {
        let (answer, answered) = oneshot::channel();
        let number = self.asked.get();
        self.asked.set(number + 1);
        self.push(Queued {
            asked,
            number,
            tried: false,
            repeats,
            answer,
        })?;
        let mut waits = Waits {
            queue: self,
            number,
            in_line: self.line.join(),
            is_over: false,
        };
        let answer = answered.await.unwrap_or_else(|_| {
            let why = "the connection's task ended";
            Err(LookupError::new(Code::LookupUnavailable, why))
        });
        waits.is_over = true;
        if answer.is_ok() {
            self.line.answered();
        }
        answer
    }

    /// Whether this question has not been taken yet. They are in the order of their numbers, but for those that were.
    fn holds(&self, number: u64) -> bool {
        let waiting = self.waiting.borrow();
        let at = waiting.partition_point(|question| question.number < number);
        let found = waiting.get(at);
        found.is_some_and(|question| question.number == number && !question.tried)
    }

    fn push(&self, question: Queued<Q, A>) -> Result<(), LookupError> {
        if let Some(why) = self.unavailable()
            && !self.want()
        {
            return Err(why.not_tried());
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.purge_at.get().min(self.limit.questions_max) {
            waiting.retain(|question| !question.is_abandoned());
            self.purge_at.set((waiting.len() * 2).max(PURGE_MIN));
        }
        if waiting.len() >= self.limit.questions_max {
            return Err(LookupError::new(Code::LookupShed, self.limit.shed));
        }
        waiting.push_back(question);
        drop(waiting);
        self.wake();
        Ok(())
    }

    /// Waits for the next question whose lookup still waits.
    pub(in crate::backend) async fn next(&self) -> Queued<Q, A> {
        self.next_of(false, |_| true).await
    }

    /// Waits for the next question that may be asked now and whose lookup still waits. An extra connection gets one only if no
    /// other is free.
    pub(in crate::backend) async fn next_of(
        &self,
        is_extra: bool,
        may: impl Fn(&Q) -> bool,
    ) -> Queued<Q, A> {
        loop {
            if let Some(question) = self.take_of(&may) {
                return question;
            }
            let _idle = Idle::begin(&self.idle[usize::from(is_extra)]);
            if is_extra {
                self.arrived_for_extra.notified().await;
            } else {
                self.arrived.notified().await;
            }
        }
    }

    /// The next question whose lookup still waits, if there is one.
    pub(in crate::backend) fn take(&self) -> Option<Queued<Q, A>> {
        self.take_of(|_| true)
    }

    /// The next question that may be asked now and whose lookup still waits, if there is one.
    pub(in crate::backend) fn take_of(&self, may: impl Fn(&Q) -> bool) -> Option<Queued<Q, A>> {
        let mut waiting = self.waiting.borrow_mut();
        let mut at = 0;
        while let Some(question) = waiting.get(at) {
            if question.is_abandoned() {
                waiting.remove(at);
            } else if may(&question.asked) {
                return waiting.remove(at);
            } else {
                at += 1;
            }
        }
        None
    }

    /// Waits until there may be a question to take.
    pub(in crate::backend) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Wakes another connection's task if questions are left.
    pub(in crate::backend) fn pass_on(&self) {
        if !self.waiting.borrow().is_empty() {
            self.wake();
        }
    }

    /// Takes back a question whose connection broke under it, for any connection to ask once more.
    pub(in crate::backend) fn put_back(&self, question: Queued<Q, A>, why: &LookupError) {
        let Some(question) = question.retry(why) else {
            return;
        };
        // At the front, and not counted against the limit: it was within the limit before, and connections hold few.
        self.waiting.borrow_mut().push_front(question);
        self.wake();
    }

    /// Wakes a connection for a question that waits.
    fn wake(&self) {
        match (self.idle[0].get(), self.idle[1].get()) {
            (0, 0) if !self.extras.is_empty() => {
                self.arrived.notify_one();
                self.crowded.notify_one();
            }
            (0, 1..) => self.arrived_for_extra.notify_one(),
            _ => self.arrived.notify_one(),
        }
    }

    /// Ends when a question has waited for as long at least.
    pub(super) async fn kept_waiting(&self, patience: Duration) {
        loop {
            if self.waiting.borrow().is_empty() {
                self.crowded.notified().await;
            }
            let asked = self.asked.get();
            sleep(patience).await;
            let waiting = self.waiting.borrow();
            let mut waiting = waiting.iter();
            if waiting.any(|question| question.number < asked && !question.is_abandoned()) {
                return;
            }
        }
    }

    /// The connection that may be opened, if there may be another one. One at a time: a server that is slow to accept or
    /// refuses is not asked for another one meanwhile.
    pub(super) fn closed(&self) -> Option<usize> {
        let mut extras = self.extras.iter();
        let is_settled = self.connections.iter().all(|known| known.is_up())
            && extras.all(|extra| extra.is_closed() || extra.is_up());
        let mut extras = self.extras.iter();
        extras.position(|extra| is_settled && extra.is_closed())
    }

    /// Answers all waiting questions with the reason, if every connection is unavailable.
    pub(in crate::backend) fn refuse_if_unavailable(&self) {
        // A question that has started an attempt waits for that one.
        let is_wanted = self.connections.iter().any(|known| known.is_wanted());
        if !is_wanted && let Some(why) = self.unavailable() {
            for question in self.waiting.take() {
                let why = why.clone();
                let why = if question.tried { why } else { why.not_sent() };
                question.answer(Err(why));
            }
        }
    }

    /// Has one of the connections tried now, if its last attempt is long enough ago and none is under way that a lookup
    /// has started.
    fn want(&self) -> bool {
        let mut connections = self.connections.iter();
        !self.connections.iter().any(|known| known.is_wanted())
            && connections.any(|known| known.want())
    }

    /// Whether every connection is unavailable, so that questions fail at once.
    pub(in crate::backend) fn is_down(&self) -> bool {
        let is_down = |state: &State<()>| matches!(state, State::Unavailable(_));
        self.connections.iter().all(|known| is_down(&known.state()))
            && !self.extras.iter().any(|extra| extra.is_up())
    }

    /// Why there is no connection to wait for, if there is none.
    fn unavailable(&self) -> Option<LookupError> {
        if !self.is_down() {
            return None;
        }
        match &*self.connections.first()?.state() {
            State::Unavailable(why) => Some(why.clone()),
            State::Connecting | State::Up(()) => None,
        }
    }
}

/// A question that has no answer yet.
struct Waits<'a, Q, A> {
    queue: &'a Queue<Q, A>,
    number: u64,
    in_line: InLine,
    is_over: bool,
}

impl<Q, A> Drop for Waits<'_, Q, A> {
    fn drop(&mut self) {
        if !self.is_over && self.queue.holds(self.number) {
            self.queue.line.leave(self.in_line);
        }
    }
}

/// Counts a connection for as long as it waits for a question.
struct Idle<'a>(&'a Cell<usize>);

impl<'a> Idle<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Idle(count)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    const LIMIT: Limit = Limit {
        questions_max: 2,
        shed: "too many",
    };

    fn queue() -> Queue<u32, u32> {
        Queue::new(2, LIMIT, &GivenUp::default())
    }

    fn away() -> LookupError {
        LookupError::new(Code::LookupUnavailable, "away")
    }

    #[tokio::test(flavor = "local")]
    async fn a_full_queue_sheds_unless_lookups_were_dropped() {
        let queue = queue();
        let mut one = pin!(queue.ask(1));
        assert!(poll!(one.as_mut()).is_pending());
        {
            let mut dropped = pin!(queue.ask(2));
            assert!(poll!(dropped.as_mut()).is_pending());
        }
        let mut three = pin!(queue.ask(3));
        assert!(
            poll!(three.as_mut()).is_pending(),
            "it takes the place of 2"
        );
        let shed = queue.ask(4).await.expect_err("it is full");
        assert_eq!((shed.code, &*shed.detail), (Code::LookupShed, "too many"));
        for number in [1, 3] {
            let question = queue.next().await;
            assert_eq!(question.asked, number);
            question.answer(Ok(number * 10));
        }
        assert_eq!(one.await.expect("an answer"), 10);
        assert_eq!(three.await.expect("an answer"), 30);
        assert!(queue.take().is_none());
    }

    #[tokio::test(flavor = "local")]
    async fn questions_wait_as_long_as_one_connection_may_come_up() {
        let queue = queue();
        let mut waiting = pin!(queue.ask(1));
        assert!(poll!(waiting.as_mut()).is_pending());
        queue.connections[0].set(State::Unavailable(away()));
        queue.refuse_if_unavailable();
        assert!(poll!(waiting.as_mut()).is_pending());
        queue.connections[1].set(State::Unavailable(away()));
        queue.refuse_if_unavailable();
        let refused = [waiting.await, queue.ask(2).await];
        for refused in refused {
            assert_eq!(refused.expect_err("no connection").detail, "away");
        }
        assert!(queue.take().is_none(), "nothing was queued");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn the_first_question_after_some_of_the_pause_waits_for_an_attempt() {
        let queue = queue();
        for known in &queue.connections {
            known.set(State::Unavailable(away()));
        }
        let after = std::time::Duration::from_millis(100);
        let keeper = |at: usize| queue.connections[at].pause(after * 10, after);
        let (mut one, mut two) = (pin!(keeper(0)), pin!(keeper(1)));
        assert!(poll!(one.as_mut()).is_pending() && poll!(two.as_mut()).is_pending());
        assert!(queue.ask(1).await.is_err(), "too early");
        tokio::time::advance(after).await;
        let mut waits = pin!(queue.ask(2));
        assert!(poll!(waits.as_mut()).is_pending());
        assert!(poll!(one.as_mut()).is_ready() && poll!(two.as_mut()).is_pending());
        assert!(queue.ask(3).await.is_err(), "one attempt at a time");
        queue.refuse_if_unavailable();
        assert!(
            poll!(waits.as_mut()).is_pending(),
            "the attempt is not over"
        );
        queue.connections[0].set(State::Unavailable(away()));
        queue.refuse_if_unavailable();
        assert!(waits.await.is_err(), "the attempt failed");
    }

    #[tokio::test(flavor = "local")]
    async fn an_extra_connection_gets_a_question_only_if_no_other_is_free() {
        let queue = queue();
        let (mut base, mut extra) = (pin!(queue.next()), pin!(queue.next_of(true, |_| true)));
        assert!(poll!(extra.as_mut()).is_pending() && poll!(base.as_mut()).is_pending());
        let [mut one, mut two] = [1, 2].map(|number| Box::pin(queue.ask(number)));
        assert!(poll!(one.as_mut()).is_pending());
        assert!(poll!(extra.as_mut()).is_pending(), "another one is free");
        assert_eq!(base.await.asked, 1);
        assert!(poll!(two.as_mut()).is_pending());
        assert_eq!(extra.await.asked, 2);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_question_is_kept_waiting_once_it_has_waited_for_long() {
        let patience = Duration::from_millis(10);
        let limited = (LIMIT, &GivenUp::default());
        let queue = Queue::<u32, u32>::with_extras(2, (1, patience), limited);
        let mut kept = pin!(queue.kept_waiting(patience));
        assert!(poll!(kept.as_mut()).is_pending());
        let step = patience / 2;
        {
            let mut quick = pin!(queue.ask(1));
            assert!(poll!(quick.as_mut()).is_pending() && poll!(kept.as_mut()).is_pending());
            tokio::time::advance(step).await;
            assert!(queue.take().is_some());
        }
        let mut waits = pin!(queue.ask(2));
        assert!(poll!(waits.as_mut()).is_pending());
        let start = tokio::time::Instant::now();
        kept.await;
        assert_eq!(start.elapsed(), patience + step, "the second look");
    }

    #[tokio::test(flavor = "local")]
    async fn a_question_is_asked_twice_at_most() {
        let queue = queue();
        let mut asked = pin!(queue.ask(1));
        assert!(poll!(asked.as_mut()).is_pending());
        let first = queue.next().await;
        queue.put_back(first, &away());
        let second = queue.next().await;
        assert_eq!(second.asked, 1);
        queue.put_back(second, &away());
        assert_eq!(asked.await.expect_err("broken twice").detail, "away");
    }

    #[tokio::test(flavor = "local")]
    async fn whoever_counts_repeats_gets_the_first_failure() {
        let queue = queue();
        let mut asked = pin!(queue.ask_once(1));
        assert!(poll!(asked.as_mut()).is_pending());
        let first = queue.next().await;
        queue.put_back(first, &away());
        let broken = asked.await.expect_err("broken");
        assert!(!broken.was_not_sent() && broken.may_be_retried());
        let mut asked = pin!(queue.ask_once(2));
        assert!(poll!(asked.as_mut()).is_pending());
        for known in &queue.connections {
            known.set(State::Unavailable(away()));
        }
        queue.refuse_if_unavailable();
        let unsent = asked.await.expect_err("no connection");
        assert!(unsent.was_not_sent() && unsent.may_be_retried());
    }
}
