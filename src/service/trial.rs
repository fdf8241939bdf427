//! Makes calls for the admin port, whose requests come from another thread.
//!
//! In: a call as the bytes of one `THeader` frame. Out: the frame of its reply, and what happened when. It is a call like
//! those of clients: admitted by the same rules, counted in the same metrics, and dropped when its request ends.
//! Its caller has no certificate; a token may stand in its headers. Its name in lists of calls is [`TRIAL_CALLER`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::info;

use super::watched::Watched;
use super::{Arrival, ConnectionMemory, Current, Decision, MemoryPool, Peer};
use crate::log_limit::LogLimit;
use crate::program::Program;
use crate::thrift::{Framer, Protocol, Transport, WireFormat};
use crate::timeline::Timeline;

/// The wire format of the frames.
pub const TRIAL_FORMAT: WireFormat = WireFormat {
    transport: Transport::Header,
    protocol: Protocol::Binary,
};
/// The caller in lists of calls, logs and traces. No certificate has a name with a space.
pub const TRIAL_CALLER: &str = "admin port";
/// The most requests that wait for a loop.
const REQUESTS_MAX: usize = 16;

/// A call to make.
#[derive(Debug)]
pub struct Trial {
    /// One frame in [`TRIAL_FORMAT`].
    pub frame: BytesMut,
    /// Where the loop answers. If the other end is dropped, so is the call.
    pub tried: oneshot::Sender<Tried>,
}

/// What became of a call.
#[derive(Debug)]
pub struct Tried {
    /// The frame of its reply; `None` for a oneway call, or if its frame was unreadable.
    pub reply: Option<BytesMut>,
    /// What happened when, if its view ran.
    pub timeline: Option<Timeline>,
    /// Its id in lists of calls, if it is kept.
    pub id: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// A request on its way to a loop.
#[derive(Debug)]
pub enum TrialRequest {
    /// Which program is served.
    Program(oneshot::Sender<Arc<Program>>),
    /// Make a call.
    Call(Trial),
}

/// The way of requests to one loop.
pub type TrialSender = mpsc::Sender<TrialRequest>;

/// Where one loop gets its requests.
pub type TrialReceiver = mpsc::Receiver<TrialRequest>;

/// The way of requests to one loop.
pub fn trial_channel() -> (TrialSender, TrialReceiver) {
    mpsc::channel(REQUESTS_MAX)
}

/// Makes the calls of one loop.
pub struct Trials {
    current: Rc<Current>,
    memory: Rc<ConnectionMemory>,
    peer: Peer,
    /// By method.
    made: LogLimit<Arc<str>>,
}

impl Trials {
    /// For the services of `current`. What the calls keep is counted in `pool`.
    pub fn new(current: &Rc<Current>, pool: &Rc<MemoryPool>) -> Self {
        let memory = pool.connection();
        memory.names(&[TRIAL_CALLER.to_owned()]);
        Trials {
            current: Rc::clone(current),
            memory,
            peer: Peer {
                // They come over a port that is private, or takes tokens itself.
                takes_tokens: true,
                ..Peer::default()
            },
            made: LogLimit::default(),
        }
    }

    /// Answers requests until no more can come. The admin port limits how many calls are under way.
    pub async fn serve(&self, requests: &RefCell<TrialReceiver>) {
        let mut calls = FuturesUnordered::new();
        loop {
            let next = poll_fn(|cx| requests.borrow_mut().poll_recv(cx));
            tokio::select! {
                Some(()) = calls.next(), if !calls.is_empty() => {}
                request = next => match request {
                    // The request may have ended meanwhile.
                    Some(TrialRequest::Program(to)) => {
                        drop(to.send(Arc::clone(self.current.get().program())));
                    }
                    Some(TrialRequest::Call(trial)) => calls.push(self.make(trial)),
                    None => return,
                },
            }
        }
    }

    async fn make(&self, trial: Trial) {
        let Trial {
            mut frame,
            mut tried,
        } = trial;
        let (began, watched) = (Instant::now(), Rc::<Watched>::default());
        let reply = {
            let mut calling = pin!(self.call(&mut frame, &watched));
            tokio::select! {
                biased;
                reply = &mut calling => reply,
                () = tried.closed() => return,
            }
        };
        let ended = Tried {
            reply,
            timeline: watched.timeline.get().cloned(),
            id: watched.id.get().cloned(),
            took: began.elapsed(),
        };
        drop(tried.send(ended));
    }

    /// The frame of the reply.
    async fn call(&self, frame: &mut BytesMut, watched: &Rc<Watched>) -> Option<BytesMut> {
        let service = self.current.get();
        let mut framer = Framer::with_wire_format(TRIAL_FORMAT, service.limits());
        let message = framer.next(frame);
        let arrival = Arrival {
            wire_format: TRIAL_FORMAT,
            header: framer.header(),
            peer: &self.peer,
            memory: Some(&self.memory),
            closing: None,
            overload: None,
            unanswered: 0,
            watched: Some(watched),
            at: Instant::now(),
        };
        let decision = match message {
            Ok(message) => service.admit(arrival, &message?),
            Err(err) => service.refuse_frame(arrival, err),
        };
        match decision.ok()? {
            Decision::Reply(reply) | Decision::Rest(reply, _) => Some(reply),
            Decision::NoReply => None,
            Decision::Serve(call) => {
                let method = &*call.plan.label;
                if let Some(suppressed) = self.made.allow(Arc::clone(&call.plan.label)) {
                    info!(method, suppressed, "call made by the admin port");
                }
                Box::pin(service.serve(call)).await
            }
        }
    }
}
