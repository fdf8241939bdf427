//! Where the lookups of a call wait for answers that come in batches.
//!
//! A call has one set of [`Seats`] for all its lookups, and one waker, which is used once however many answers
//! come in a turn. Who asks keeps the set and the number of each [`Seat`]; who answers has the [`Place`] that belongs
//! to it. A seat that is left, or whose set is dropped, is abandoned: what comes for it is thrown away.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::backend::{Answer, LookupError};
use crate::error::Code;

/// The seats of one call, or of one `foreach`.
pub struct Seats(Rc<Set>);

#[derive(Default)]
struct Set {
    /// None any more once the asker has gone.
    seats: RefCell<Vec<State>>,
    /// Who waits for the answers.
    waker: Cell<Option<Waker>>,
}

enum State {
    /// In a queue.
    Waiting,
    /// On its way.
    Sent,
    Answered(Result<Answer, LookupError>),
    /// Nobody waits any more.
    Abandoned,
}

/// The number of a seat in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat(usize);

/// The answerer's end.
pub(super) struct Place {
    set: Rc<Set>,
    at: usize,
}

impl Seats {
    /// Room for `count` seats.
    pub fn with_room(count: usize) -> Self {
        Seats(Rc::new(Set {
            seats: RefCell::new(Vec::with_capacity(count)),
            waker: Cell::default(),
        }))
    }

    /// Wakes the task of `cx` when an answer comes to any of them.
    pub fn watch(&self, cx: &Context<'_>) {
        let waker = match self.0.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        self.0.waker.set(Some(waker));
    }

    /// One more seat.
    pub(super) fn take(&self) -> (Seat, Place) {
        let mut seats = self.0.seats.borrow_mut();
        let at = seats.len();
        seats.push(State::Waiting);
        let set = Rc::clone(&self.0);
        (Seat(at), Place { set, at })
    }

    /// The answer if it is there, once. Who wants to know when one comes [watches](Seats::watch) the set.
    pub fn take_answer(&self, seat: Seat) -> Option<Result<Answer, LookupError>> {
        let state = &mut self.0.seats.borrow_mut()[seat.0];
        if let State::Waiting | State::Sent = state {
            return None;
        }
        match std::mem::replace(state, State::Abandoned) {
            State::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether it never had its turn: another failing than a slow store.
    pub fn is_waiting(&self, seat: Seat) -> bool {
        matches!(self.0.seats.borrow()[seat.0], State::Waiting)
    }

    /// Gives it up: nobody waits for its answer any more.
    pub fn leave(&self, seat: Seat) {
        self.0.seats.borrow_mut()[seat.0] = State::Abandoned;
    }

    /// The answer, for those whose `deadline` nobody else looks at while they have not had their turn.
    pub fn poll(
        &self,
        seat: Seat,
        deadline: Instant,
        cx: &Context<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        match self.take_answer(seat) {
            Some(answer) => Poll::Ready(answer),
            None if self.is_waiting(seat) && deadline <= Instant::now() => {
                self.leave(seat);
                Poll::Ready(Err(no_turn()))
            }
            None => {
                self.watch(cx);
                Poll::Pending
            }
        }
    }
}

/// Its turn did not come in time.
pub fn no_turn() -> LookupError {
    LookupError::new(
        Code::LookupTimeoutPool,
        "`in_flight_max` reached all the time",
    )
}

impl Drop for Seats {
    fn drop(&mut self) {
        self.0.seats.take();
    }
}

impl Place {
    /// Notes that the lookup is on its way; false if nobody waits for it any more.
    pub(super) fn send(&self) -> bool {
        match self.set.seats.borrow_mut().get_mut(self.at) {
            Some(state @ State::Waiting) => {
                *state = State::Sent;
                true
            }
            _ => false,
        }
    }

    /// Brings the answer, unless nobody waits for it any more.
    pub(super) fn fill(self, answer: Result<Answer, LookupError>) {
        if let Some(state @ (State::Waiting | State::Sent)) =
            self.set.seats.borrow_mut().get_mut(self.at)
        {
            *state = State::Answered(answer);
            if let Some(waker) = self.set.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::value::Value;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn number(number: i64) -> Answer {
        Answer::new(Value::I64(number))
    }

    #[test]
    fn answers_of_one_turn_wake_once_and_what_is_left_is_not_sent() {
        let seats = Seats::with_room(3);
        let [(a, to_a), (b, to_b), (c, to_c)] = [(); 3].map(|()| seats.take());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        seats.watch(&Context::from_waker(&waker));
        assert!(seats.take_answer(a).is_none() && seats.take_answer(b).is_none());
        seats.leave(c);
        assert!(to_a.send() && to_b.send() && !to_c.send());
        assert!(!seats.is_waiting(a));
        to_b.fill(Ok(number(2)));
        to_a.fill(Ok(number(1)));
        to_c.fill(Ok(number(3)));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let value = |seat| match seats.take_answer(seat) {
            Some(Ok(answer)) => answer.value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value(a), Value::I64(1));
        assert_eq!(value(b), Value::I64(2));
        assert!(seats.take_answer(a).is_none(), "there is no other");
        assert!(seats.take_answer(c).is_none());
    }

    #[test]
    fn nobody_waits_in_a_set_that_is_gone() {
        let seats = Seats::with_room(2);
        let [(_, sent), (_, queued)] = [(); 2].map(|()| seats.take());
        assert!(sent.send());
        drop(seats);
        assert!(!queued.send());
        sent.fill(Ok(number(1)));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_seat_that_never_had_its_turn_says_so() {
        let seats = Seats::with_room(1);
        let deadline = Instant::now() + std::time::Duration::from_millis(5);
        let (seat, place) = seats.take();
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        let answer = poll_fn(|cx| seats.poll(seat, deadline, cx)).await;
        assert_eq!(answer.unwrap_err().code, Code::LookupTimeoutPool);
        assert!(!place.send(), "it is not sent afterwards");
    }
}
