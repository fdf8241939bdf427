//! The calls of one connection that are not yet answered on the wire, in the order of their replies.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::BytesMut;

use crate::service::{ConnectionMemory, Reservation};

pub(super) struct Calls {
    /// In the order in which the calls came: the order of their replies.
    pending: VecDeque<Pending>,
    /// Where replies that wait are counted.
    memory: Rc<ConnectionMemory>,
}

/// A call that is not yet answered on the wire.
struct Pending {
    oneway: bool,
    state: PendingState,
}

enum PendingState {
    Running(Pin<Box<dyn Future<Output = Option<BytesMut>>>>),
    /// Its reply waits for those before it.
    Done(Ended),
}

/// A call that came to its end.
pub(super) struct Ended {
    /// `None` of a oneway call.
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
            memory: Rc::clone(memory),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// A call that has its reply already.
    pub(super) fn push_reply(&mut self, reply: BytesMut) {
        self.pending.push_back(Pending {
            oneway: false,
            state: PendingState::Done(Ended::new(Some(reply), &self.memory)),
        });
    }

    /// A call whose reply is on its way; one that is oneway comes to nothing.
    pub(super) fn push(
        &mut self,
        oneway: bool,
        call: impl Future<Output = Option<BytesMut>> + 'static,
    ) {
        self.pending.push_back(Pending {
            oneway,
            state: PendingState::Running(Box::pin(call)),
        });
    }

    /// Drops those whose replies nobody waits for; oneway calls are finished.
    pub(super) fn hang_up(&mut self) {
        self.pending.retain(|call| call.oneway);
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

    /// Runs the calls; ready when the one whose reply is next has ended and its reply can be taken.
    pub(super) async fn progress(&mut self, answerable: bool) {
        poll_fn(|cx| {
            for call in &mut self.pending {
                if let PendingState::Running(running) = &mut call.state
                    && let Poll::Ready(reply) = running.as_mut().poll(cx)
                {
                    call.state = PendingState::Done(Ended::new(reply, &self.memory));
                }
            }
            match self.pending.front() {
                Some(Pending {
                    state: PendingState::Done(_),
                    ..
                }) if answerable => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}
