//! One client's bytes: cuts messages out, runs its calls at the same time, replies in the order of the calls.
//!
//! All calls of a connection live in its one task. When the client hangs up, the calls in flight are dropped,
//! which cancels their lookups; oneway calls are finished, since nobody waits for them anyway. When the server
//! drains, nothing more is read, and the connection ends with the reply to its last call. What it keeps is counted
//! ([`ConnectionMemory`]); a client that takes up too much is not read until there is room.

use std::io;
use std::pin::pin;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::poll_on_wake::PollOnWake;
use super::timeouts::{Activity, Timeouts};
use super::{Client, Disconnect, ListenerSettings, WorkerState};
use crate::error::Code;
use crate::metrics::{Closed, LoopMetrics};
use crate::service::{Arrival, ConnectionMemory, Current, Decision, Peer, Reservation};
use crate::thrift::{Framer, Limits};

/// How much is read at a time: little while nothing is begun, since most calls are short and many connections
/// wait for one; more once a message shows that it is longer.
pub(super) const READ_BYTES_FIRST: usize = 4 * 1024;
const READ_BYTES: usize = 16 * 1024;
/// Less is not worth a read.
const READ_BYTES_LEAST: usize = 1024;
/// Replies that may gather before they are written; with more, no further call of the connection is taken.
const WRITE_BYTES: usize = 256 * 1024;

pub(super) struct Exchange {
    pub(super) current: Rc<Current>,
    pub(super) peer: Peer,
    pipelined_max: usize,
    pub(super) framer: Framer,
    pub(super) input: BytesMut,
    /// `input` has more room than a connection begins with.
    grown: bool,
    /// When what `input` ends with was read, if that was just now.
    heard_at: Option<Instant>,
    output: BytesMut,
    /// What was given to `output` since it was empty, which is kept until it is empty again.
    output_bytes: usize,
    pub(super) calls: Calls,
    pub(super) memory: Rc<ConnectionMemory>,
    /// For `input` and `output`.
    buffers: Reservation,
    timeouts: Timeouts,
    pub(super) metrics: Rc<LoopMetrics>,
    hung_up: bool,
    /// It is not read until there is room.
    held: bool,
    /// No further message is taken: the connection ends so when what it owes is written.
    pub(super) ending: Option<Disconnect>,
}

impl Exchange {
    pub(super) fn new(client: Client, settings: &ListenerSettings, worker: &WorkerState) -> Self {
        let current = Rc::clone(&worker.current);
        let Client { names, memory } = client;
        let framer = Framer::new(Limits {
            shapes: settings.shapes,
            ..current.get().limits()
        });
        Exchange {
            current,
            peer: Peer {
                names,
                takes_tokens: settings.takes_tokens,
                meta: settings.meta,
            },
            pipelined_max: settings.limits.pipelined_max,
            framer,
            input: BytesMut::new(),
            grown: false,
            heard_at: None,
            output: BytesMut::new(),
            output_bytes: 0,
            calls: Calls::new(&memory),
            buffers: Reservation::new(&memory, 0),
            memory,
            timeouts: Timeouts::new(settings.limits),
            metrics: Rc::clone(&worker.metrics),
            hung_up: false,
            held: false,
            ending: None,
        }
    }

