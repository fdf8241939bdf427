//! One client's bytes: cuts messages out, runs its calls at the same time, replies in the order of the calls.
//!
//! All calls of a connection live in its one task. When the client hangs up, the calls in flight are dropped,
//! which cancels their lookups; oneway calls are finished, since nobody waits for them anyway. When the server
//! drains, nothing more is read, and the connection ends with the reply to its last call.

use std::io;
use std::pin::pin;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::clock::{Clock, Doing};
use super::{End, OfLoop, Terms};
use crate::metrics::{Closed, LoopMetrics};
use crate::service::{Admission, Arrival, Current, Peer};
use crate::thrift::{Framer, Limits};

/// How much is read at a time: little while nothing is begun, since most calls are short and many connections
/// wait for one; more once a message shows that it is longer.
const READ_BYTES_FIRST: usize = 4 * 1024;
const READ_BYTES_LEAST: usize = 1024;
const READ_BYTES: usize = 16 * 1024;
/// Replies that may gather before they are written; with more, no further call of the connection is taken.
const WRITE_BYTES: usize = 256 * 1024;

pub(super) struct Exchange {
    current: Rc<Current>,
    peer: Peer,
    pipelined_max: usize,
    framer: Framer,
    input: BytesMut,
    output: BytesMut,
    calls: Calls,
    clock: Clock,
    metrics: Rc<LoopMetrics>,
    hung_up: bool,
}

impl Exchange {
    /// With a client in whose certificate are these names.
    pub(super) fn new(names: Vec<String>, terms: &Terms, of_loop: &OfLoop) -> Self {
        let current = Rc::clone(&of_loop.current);
        let framer = Framer::new(Limits {
            shapes: terms.shapes,
            ..current.get().limits()
        });
        Exchange {
            current,
            peer: Peer {
                names,
                takes_tokens: terms.takes_tokens,
                meta: terms.meta,
            },
            pipelined_max: terms.limits.pipelined_max,
            framer,
            input: BytesMut::new(),
            output: BytesMut::new(),
            calls: Calls::default(),
            clock: Clock::new(terms.limits),
            metrics: Rc::clone(&of_loop.metrics),
            hung_up: false,
        }
    }

    pub(super) async fn run<R, W>(
        mut self,
        mut reader: R,
        mut writer: W,
        shutdown: &CancellationToken,
    ) -> Result<Closed, End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut timer = Box::pin(sleep_until(self.clock.looks_again()));
        let mut draining = shutdown.is_cancelled();
        let mut drains = pin!(shutdown.cancelled());
        loop {
            // Answers make room for further calls, some of which have their answer at once.
            self.admit()?;
            while self.settle() {
                self.admit()?;
            }
            let idle = self.calls.is_empty() && self.output.is_empty();
            if idle && (draining || self.hung_up) {
                return Ok(if self.hung_up {
                    Closed::HungUp
                } else {
                    Closed::Drained
                });
            }
            let reads = !self.hung_up && !draining && self.has_room();
            if reads {
                self.make_room();
            }
            let answerable = self.output.len() < WRITE_BYTES;
            // Each arm only ever finishes its own; a client that takes no replies stops neither its calls nor,
            // with them, anybody else's.
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    self.wrote(written?)?;
                }
                () = self.calls.progress(answerable), if !self.calls.is_empty() => {}
                read = reader.read_buf(&mut self.input), if reads => self.heard(read?),
                () = drains.as_mut(), if !draining => draining = true,
                () = timer.as_mut() => self.clock.check(timer.as_mut(), self.doing())?,
            }
        }
    }

    /// Room for what is read next. What the messages before have left of their buffer is used up first, unless
    /// it would make reads small.
    fn make_room(&mut self) {
        if !self.input.is_empty() {
            self.input.reserve(READ_BYTES);
        } else if self.input.capacity() < READ_BYTES_LEAST {
            self.input.reserve(READ_BYTES_FIRST);
        }
    }

    /// Whether a further call may be taken.
    fn has_room(&self) -> bool {
        self.calls.len() < self.pipelined_max && self.output.len() < WRITE_BYTES
    }

    fn doing(&self) -> Doing {
        Doing {
            calls: !self.calls.is_empty(),
            writes: !self.output.is_empty(),
        }
    }

    fn heard(&mut self, bytes: usize) {
        self.clock.heard();
        self.metrics.received.add(0, bytes);
        if bytes == 0 {
            self.hung_up = true;
            self.calls.hang_up();
        }
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            return Err(End::Io(io::ErrorKind::WriteZero.into()));
        }
        self.metrics.sent.add(0, bytes);
        self.clock.took();
        Ok(())
    }

    /// Starts the calls whose messages are whole.
    fn admit(&mut self) -> Result<(), End> {
        while self.has_room() && !self.hung_up {
            let Some(received) = self.framer.next(&mut self.input).transpose() else {
                break;
            };
            let Some(shape) = self.framer.shape() else {
                return received.map(drop).map_err(End::Wire);
            };
            self.clock.message_is_whole();
            let arrival = Arrival {
                shape,
                header: self.framer.header(),
                peer: &self.peer,
                at: Instant::now(),
            };
            let service = self.current.get();
            let admission = match received {
                Ok(message) => service.admit(arrival, &message),
                Err(err) => service.refuse_frame(arrival, err),
            };
            match admission.map_err(End::Wire)? {
                Admission::Nothing => {}
                Admission::Reply(reply) => self.calls.push_reply(reply),
                Admission::Call(call) => self.calls.push(call.is_oneway(), service.serve(call)),
            }
        }
        self.clock.has_part_of_message(!self.input.is_empty());
        Ok(())
    }

    /// Puts the replies that are next in order to what is to be written; whether there were any.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while self.output.len() < WRITE_BYTES
            && let Some(ended) = self.calls.pop_ended()
        {
            if let Some(reply) = ended.reply {
                if self.output.is_empty() {
                    self.clock.offers();
                    self.output = reply;
                } else {
                    self.output.extend_from_slice(&reply);
                }
            }
            any = true;
        }
        any
    }
}
