//! Calls over one connection until it is no good any more.
//!
//! Takes calls from the queue while fewer than `pipelined_max` are on their way, writes what one turn of the loop
//! brought at once, and gives each reply to the oldest call, whose number and name it has to carry. A dropped lookup
//! leaves its place: the reply is read and thrown away, or, if it does not come soon, the connection is closed. So is
//! it after anything that is no reply to the oldest call: no lookup ever sees another's answer. The calls that were
//! on their way go back to the queue, to be asked once more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::config::{Config, Remote};
use super::queue::{Question, Queue};
use super::wire::Wire;
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::thrift::{Foreign, Framer, ReplyError, Transport};
use crate::timeline::Source;

/// No further call is taken while more than this is not written yet.
const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// One connection and its calls on their way.
pub(super) struct Exchange {
    wire: Wire,
    remote: Arc<Remote>,
    pipelined_max: usize,
    /// How long a reply that nobody waits for may still take.
    abandoned_max: Duration,
    framer: Framer,
    /// The oldest first.
    pending: VecDeque<Pending>,
    /// The number of the last call.
    sequence: i32,
    /// When the first byte of the reply at the front came.
    began: Option<Instant>,
    answered: bool,
    /// The service turned out to be none of Thrift.
    is_foreign: bool,
}

/// A call on its way.
struct Pending {
    question: Question,
    sequence: i32,
    /// Since when it is the oldest and nobody waits for it.
    given_up: Option<Instant>,
}

/// A connection that is no good any more.
pub(super) struct Ended {
    /// As the calls that were on their way may learn.
    pub(super) why: LookupError,
    /// Whether it ever brought a reply.
    pub(super) answered: bool,
    /// Whether the service never meant to take calls from us.
    pub(super) is_turned_down: bool,
    pending: VecDeque<Pending>,
}

impl Ended {
    /// Gives back the calls that were on their way.
    pub(super) fn give_back(self, queue: &Queue) {
        for pending in self.pending.into_iter().rev() {
            queue.again(pending.question, &self.why);
        }
    }
}