    pub(super) async fn run<R, W>(
        mut self,
        mut reader: R,
        mut writer: W,
        shutdown: &CancellationToken,
    ) -> Result<Closed, Disconnect>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut timer = PollOnWake::new(Box::pin(sleep_until(self.timeouts.looks_again())));
        let mut draining = shutdown.is_cancelled();
        let cancelled = pin!(shutdown.cancelled());
        let mut drains = PollOnWake::new(cancelled);
        loop {
            // Answers make room for further calls, some of which have their answer at once.
            self.admit()?;
            while self.settle() {
                self.admit()?;
            }
            let idle = self.calls.is_empty() && self.output.is_empty();
            if idle && let Some(end) = self.ending.take() {
                self.linger(reader, writer).await;
                return Err(end);
            }
            if idle && (draining || self.hung_up) {
                return Ok(if self.hung_up {
                    Closed::HungUp
                } else {
                    Closed::Drained
                });
            }
            let wants = !self.hung_up && !draining && self.ending.is_none() && self.has_room();
            let reads = wants && self.memory.may_read();
            if reads {
                self.make_room();
            } else if wants && !self.held {
                self.metrics.reads_held.count(0);
            }
            self.held = wants && !reads;
            self.count();
            self.heard_at = None;
            let answerable = self.output.len() < WRITE_BYTES;
            // Each arm only ever finishes its own; a client that takes no replies stops neither its calls nor,
            // with them, anybody else's.
            tokio::select! {
                biased;
                // Not `write_buf`, which makes ready for many buffers and asks the kernel to.
                written = writer.write(&self.output), if !self.output.is_empty() => {
                    self.wrote(written?)?;
                }
                () = self.calls.progress(answerable), if !self.calls.is_empty() => {}
                read = read(&mut reader, &mut self.input, &self.memory), if reads => {
                    // While it waited for its turn others may have taken the room.
                    if let Some(bytes) = read? {
                        self.heard(bytes);
                    }
                }
                () = &mut drains, if !draining => draining = true,
                () = self.memory.pool().relieved(), if self.held => {}
                () = &mut timer => match self.timeouts.check(timer.change().as_mut(), self.activity()) {
                    // It was not for its client to send the rest.
                    Err(Disconnect::Slow(_)) if self.held => self.refuse_rest()?,
                    checked => checked?,
                },
            }
        }
    }

    /// Room for what is read next. What the messages before have left of their buffer is used up first, unless
    /// it would make reads small. No declared length counts, only what has come.
    fn make_room(&mut self) {
        let len = self.input.len();
        let room = match len {
            0 if self.input.capacity() >= READ_BYTES_LEAST => return,
            0 => READ_BYTES_FIRST,
            _ if len < READ_BYTES_FIRST => (READ_BYTES_FIRST - len).max(READ_BYTES_LEAST),
            _ if self.memory.pool().under_pressure() => READ_BYTES_FIRST,
            _ => READ_BYTES,
        };
        self.grown |= len >= READ_BYTES_FIRST;
        self.input.reserve(room);
    }

    /// Whether a further call may be taken.
    fn has_room(&self) -> bool {
        // One message always is, whatever its connection may take up.
        let full = self.memory.is_full() && !(self.calls.is_empty() && self.output.is_empty());
        !full && self.calls.len() < self.pipelined_max && self.output.len() < WRITE_BYTES
    }

    pub(super) fn count(&self) {
        self.buffers.set(self.input.capacity() + self.output_bytes);
    }

    fn activity(&self) -> Activity {
        Activity {
            calls: !self.calls.is_empty(),
            writes: !self.output.is_empty(),
        }
    }

    fn heard(&mut self, bytes: usize) {
        let now = Instant::now();
        self.timeouts.heard(now);
        self.heard_at = Some(now);
        self.metrics.received.add(0, bytes);
        if bytes == 0 {
            self.hung_up = true;
            self.calls.hang_up();
        }
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), Disconnect> {
        if bytes == 0 {
            return Err(Disconnect::Io(io::ErrorKind::WriteZero.into()));
        }
        self.output.advance(bytes);
        self.metrics.sent.add(0, bytes);
        if self.output.is_empty() {
            self.timeouts.took_all();
            // What is idle keeps no buffer.
            self.current.take_back(std::mem::take(&mut self.output));
            self.output_bytes = 0;
            // Now: whether more is read hangs on it.
            self.count();
        } else {
            self.timeouts.took();
        }
        Ok(())
    }

    /// Starts the calls whose messages are whole.
    fn admit(&mut self) -> Result<(), Disconnect> {
        while self.has_room() && !self.hung_up && self.ending.is_none() {
            let Some(received) = self.framer.next(&mut self.input).transpose() else {
                break;
            };
            let Some(shape) = self.framer.shape() else {
                return received.map(drop).map_err(Disconnect::Wire);
            };
            if let Err(err) = &received
                && err.code == Code::WireFrameTooLarge
                && self.answer_start(err)
            {
                self.ending = received.err().map(Disconnect::Wire);
                break;
            }
            self.timeouts.message_is_whole();
            self.count();
            let arrival = Arrival {
                wire_format,
                header: self.framer.header(),
                peer: &self.peer,
                memory: Some(&self.memory),
                at: self.heard_at.unwrap_or_else(Instant::now),
            };
            let service = self.current.get();
            let admission = match received {
                Ok(message) => service.admit(arrival, &message),
                Err(err) => service.refuse_frame(arrival, err),
            };
            match admission.map_err(Disconnect::Wire)? {
                Decision::NoReply => {}
                Decision::Reply(reply) => self.calls.push_reply(reply),
                Decision::Serve(call) => self.calls.push(call.is_oneway(), service.serve(call)),
            }
        }
        self.timeouts.has_part_of_message(!self.input.is_empty());
        self.shrink();
        Ok(())
    }

    /// Long messages leave a long buffer behind, which most connections never fill again. Who kept it would count as
    /// one of those that have much.
    fn shrink(&mut self) {
        if self.grown && self.input.len() < READ_BYTES_FIRST {
            self.input = BytesMut::from(&self.input[..]);
            self.grown = false;
        }
    }

    /// Puts the replies that are next in order to what is to be written; whether there were any.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while self.output.len() < WRITE_BYTES
            && let Some(ended) = self.calls.pop_ended()
        {
            if let Some(reply) = ended.reply {
                if self.output.is_empty() {
                    self.timeouts.offers();
                    self.output = reply;
                } else {
                    self.output.extend_from_slice(&reply);
                }
                self.output_bytes = self.output_bytes.max(self.output.capacity());
            }
            any = true;
        }
        any
    }
}

/// Reads some bytes; more of a message that is long already when it is its turn. `None`: there is no room by then.
async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    input: &mut BytesMut,
    memory: &ConnectionMemory,
) -> io::Result<Option<usize>> {
    if input.len() < READ_BYTES_FIRST {
        return reader.read_buf(input).await.map(Some);
    }
    let coop = memory.pool().coop();
    let read = coop.in_slices(|| memory.may_read(), reader.read_buf(input));
    read.await.transpose()
}
