//! Makes calls over one connection until it can no longer be used.
//!
//! Takes calls from the queue while fewer than `pipelined_max` are in flight, writes those of one event-loop iteration
//! together, and gives each reply to the oldest call, whose number and name it has to carry. If a lookup is dropped,
//! its reply is read and discarded; if the reply does not arrive soon, the connection is closed. The connection is also
//! closed after anything that is not a reply to the oldest call, so that no lookup ever sees another's answer. The calls
//! in flight then return to the queue, to be made once more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::call::{Params, RemoteMethod};
use super::config::{Config, Remote};
use super::large::{Misread, Reply};
use super::metadata::CallMetadata;
use super::wire::Wire;
use crate::backend::memory::{FREE_BYTES, Reading};
use crate::backend::{Answer, LookupError, StoreMemory, net};
use crate::error::Code;
use crate::thrift::{Foreign, Framer, ReplyError, Transport};

/// No further call is taken while more bytes than this are unwritten.
const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// A call to make.
pub(super) struct Request {
    pub(super) call: Arc<RemoteMethod>,
    pub(super) params: Params,
    /// The metadata sent with it.
    pub(super) metadata: CallMetadata,
}

/// A call to make, and the lookup that waits for its answer.
pub(super) type Queued = net::Queued<Request, Answer>;
/// The calls of one backend that wait for a connection.
pub(super) type Queue = net::Queue<Request, Answer>;

/// One connection and its calls in flight.
pub(super) struct Exchange {
    wire: Wire,
    remote: Arc<Remote>,
    pipelined_max: usize,
    /// How long the reply to a dropped lookup may still take.
    abandoned_max: Duration,
    framer: Framer,
    /// The oldest first.
    pending: VecDeque<Pending>,
    /// The number of the last call.
    sequence: i32,
    /// When the first byte of the reply at the front arrived.
    began: Option<Instant>,
    answered: bool,
    /// How it ends if it ends now, as far as calls tell.
    end: End,
    /// From then on no further calls are made.
    retire_at: Instant,
    is_retired: bool,
    misread: Misread,
    memory: StoreMemory,
    /// The memory of the reply at the front, if it is large.
    reading: Option<Reading>,
}

/// A call in flight.
struct Pending {
    question: Queued,
    sequence: i32,
    /// Since when it has been the oldest call with a dropped lookup.
    given_up: Option<Instant>,
}

/// A connection that can no longer be used.
pub(super) struct Closed {
    /// The error for calls that were in flight.
    pub(super) why: LookupError,
    pub(super) end: End,
    pending: VecDeque<Pending>,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was merely old, or the service closed it when all calls were answered.
    InOrder,
    /// The service never meant to accept calls from us.
    Refused,
    /// A reply that no lookup waits for did not come.
    GivenUp,
    Broken,
}

impl Closed {
    /// Returns the calls that were in flight to the queue.
    pub(super) fn put_back(self, queue: &Queue) {
        for pending in self.pending.into_iter().rev() {
            queue.put_back(pending.question, &self.why);
        }
    }
}

impl Exchange {
    /// Over a new connection, until `retire_at` and the replies to the calls in flight then. Large replies are counted in
    /// `memory`.
    pub(super) fn new(
        wire: Wire,
        config: &Config,
        (retire_at, memory): (Instant, &StoreMemory),
    ) -> Self {
        let remote = Arc::clone(&config.remote);
        Exchange {
            wire,
            framer: Framer::with_wire_format(remote.wire_format, remote.limits),
            remote,
            pipelined_max: config.pipelined_max,
            abandoned_max: config.abandoned_max,
            pending: VecDeque::new(),
            sequence: 0,
            began: None,
            answered: false,
            end: End::Broken,
            retire_at,
            is_retired: false,
            misread: Misread::default(),
            memory: memory.clone(),
            reading: None,
        }
    }

    /// Makes calls until the connection can no longer be used.
    pub(super) async fn run(mut self, queue: &Queue) -> Closed {
        let why = loop {
            if let Err(why) = self.turn(queue).await {
                break why;
            }
            if self.reading.is_some() {
                // A large reply may come as fast as it is read.
                yield_now().await;
            }
        };
        Closed {
            why: LookupError::new(Code::LookupUnavailable, why),
            end: self.end(),
            pending: self.pending,
        }
    }

    /// How the connection has come to its end.
    fn end(&self) -> End {
        let is_closed = self.answered && self.pending.is_empty() && self.wire.is_closed();
        if self.is_retired || is_closed {
            End::InOrder
        } else if self.wire.is_refused() {
            End::Refused
        } else {
            self.end
        }
    }

    /// Sends the calls that wait, and waits for whatever comes next. `Err` says why the connection can no longer be used.
    async fn turn(&mut self, queue: &Queue) -> Result<(), String> {
        if self.is_retired && self.pending.is_empty() {
            return Err("the connection was replaced because of its age".into());
        }
        self.take(queue);
        let room = self.has_room();
        let oldest = self.pending.front_mut();
        let waits = oldest.is_some();
        tokio::select! {
            biased;
            moved = self.wire.moved() => if moved? { self.receive() } else { Ok(()) },
            () = queue.arrived(), if room => Ok(()),
            () = sleep_until(self.retire_at), if !self.is_retired => {
                self.is_retired = true;
                Ok(())
            }
            () = self.misread.happened() => Err("a large reply does not decode".into()),
            () = overdue(oldest, self.abandoned_max), if waits => {
                self.end = End::GivenUp;
                Err("the reply to a dropped lookup's call did not come".into())
            }
        }
    }