impl Exchange {
    /// Over a new connection.
    pub(super) fn new(wire: Wire, config: &Config) -> Self {
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
            is_foreign: false,
        }
    }

    /// Makes calls until the connection is no good any more.
    pub(super) async fn run(mut self, queue: &Queue) -> Ended {
        let why = loop {
            if let Err(why) = self.turn(queue).await {
                break why;
            }
        };
        Ended {
            why: LookupError::new(Code::LookupUnavailable, why),
            answered: self.answered,
            is_turned_down: self.is_foreign || self.wire.is_turned_down(),
            pending: self.pending,
        }
    }

    /// Sends what is there and waits for whatever comes next. `Err` says why the connection is no good any more.
    async fn turn(&mut self, queue: &Queue) -> Result<(), String> {
        self.take(queue);
        let room = self.has_room();
        let oldest = self.pending.front_mut();
        let waits = oldest.is_some();
        tokio::select! {
            biased;
            moved = self.wire.moved() => if moved? { self.receive() } else { Ok(()) },
            () = queue.arrived(), if room => Ok(()),
            () = overdue(oldest, self.abandoned_max), if waits => {
                Err("the reply to a call that was given up did not come".into())
            }
        }
    }

    fn has_room(&self) -> bool {
        self.pending.len() < self.pipelined_max && self.wire.sending.len() < UNWRITTEN_BYTES_MAX
    }

    /// Takes as many calls as have room; another connection may take the others.
    fn take(&mut self, queue: &Queue) {
        while self.has_room() {
            let Some(mut question) = queue.take() else {
                return;
            };
            let sequence = self.sequence.wrapping_add(1);
            let out = &mut self.wire.sending;
            let Question {
                call,
                params,
                carried,
                ..
            } = &mut question;
            if let Err(err) = call.write(sequence, params, carried, out) {
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

    /// Bytes came.
    fn receive(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.began.get_or_insert(now);
        loop {
            match self.framer.next(&mut self.wire.received) {
                Ok(Some(message)) => self.answer(&message, now)?,
                Ok(None) if self.pending.is_empty() && !self.wire.received.is_empty() => {
                    return Err("bytes that nobody asked for".into());
                }
                Ok(None) => {
                    // A frame with a header is not refused before more of it has come, which may be never.
                    if self.declares_too_much() {
                        self.look_at_service()?;
                    }
                    return Ok(());
                }
                Err(err) => {
                    self.look_at_service()?;
                    return self.refuse_oldest(&ReplyError::Wire(err));
                }
            }
        }
    }

    /// Gives a reply to the oldest call.
    fn answer(&mut self, message: &Bytes, now: Instant) -> Result<(), String> {
        let Some(Pending {
            question, sequence, ..
        }) = self.pending.pop_front()
        else {
            return Err("a reply that nobody asked for".into());
        };
        let first = self.began.take();
        self.began = (!self.wire.received.is_empty()).then_some(now);
        let outgoing = question.call.outgoing(sequence);
        // A frame with a header says itself what its message is written in.
        let wire_format = self.framer.wire_format().unwrap_or(self.remote.wire_format);
        let protocol = wire_format.protocol;
        if question.is_given_up() {
            let fits = outgoing.answered_by(protocol, message);
            self.answered |= fits.is_ok();
            return fits.map_err(|err| err.to_string());
        }
        let (value, fits) = match outgoing.read(protocol, message, &self.remote.limits) {
            Ok(said) => (question.call.answer(said), Ok(())),
            Err(err) => {
                let in_step = matches!(err, ReplyError::Application { in_step: true, .. });
                let fits = if in_step {
                    Ok(())
                } else {
                    Err(err.to_string())
                };
                (question.call.refusal(&err), fits)
            }
        };
        self.answered |= fits.is_ok();
        question.answer(value.map(|value| Answer {
            value,
            first_answer: first,
            source: Source::Backend,
        }));
        fits
    }

    /// The frame at the front, if there are frames, is longer than any that is taken.
    fn declares_too_much(&self) -> bool {
        let length = self.wire.received.first_chunk::<4>();
        let declared = length.map_or(0, |length| u32::from_be_bytes(*length) as usize);
        let limits = &self.remote.limits;
        self.remote.wire_format.transport != Transport::Unframed
            && declared > limits.frame_bytes_max
    }

    /// Before anything was ever answered, what came may tell that this is no Thrift service at all: none of the calls is
    /// to blame, and another host may take them.
    fn look_at_service(&mut self) -> Result<(), String> {
        let foreign = Foreign::of(&self.wire.received).filter(|_| !self.answered);
        self.is_foreign = foreign.is_some();
        match foreign {
            None => Ok(()),
            Some(Foreign::Tls) => {
                Err("the service speaks TLS on this port: write `thrifts://`".into())
            }
            Some(Foreign::Http) => Err("this is an HTTP server, not a Thrift service".into()),
        }
    }

    /// What came can't even be cut into messages: the oldest call learns why.
    fn refuse_oldest(&mut self, err: &ReplyError) -> Result<(), String> {
        if let Some(Pending { question, .. }) = self.pending.pop_front() {
            let refusal = question.call.refusal(err).map(Answer::new);
            question.answer(refusal);
        }
        Err(err.to_string())
    }
}

/// Ends when the oldest call was given up too long ago. May be dropped and asked again: the time counts on.
async fn overdue(oldest: Option<&mut Pending>, abandoned_max: Duration) {
    let Some(oldest) = oldest else {
        return;
    };
    let since = match oldest.given_up {
        Some(since) => since,
        None => {
            oldest.question.given_up().await;
            *oldest.given_up.insert(Instant::now())
        }
    };
    sleep_until(since + abandoned_max).await;
}
