//! The calls of one connection that are not yet answered on the wire, in the order of their replies.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;

/// In the order in which the calls came: the order of their replies.
#[derive(Default)]
pub(super) struct Calls(VecDeque<Pending>);

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
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A call that has its reply already.
    pub(super) fn push_reply(&mut self, reply: BytesMut) {
        self.0.push_back(Pending {
            oneway: false,
            state: PendingState::Done(Ended { reply: Some(reply) }),
        });
    }

    /// A call whose reply is on its way; one that is oneway comes to nothing.
    pub(super) fn push(
        &mut self,
        oneway: bool,
        call: impl Future<Output = Option<BytesMut>> + 'static,
    ) {
        self.0.push_back(Pending {
            oneway,
            state: PendingState::Running(Box::pin(call)),
        });
    }

    /// Drops those whose replies nobody waits for; oneway calls are finished.
    pub(super) fn hang_up(&mut self) {
        self.0.retain(|call| call.oneway);
    }

    /// Takes the call whose reply is next, if it has ended.
    pub(super) fn pop_ended(&mut self) -> Option<Ended> {
        if !matches!(self.0.front()?.state, PendingState::Done(_)) {
            return None;
        }
        match self.0.pop_front()?.state {
            PendingState::Done(ended) => Some(ended),
            PendingState::Running(_) => None,
        }
    }

    /// Runs the calls; ready when the one whose reply is next has ended and its reply can be taken.
    pub(super) async fn progress(&mut self, answerable: bool) {
        poll_fn(|cx| {
            for call in &mut self.0 {
                if let PendingState::Running(running) = &mut call.state
                    && let Poll::Ready(reply) = running.as_mut().poll(cx)
                {
                    call.state = PendingState::Done(Ended { reply });
                }
            }
            match self.0.front() {
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