    fn has_room(&self) -> bool {
        !self.is_retired
            && self.pending.len() < self.pipelined_max
            && self.wire.sending.len() < UNWRITTEN_BYTES_MAX
    }

    /// Takes as many calls as fit; another connection may take the others.
    fn take(&mut self, queue: &Queue) {
        while self.has_room() {
            let Some(mut question) = queue.take() else {
                return;
            };
            let sequence = self.sequence.wrapping_add(1);
            let out = &mut self.wire.sending;
            let Request {
                call,
                params,
                metadata,
            } = &mut question.asked;
            if let Err(err) = call.write(sequence, params, metadata, out) {
                question.answer(Err(LookupError::new(err.code, err.detail)));
                continue;
            }
            self.sequence = sequence;
            self.pending.push_back(Pending {
                question,
                sequence,
                given_up: None,
            });
        }
        queue.pass_on();
    }

    /// Handles received bytes.
    fn receive(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.began.get_or_insert(now);
        loop {
            match self.framer.next(&mut self.wire.received) {
                Ok(Some(message)) => self.answer(&message, now)?,
                Ok(None) if self.pending.is_empty() && !self.wire.received.is_empty() => {
                    return Err("bytes came that no call asked for".into());
                }
                Ok(None) => {
                    // A frame with a header is refused only once more of it has arrived, which may never happen.
                    if self.declares_too_much() {
                        self.look_at_service()?;
                    }
                    return self.count();
                }
                Err(err) => {
                    self.look_at_service()?;
                    return self.refuse_oldest(&ReplyError::Wire(err));
                }
            }
        }
    }

    /// Counts the reply of which a part has come. Without memory for it the connection ends: the rest would have to be read.
    fn count(&mut self) -> Result<(), String> {
        let bytes = self.wire.received.len();
        if bytes <= FREE_BYTES {
            return Ok(());
        }
        let memory = &self.memory;
        let reading = self.reading.get_or_insert_with(|| memory.read_shared());
        let Err(no_room) = reading.now(bytes) else {
            return Ok(());
        };
        let err = LookupError::from(no_room);
        let why = err.detail.clone();
        if let Some(Pending { question, .. }) = self.pending.pop_front() {
            question.answer(Err(err));
        }
        Err(why)
    }

    /// Gives a reply to the oldest call.
    fn answer(&mut self, message: &Bytes, now: Instant) -> Result<(), String> {
        let Some(Pending {
            question, sequence, ..
        }) = self.pending.pop_front()
        else {
            return Err("a reply came that no call asked for".into());
        };
        let held = self.reading.take().map(Reading::held).unwrap_or_default();
        let first = self.began.take();
        self.began = (!self.wire.received.is_empty()).then_some(now);
        // A frame with a header names the protocol of its message.
        let wire_format = self.framer.wire_format().unwrap_or(self.remote.wire_format);
        let protocol = wire_format.protocol;
        if question.is_abandoned() {
            let outgoing = question.asked.call.outgoing(sequence);
            let fits = outgoing.answered_by(protocol, message);
            self.answered |= fits.is_ok();
            return fits.map_err(|err| err.to_string());
        }
        let reply = Reply {
            call: &question.asked.call,
            sequence,
            protocol,
            message,
            limits: &self.remote.limits,
        };
        let (answer, fits) = match self.misread.later(&reply) {
            Some(answer) => (Ok(answer), Ok(())),
            None => {
                let (value, fits) = reply.read();
                (value.map(Answer::new), fits)
            }
        };
        self.answered |= fits.is_ok();
        question.answer(answer.map(|answer| Answer {
            first_answer: first,
            ..answer.holding(held)
        }));
        fits
    }

    /// Whether the frame at the front, if there are frames, is longer than any that is accepted.
    fn declares_too_much(&self) -> bool {
        let length = self.wire.received.first_chunk::<4>();
        let declared = length.map_or(0, |length| u32::from_be_bytes(*length) as usize);
        let limits = &self.remote.limits;
        self.remote.wire_format.transport != Transport::Unframed
            && declared > limits.frame_bytes_max
    }

    /// Before the first answer, the received bytes may show that this is not a Thrift service at all: then no call
    /// is to blame, and another host may serve them.
    fn look_at_service(&mut self) -> Result<(), String> {
        let foreign = Foreign::of(&self.wire.received).filter(|_| !self.answered);
        if foreign.is_some() {
            self.end = End::Refused;
        }
        match foreign {
            None => Ok(()),
            Some(Foreign::Tls) => {
                Err("the service speaks TLS on this port: write `thrifts://`".into())
            }
            Some(foreign) => Err(format!(
                "this is {}, not a Thrift service",
                foreign.as_str()
            )),
        }
    }

    /// The received bytes can't be divided into messages: the oldest call gets the reason.
    fn refuse_oldest(&mut self, err: &ReplyError) -> Result<(), String> {
        if let Some(Pending { question, .. }) = self.pending.pop_front() {
            let refusal = question.asked.call.refusal(err).map(Answer::new);
            question.answer(refusal);
        }
        Err(err.to_string())
    }
}

/// Ends when the oldest call's lookup was dropped too long ago. May be dropped and called again: the time keeps running.
async fn overdue(oldest: Option<&mut Pending>, abandoned_max: Duration) {
    let Some(oldest) = oldest else {
        return;
    };
    let since = match oldest.given_up {
        Some(since) => since,
        None => {
            oldest.question.abandoned().await;
            *oldest.given_up.insert(Instant::now())
        }
    };
    sleep_until(since + abandoned_max).await;
}
