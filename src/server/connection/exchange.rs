//! Serves one connection: reads calls, runs them concurrently, sends replies in the order of the calls.
//!
//! All calls of a connection run in its one task. When the client disconnects, its calls in flight are dropped, which cancels
//! their lookups; oneway calls are finished, since no client waits for them anyway. When the server drains, [`Drain`] says
//! which calls are still read, and the connection ends with the reply to the last one. The memory of a connection is
//! counted ([`ConnectionMemory`]); a client that takes up too much is not read from until there is room.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use super::calls::Calls;
use super::disconnect::Disconnect;
use super::drain::Drain;
use super::inbound::Inbound;
use super::linger::{self, linger};
use super::outbound::Outbound;
use super::poll_on_wake::PollOnWake;
use super::timeouts::{Activity, Timeouts};
use crate::error::Code;
use crate::metrics::{Closed, LoopMetrics};
use crate::server::client::Client;
use crate::server::state::{ListenerSettings, WorkerState};
use crate::service::{ConnectionMemory, Current, Decision, Peer, Reservation};
use crate::thrift::{Framer, Limits};

pub(super) struct Exchange {
    current: Rc<Current>,
    inbound: Inbound,
    calls: Calls,
    outbound: Outbound,
    pipelined_max: usize,
    memory: Rc<ConnectionMemory>,
    /// The memory of the buffers.
    buffers: Reservation,
    timeouts: Timeouts,
    metrics: Rc<LoopMetrics>,
    disconnected: bool,
    /// Not read from until there is room in memory.
    held: bool,
    drain: Drain,
    /// No further message is taken. Once all replies are written, the connection ends for this reason.
    ending: Option<Disconnect>,
}

impl Exchange {
    pub(super) fn new(client: Client, settings: &ListenerSettings, worker: &WorkerState) -> Self {
        let current = Rc::clone(&worker.current);
        let Client { names, memory } = client;
        let framer = Framer::new(Limits {
            wire_formats: settings.wire_formats,
            ..current.get().limits()
        });
        let peer = Peer {
            names,
            takes_tokens: settings.takes_tokens,
            meta: settings.meta,
            service: settings.service.clone(),
        };
        Exchange {
            inbound: Inbound::new(peer, framer, &memory),
            current,
            calls: Calls::new(&memory),
            outbound: Outbound::default(),
            pipelined_max: settings.limits.pipelined_max,
            buffers: Reservation::new(&memory, 0),
            memory,
            timeouts: Timeouts::new(settings.limits),
            metrics: Rc::clone(&worker.metrics),
            disconnected: false,
            held: false,
            drain: Drain::new(
                worker.connections_max,
                worker.shutdown.is_cancelled().then(|| worker.next_call()),
            ),
            ending: None,
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run<R, W>(
        mut self,
        mut reader: R,
        mut writer: W,
        worker: &WorkerState,
    ) -> Result<Closed, Disconnect>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut timer = PollOnWake::new(Box::pin(sleep_until(self.timeouts.next_check())));
        let cancelled = pin!(worker.shutdown.cancelled());
        let mut drains = PollOnWake::new(cancelled);
        loop {
            // Finished calls make room for further ones, some of which are answered immediately.
            self.take_messages()?;
            while self.settle() {
                self.take_messages()?;
            }
            let idle = self.calls.is_empty() && self.outbound.is_empty();
            if idle && let Some(end) = self.ending.take() {
                self.linger(reader, writer, linger::REFUSED).await;
                return Err(end);
            }
            if idle && self.disconnected {
                return Ok(Closed::HungUp);
            }
            let more = self.drain.wants_messages();
            let more = more || (self.inbound.has_rest() && self.drain.wants_rest());
            if idle && !more {
                self.linger(reader, writer, linger::DRAINED).await;
                return Ok(Closed::Drained);
            }
            let wants = more && !self.disconnected && self.ending.is_none() && self.has_room();
            let reads = wants && self.memory.may_read();
            if reads {
                self.inbound.make_room();
            } else if wants && !self.held {
                self.metrics.reads_held.count_one();
            }
            self.held = wants && !reads;
            self.count();
            self.inbound.set_heard_at(None);
            let takes_replies = !self.outbound.is_full();
            // Each arm finishes only its own work. A client that takes no replies does not stop its own calls, nor, through
            // them, those of other clients.
            tokio::select! {
                biased;
                // Not `write_buf`, which prepares vectored writes and asks the kernel for them.
                written = writer.write(self.outbound.as_slice()), if !self.outbound.is_empty() => {
                    self.wrote(written?)?;
                }
                () = self.calls.progress(takes_replies), if !self.calls.is_empty() => {}
                read = self.inbound.read(&mut reader), if reads => {
                    // While it waited for a slice, others may have taken the memory.
                    if let Some(bytes) = read? {
                        self.heard(bytes);
                    }
                }
                () = &mut drains, if !self.drain.has_begun() => {
                    let idle_since = idle.then(|| self.timeouts.last_heard());
                    self.drain.begin(idle_since, worker.next_call());
                }
                // After the read, which is polled first each time.
                () = self.drain.progress(), if reads && self.drain.is_counting() => {}
                () = self.memory.pool().relieved(), if self.held => {}
                () = &mut timer => {
                    match self.timeouts.check(timer.change().as_mut(), self.activity()) {
                        // The client could not send the rest: it was not read.
                        Err(Disconnect::Slow(_)) if self.held => self.refuse_rest()?,
                        checked => checked?,
                    }
                }
            }
        }
    }

    /// Starts the calls whose messages are whole.
    fn take_messages(&mut self) -> Result<(), Disconnect> {
        while self.has_room() && !self.disconnected && self.ending.is_none() {
            let Some(received) = self.inbound.next() else {
                break;
            };
            let Some(wire_format) = self.inbound.wire_format() else {
                return received.map(drop).map_err(Disconnect::Wire);
            };
            if let Err(err) = &received
                && err.code == Code::WireFrameTooLarge
                && let Some(reply) = self.inbound.refuse_start(&self.current.get(), err)
            {
                self.calls.push_reply(reply);
                self.ending = received.err().map(Disconnect::Wire);
                break;
            }
            self.timeouts.message_is_whole();
            self.count();
            let arrival = self.inbound.arrival(wire_format, self.calls.len());
            let service = self.current.get();
            let decision = match received {
                Ok(message) => service.admit(arrival, &message),
                Err(err) => service.refuse_frame(arrival, err),
            };
            match decision.map_err(Disconnect::Wire)? {
                Decision::NoReply => {}
                Decision::Reply(reply) => self.calls.push_reply(reply),
                Decision::Serve(call) => self.calls.push(call.is_oneway(), service.serve(call)),
            }
        }
        self.timeouts.has_part_of_message(self.inbound.has_rest());
        self.inbound.shrink();
        Ok(())
    }

    /// Moves finished replies, in the order of their calls, to what is to be written. False if there was none.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while !self.outbound.is_full()
            && let Some(ended) = self.calls.pop_ended()
        {
            if let Some(reply) = ended.reply {
                if self.outbound.is_empty() {
                    self.timeouts.offers();
                }
                self.outbound.push(reply);
            }
            any = true;
        }
        any
    }

