//! Holds the answers of a call's lookups, which arrive in batches, until the call takes them.
//!
//! A call has one set of [`ReplySlots`] for all its lookups, with one waker: however many answers arrive in one
//! iteration of the event loop, the call is woken once. The asker keeps the set and a [`SlotId`] per lookup; the
//! answering side holds the [`Responder`] of that slot. If the asker abandons a slot, or drops the set, the answer is
//! discarded.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::of_loop::OfLoop;
use crate::backend::{Answer, LookupError};
use crate::context::CallerId;
use crate::error::Code;
use crate::value::Value;

/// The slots of one call, or of one `foreach`.
pub struct ReplySlots(Rc<Shared>);

#[derive(Default)]
struct Shared {
    /// Empty once the asker has dropped the set.
    slots: RefCell<Vec<Slot>>,
    /// Wakes the asker.
    waker: Cell<Option<Waker>>,
    /// The call, once one of its lookups waits in a queue.
    call: OnceCell<QueuedCall>,
    /// The call's parameters, once one of its lookups that waits in a queue refers to them.
    params: OnceCell<Rc<[Value]>>,
}

/// What the lookups of one call that wait in a queue have in common. It is kept once for all of them.
pub(super) struct QueuedCall {
    /// The program that they belong to: queues serve that before and that after a reload.
    pub(super) program: Rc<OfLoop>,
    pub(super) caller: CallerId,
}

enum Slot {
    /// The lookup is in a queue.
    Queued,
    /// The lookup was sent to the store.
    Sent,
    Answered(Result<Answer, LookupError>),
    /// The answer was taken, or the slot was abandoned.
    Closed,
}

/// The number of a slot in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(usize);

/// Tells whether the lookup of a slot was sent.
pub(super) struct SlotProbe {
    shared: Rc<Shared>,
    slot: usize,
}

/// The answering end of a slot.
pub(super) struct Responder {
    shared: Rc<Shared>,
    slot: usize,
}

impl ReplySlots {
    /// A set with capacity for `count` slots.
    pub fn with_capacity(count: usize) -> Self {
        ReplySlots(Rc::new(Shared {
            slots: RefCell::new(Vec::with_capacity(count)),
            ..Shared::default()
        }))
    }

    /// Wakes the task of `cx` when any slot is answered.
    pub fn watch(&self, cx: &Context<'_>) {
        let waker = match self.0.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        self.0.waker.set(Some(waker));
    }

    /// Opens one more slot, for a lookup that waits in a queue. All lookups of the set are of one call.
    pub(super) fn open_queued(
        &self,
        program: &Rc<OfLoop>,
        caller: CallerId,
    ) -> (SlotId, Responder) {
        self.0.call.get_or_init(|| QueuedCall {
            program: Rc::clone(program),
            caller,
        });
        self.open()
    }

    /// Opens one more slot.
    pub(super) fn open(&self) -> (SlotId, Responder) {
        let mut slots = self.0.slots.borrow_mut();
        let slot = slots.len();
        slots.push(Slot::Queued);
        let shared = Rc::clone(&self.0);
        (SlotId(slot), Responder { shared, slot })
    }

    /// Takes the answer if it has arrived. To be woken when one arrives, [`watch`](ReplySlots::watch) the set.
    #[inline]
    pub(super) fn take(&self, id: SlotId) -> Poll<Result<Answer, LookupError>> {
        let slot = &mut self.0.slots.borrow_mut()[id.0];
        if let Slot::Queued | Slot::Sent = slot {
            return Poll::Pending;
        }
        match std::mem::replace(slot, Slot::Closed) {
            Slot::Answered(answer) => Poll::Ready(answer),
            _ => Poll::Pending,
        }
    }

    /// Whether the lookup was not sent to the store yet.
    pub(super) fn is_queued(&self, id: SlotId) -> bool {
        matches!(self.0.slots.borrow()[id.0], Slot::Queued)
    }

    /// What tells whether the lookup was sent, to those who do not have the set.
    pub(super) fn probe(&self, id: SlotId) -> SlotProbe {
        SlotProbe {
            shared: Rc::clone(&self.0),
            slot: id.0,
        }
    }

    /// Abandons the slot: a lookup that is still queued is not sent, and an answer is discarded.
    pub(super) fn abandon(&self, id: SlotId) {
        let slot = std::mem::replace(&mut self.0.slots.borrow_mut()[id.0], Slot::Closed);
        slot.discard();
    }
}

