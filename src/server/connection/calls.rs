//! The unanswered calls of one connection, in the order of their replies.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::service::{ConnectionMemory, Reservation};

pub(super) struct Calls {
    /// In the order in which they arrived, which is the order of their replies.
    pending: VecDeque<Pending>,
    /// So many of the last ones have not begun.
    new: usize,
    /// Counts the replies that wait.
    memory: Rc<ConnectionMemory>,
}

/// A call whose reply is not written yet.
struct Pending {
    oneway: bool,
    state: PendingState,
}

enum PendingState {
    Running(Pin<Box<dyn Future<Output = Option<BytesMut>>>>),
    /// Its reply waits for earlier ones.
    Done(Ended),
}

/// A call that has ended.
pub(super) struct Ended {
    /// `None` for a oneway call.
    pub(super) reply: Option<BytesMut>,
    _reservation: Option<Reservation>,
}

impl Ended {
    fn new(reply: Option<BytesMut>, memory: &Rc<ConnectionMemory>) -> Self {
        let bytes = reply.as_ref().map(BytesMut::capacity);
        Ended {
            reply,
            _reservation: bytes.map(|bytes| Reservation::new(memory, bytes)),
        }
    }
}

impl Calls {
    pub(super) fn new(memory: &Rc<ConnectionMemory>) -> Self {
        Calls {
            pending: VecDeque::new(),
            new: 0,
            memory: Rc::clone(memory),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a call that has its reply already.
    pub(super) fn push_reply(&mut self, reply: BytesMut) {
        self.new += usize::from(self.new > 0);
        self.pending.push_back(Pending {
            oneway: false,
            state: PendingState::Done(Ended::new(Some(reply), &self.memory)),
        });
    }

    /// Adds a running call. A oneway call ends without a reply.
    pub(super) fn push(
        &mut self,
        oneway: bool,
        call: impl Future<Output = Option<BytesMut>> + 'static,
    ) {
        self.new += 1;
        self.pending.push_back(Pending {
            oneway,
            state: PendingState::Running(Box::pin(call)),
        });
    }

    /// Drops the calls of a client that disconnected, except oneway calls, which are finished.
    pub(super) fn disconnect(&mut self) {
        self.pending.retain(|call| call.oneway);
        self.new = self.new.min(self.pending.len());
    }

    /// Takes the call whose reply is next, if it has ended.
    pub(super) fn pop_ended(&mut self) -> Option<Ended> {
        if !matches!(self.pending.front()?.state, PendingState::Done(_)) {
            return None;
        }
        match self.pending.pop_front()?.state {
            PendingState::Done(ended) => Some(ended),
            PendingState::Running(_) => None,
        }
    }

    /// Whether some have not begun.
    pub(super) fn has_new(&self) -> bool {
        self.new > 0
    }

    /// Begins the calls that have not begun. Those that wait for nothing end at once.
    pub(super) async fn begin(&mut self) {
        poll_fn(|cx| {
            let begun = self.pending.len() - self.new;
            self.run(begun, cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Runs the calls but the first `skip`.
    fn run(&mut self, skip: usize, cx: &mut Context<'_>) {
        self.new = 0;
        for call in self.pending.range_mut(skip..) {
            if let PendingState::Running(running) = &mut call.state
                && let Poll::Ready(reply) = running.as_mut().poll(cx)
            {
                call.state = PendingState::Done(Ended::new(reply, &self.memory));
            }
        }
    }

    /// Runs the calls. Ready when the call whose reply is next has ended, if `takes_replies`.
    pub(super) async fn progress(&mut self, takes_replies: bool) {
        poll_fn(|cx| {
            self.run(0, cx);
            match self.pending.front() {
                Some(Pending {
                    state: PendingState::Done(_),
                    ..
                }) if takes_replies => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}
