//! Where the lookups of a call wait for answers that come in batches.
//!
//! A call has one set of [`Seats`] for all its lookups: one allocation, and one waker, which is used once however
//! many answers come in a turn. Who asks holds a [`Seat`], who answers the [`Place`] that belongs to it. A
//! dropped seat is abandoned: what comes for it is thrown away.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::backend::{Answer, LookupError};
use crate::error::Code;

/// The seats of one call, or of one `foreach`.
#[derive(Default)]
pub struct Seats {
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

/// The asker's end.
pub struct Seat {
    seats: Rc<Seats>,
    at: usize,
    deadline: Instant,
}

/// The answerer's end.
pub(super) struct Place {
    seats: Rc<Seats>,
    at: usize,
}

impl Seats {
    /// Room for `count` seats.
    pub fn with_room(count: usize) -> Rc<Self> {
        Rc::new(Seats {
            seats: RefCell::new(Vec::with_capacity(count)),
            waker: Cell::default(),
        })
    }

    /// Wakes the task of `cx` when an answer comes to any of them.
    pub fn watch(&self, cx: &Context<'_>) {
        let waker = match self.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        self.waker.set(Some(waker));
    }

    /// One more seat, of a lookup that waits until `deadline`.
    pub(super) fn take(self: &Rc<Self>, deadline: Instant) -> (Seat, Place) {
        let mut seats = self.seats.borrow_mut();
        let at = seats.len();
        seats.push(State::Waiting);
        let seat = Seat {
            seats: Rc::clone(self),
            at,
            deadline,
        };
        let place = Place {
            seats: Rc::clone(self),
            at,
        };
        (seat, place)
    }
}

impl Seat {
    /// The answer if it is there, once. Who wants to know when one comes [watches](Seats::watch) the set.
    pub fn take_answer(&self) -> Option<Result<Answer, LookupError>> {
        let state = &mut self.seats.seats.borrow_mut()[self.at];
        if let State::Waiting | State::Sent = state {
            return None;
        }
        match std::mem::replace(state, State::Abandoned) {
            State::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether it never had its turn: another failing than a slow store.
    pub fn is_waiting(&self) -> bool {
        matches!(self.seats.seats.borrow()[self.at], State::Waiting)
    }
}

/// For those who wait for one seat, or for some among others, and whose deadline nobody else looks at while they have not had their turn.
impl Future for Seat {
    type Output = Result<Answer, LookupError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.take_answer() {
            Some(answer) => Poll::Ready(answer),
            None if self.is_waiting() && self.deadline <= Instant::now() => {
                Poll::Ready(Err(no_turn()))
            }
            None => {
                self.seats.watch(cx);
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

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.seats.borrow_mut()[self.at] = State::Abandoned;
    }
}

impl Place {
    /// Notes that the lookup is on its way; false if nobody waits for it any more.
    pub(super) fn send(&self) -> bool {
        let state = &mut self.seats.seats.borrow_mut()[self.at];
        let waiting = matches!(state, State::Waiting);
        if waiting {
            *state = State::Sent;
        }
        waiting
    }

    /// Brings the answer, unless nobody waits for it any more.
    pub(super) fn fill(self, answer: Result<Answer, LookupError>) {
        let state = &mut self.seats.seats.borrow_mut()[self.at];
        if let State::Waiting | State::Sent = state {
            *state = State::Answered(answer);
            if let Some(waker) = self.seats.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn answers_of_one_turn_wake_once_and_the_abandoned_is_not_sent() {
        let seats = Seats::with_room(3);
        let deadline = Instant::now() + std::time::Duration::from_millis(5);
        let [(a, to_a), (b, to_b), (c, to_c)] = [(); 3].map(|()| seats.take(deadline));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        seats.watch(&Context::from_waker(&waker));
        assert!(a.take_answer().is_none() && b.take_answer().is_none());
        drop(c);
        assert!(to_a.send() && to_b.send() && !to_c.send());
        assert!(!a.is_waiting());
        to_b.fill(Ok(Answer::new(Value::I64(2))));
        to_a.fill(Ok(Answer::new(Value::I64(1))));
        to_c.fill(Ok(Answer::new(Value::I64(3))));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let value = |seat: &Seat| match seat.take_answer() {
            Some(Ok(answer)) => answer.value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value(&a), Value::I64(1));
        assert_eq!(value(&b), Value::I64(2));
        assert!(a.take_answer().is_none(), "there is no other");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_seat_that_never_had_its_turn_says_so() {
        let seats = Seats::with_room(1);
        let deadline = Instant::now() + std::time::Duration::from_millis(5);
        let (seat, _place) = seats.take(deadline);
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        assert_eq!(seat.await.unwrap_err().code, Code::LookupTimeoutPool);
    }
}