impl Drop for ReplySlots {
    fn drop(&mut self) {
        let slots = self.0.slots.take();
        // Nearly always, all answers were taken.
        if slots.iter().any(|slot| matches!(slot, Slot::Answered(_))) {
            slots.into_iter().for_each(Slot::discard);
        }
    }
}

impl Slot {
    fn discard(self) {
        if let Slot::Answered(Ok(answer)) = self {
            answer.discard();
        }
    }
}

impl SlotProbe {
    /// Whether the lookup was not sent to the store yet.
    pub(super) fn is_queued(&self) -> bool {
        let slots = self.shared.slots.borrow();
        matches!(slots.get(self.slot), Some(Slot::Queued))
    }
}

impl Responder {
    /// The call that the lookup belongs to, if the lookup waits in a queue.
    #[inline]
    pub(super) fn call(&self) -> Option<&QueuedCall> {
        self.shared.call.get()
    }

    /// The parameters of that call, if it keeps them.
    #[inline]
    pub(super) fn params_of_call(&self) -> Option<&[Value]> {
        self.shared.params.get().map(|params| &**params)
    }

    /// Keeps the parameters of the call, once for all its lookups.
    #[inline]
    pub(super) fn keep_params_of_call(&self, params: &Rc<[Value]>) {
        let kept = self.shared.params.get_or_init(|| Rc::clone(params));
        debug_assert!(Rc::ptr_eq(kept, params), "all lookups are of one call");
    }

    /// Marks the lookup as sent. Returns false if its slot was abandoned.
    #[inline]
    pub(super) fn mark_sent(&self) -> bool {
        match self.shared.slots.borrow_mut().get_mut(self.slot) {
            Some(slot @ (Slot::Queued | Slot::Sent)) => {
                *slot = Slot::Sent;
                true
            }
            _ => false,
        }
    }

    /// Delivers the answer. Returns false if the slot was abandoned or has one.
    #[inline]
    pub(super) fn send(&self, answer: Result<Answer, LookupError>) -> bool {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot @ (Slot::Queued | Slot::Sent)) = slots.get_mut(self.slot) else {
            Slot::Answered(answer).discard();
            return false;
        };
        // What was in it needs no drop; this skips the call to it.
        std::mem::forget(std::mem::replace(slot, Slot::Answered(answer)));
        if let Some(waker) = self.shared.waker.take() {
            waker.wake();
        }
        true
    }

    /// Whether the asker still waits for the answer.
    pub(super) fn is_open(&self) -> bool {
        matches!(
            self.shared.slots.borrow().get(self.slot),
            Some(Slot::Queued | Slot::Sent)
        )
    }

    /// Fails the lookup if its kind of store ended without an answer to it.
    pub(super) fn fail_unanswered(&self) {
        if self.is_open() {
            let why = "the batch has no answer for this lookup";
            self.send(Err(LookupError::new(Code::ServerInternal, why)));
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

    fn number(number: i64) -> Answer {
        Answer::new(Value::I64(number))
    }

    #[test]
    fn several_answers_wake_the_asker_once_and_an_abandoned_lookup_is_not_sent() {
        let slots = ReplySlots::with_capacity(3);
        let [(a, to_a), (b, to_b), (c, to_c)] = [(); 3].map(|()| slots.open());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        slots.watch(&Context::from_waker(&waker));
        assert!(slots.take(a).is_pending() && slots.take(b).is_pending());
        slots.abandon(c);
        assert!(to_a.mark_sent() && to_b.mark_sent() && !to_c.mark_sent());
        assert!(!slots.is_queued(a));
        to_b.send(Ok(number(2)));
        to_a.send(Ok(number(1)));
        to_c.send(Ok(number(3)));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let value = |id| match slots.take(id) {
            Poll::Ready(Ok(answer)) => answer.value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value(a), Value::I64(1));
        assert_eq!(value(b), Value::I64(2));
        assert!(slots.take(a).is_pending(), "an answer is taken once");
        assert!(slots.take(c).is_pending());
    }

    #[test]
    fn a_dropped_set_discards_answers_and_unsent_lookups() {
        let slots = ReplySlots::with_capacity(2);
        let [(_, sent), (_, queued)] = [(); 2].map(|()| slots.open());
        assert!(sent.mark_sent());
        drop(slots);
        assert!(!queued.mark_sent());
        sent.send(Ok(number(1)));
    }
}