    /// Whether a further call may be taken.
    fn has_room(&self) -> bool {
        // An idle connection may always begin a message, whatever memory it takes.
        let full = self.memory.is_full() && !(self.calls.is_empty() && self.outbound.is_empty());
        !full && self.calls.len() < self.pipelined_max && !self.outbound.is_full()
    }

    fn activity(&self) -> Activity {
        Activity {
            calls: !self.calls.is_empty(),
            writes: !self.outbound.is_empty(),
        }
    }

    /// Counts the memory of the buffers.
    fn count(&self) {
        self.buffers
            .set(self.inbound.capacity() + self.outbound.bytes());
    }

    fn heard(&mut self, bytes: usize) {
        let now = Instant::now();
        self.timeouts.heard(now);
        self.inbound.set_heard_at(Some(now));
        self.drain.heard(bytes);
        self.metrics.received.add(0, bytes);
        if bytes == 0 {
            self.disconnected = true;
            self.calls.disconnect();
        }
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), Disconnect> {
        if bytes == 0 {
            return Err(Disconnect::Io(io::ErrorKind::WriteZero.into()));
        }
        self.metrics.sent.add(0, bytes);
        match self.outbound.advance(bytes) {
            Some(buffer) => {
                self.timeouts.took_all();
                self.current.take_back(buffer);
                // Counted now, because this decides whether more is read.
                self.count();
            }
            None => self.timeouts.took(),
        }
        Ok(())
    }

    /// Handles a message for whose rest there is still no memory: its client gets a reply, after the replies to its
    /// earlier calls, and then the connection ends.
    fn refuse_rest(&mut self) -> Result<(), Disconnect> {
        let reply = self.inbound.refuse_rest(&self.current.get())?;
        self.calls.push_reply(reply);
        self.ending = Some(Disconnect::Overloaded);
        Ok(())
    }

    async fn linger<R, W>(&mut self, reader: R, writer: W, time: Duration)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let buffer = self.inbound.discard();
        self.buffers.set(buffer.capacity() + self.outbound.bytes());
        let coop = self.memory.pool().coop();
        linger((reader, writer), (buffer, time), &self.metrics, coop).await;
    }
}
