//! Serves one connection: reads calls, runs them concurrently, sends replies in the order of the calls.
//!
//! All calls of a connection run in its one task. When the client disconnects, its calls in flight are dropped, which cancels
//! their lookups; oneway calls are finished, since no client waits for them anyway. When the server drains, [`Drain`] says
//! which calls are still read, and the connection ends with the reply to the last one. The memory of a connection is
//! counted ([`ConnectionMemory`]); a client that takes up too much is not read from until there is room.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use super::calls::Calls;
use super::disconnect::Disconnect;
use super::drain::Drain;
use super::inbound::Inbound;
use super::lifetime::Lifetime;
use super::linger::{self, linger};
use super::outbound::Outbound;
use super::poll_on_wake::PollOnWake;
use super::timeouts::{Activity, Timeouts};
use crate::error::Code;
use crate::metrics::{Closed, LoopMetrics};
use crate::server::client::Client;
use crate::server::state::{ListenerSettings, WorkerState};
use crate::service::{Closing, ConnectionMemory, Current, Decision, Overload, Peer, Reservation};
use crate::thrift::{Framer, Limits};

/// After so many messages the loop's other tasks have their turn, however many more the client has sent.
const TURN: usize = 32;
/// By how much the rests of connections differ, as a share: otherwise all of them would be read in the same round.
const REST_SPREAD: f64 = 0.3;
/// By how much the ages of connections at their ends differ, as a share.
const AGE_SPREAD: f64 = 0.1;

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
    overload: Rc<Overload>,
    disconnected: bool,
    /// How many messages were taken since others had their turn.
    taken: usize,
    /// How long it rests after calls were refused, as a share of what is usual.
    rest: f64,
    /// Not read from until then, unless more has arrived than was read at once: otherwise it could not be refused as fast as it
    /// arrives. If very much is refused, it rests nevertheless, and what was read waits, too.
    rests_until: Option<Instant>,
    more_arrived: bool,
    /// Not read from until there is room in memory.
    held: bool,
    drain: Drain,
    lifetime: Lifetime,
    closing: Rc<Closing>,
    /// No further message is taken. Once all replies are written, the connection ends for this reason.
    ending: Option<Disconnect>,
}

impl Exchange {
    pub(super) fn new(client: Client, settings: &ListenerSettings, worker: &WorkerState) -> Self {
        let current = Rc::clone(&worker.current);
        let Client { names, memory } = client;
        memory.names(&names);
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
        let share = worker.random.borrow_mut().about_one(AGE_SPREAD);
        let limits = &settings.limits;
        let closing = Rc::new(Closing::new(worker.stopping.clone()));
        Exchange {
            inbound: Inbound::new(
                peer,
                framer,
                (&memory, Rc::clone(&closing), &worker.overload),
            ),
            current,
            calls: Calls::new(&memory),
            outbound: Outbound::default(),
            pipelined_max: settings.limits.pipelined_max,
            buffers: Reservation::new(&memory, 0),
            memory,
            timeouts: Timeouts::new(settings.limits),
            metrics: Rc::clone(&worker.metrics),
            overload: Rc::clone(&worker.overload),
            disconnected: false,
            taken: 0,
            rest: worker.random.borrow_mut().about_one(REST_SPREAD),
            rests_until: None,
            more_arrived: false,
            held: false,
            drain: Drain::new(
                worker.connections_max,
                worker.shutdown.is_cancelled().then(|| worker.next_call()),
            ),
            lifetime: Lifetime::new(
                limits.connection_age_max,
                limits.connection_calls_max,
                share,
            ),
            closing,
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
        let first = self.lifetime.before(self.timeouts.next_check());
        let mut timer = PollOnWake::new(Box::pin(sleep_until(first)));
        // First the beginning of the drain, then its end.
        let mut drain_signal = pin!(worker.shutdown.cancelled());
        if self.drain.has_begun() {
            drain_signal.set(worker.drain_is_over.cancelled());
        }
        let mut drains = PollOnWake::new(drain_signal);
        let (mut is_over, mut pauses) = (false, false);
        loop {
            // Finished calls make room for further ones, some of which are answered immediately.
            self.take_messages()?;
            while self.settle() {
                self.take_messages()?;
            }
            if self.begin_behind_replies().await {
                continue;
            }
            let idle = self.calls.is_empty() && self.outbound.is_empty();
            let more = self.drain.wants_messages();
            let more = more || (self.inbound.has_rest() && self.drain.wants_rest());
            let more = more && !is_over;
            if idle && let Some((end, linger)) = self.end(more) {
                if let Some(linger) = linger {
                    self.linger(reader, writer, linger).await;
                }
                return end;
            }
            let wants = more && !self.disconnected && self.ending.is_none() && self.has_room();
            let rests = wants && self.rests();
            let wants = wants && !rests;
            let reads = wants && self.memory.may_read();
            if reads {
                self.inbound.make_room(self.is_limiting());
            } else if wants && !self.held {
                self.metrics.reads_held.count_one();
            }
            self.held = wants && !reads;
            self.count();
            self.inbound.set_heard_at(None);
            let (writes, takes_replies) = (!self.outbound.is_empty(), !self.outbound.is_full());
            // Each arm finishes only its own work. A client that takes no replies does not stop its own calls, nor, through
            // them, those of other clients.
            tokio::select! {
                biased;
                // Not `write_buf`, which prepares vectored writes and asks the kernel for them.
                written = writer.write(self.outbound.piece()), if writes && !pauses => {
                    self.wrote(written?)?;
                    // A client may take all pieces of a long reply at once.
                    pauses = !self.outbound.is_empty();
                }
                () = self.calls.progress(takes_replies), if !self.calls.is_empty() => {}
                read = self.inbound.read(&mut reader), if reads => {
                    // While it waited for a slice, others may have taken the memory.
                    if let Some(bytes) = read? {
                        self.heard(bytes);
                        self.rest().await;
                    }
                }
                // The calls that still run are polled next, and end.
                () = &mut drains, if !is_over => {
                    self.rests_until = None;
                    is_over = self.drain.has_begun();
                    if !is_over {
                        let idle_since = idle.then(|| self.timeouts.last_heard());
                        self.drain.begin(idle_since, worker.next_call());
                        drains.change().set(worker.drain_is_over.cancelled());
                    }
                }
                // After the read, which is polled first each time.
                () = self.drain.progress(), if reads && self.drain.is_counting() => {}
                () = self.memory.pool().relieved(), if self.held => {}
                () = rest_until(self.rests_until), if rests => self.rests_until = None,
                () = &mut timer => self.check_time(timer.change().as_mut())?,
                // The loop has polled its sockets.
                () = yield_now(), if pauses => pauses = false,
            }
        }
    }

    /// How the connection ends now, at a moment at which nothing is under way, and how long its client may still send. `more`:
    /// it waits for messages.
    fn end(&mut self, more: bool) -> Option<(Result<Closed, Disconnect>, Option<Duration>)> {
        if let Some(end) = self.ending.take() {
            return Some((Err(end), Some(linger::REFUSED)));
        }
        if self.disconnected {
            return Some((Ok(Closed::HungUp), None));
        }
        if !more {
            return Some((Ok(Closed::Drained), Some(linger::DRAINED)));
        }
        let aged = !self.inbound.has_rest() && self.lifetime.is_over(self.timeouts.last_heard());
        aged.then_some((Ok(Closed::Aged), Some(linger::DRAINED)))
    }

    /// Checks what depends on the time, and sets the timer for the next check.
    fn check_time(&mut self, mut timer: Pin<&mut Sleep>) -> Result<(), Disconnect> {
        if self.lifetime.has_aged() {
            self.closing.announce();
        }
        match self.timeouts.check(timer.as_mut(), self.activity()) {
            // The client could not send the rest: it was not read.
            Err(Disconnect::Slow(_)) if self.held => self.refuse_rest()?,
            checked => checked?,
        }
        let next = self.lifetime.before(timer.deadline());
        timer.reset(next);
        Ok(())
    }

    /// Starts the calls whose messages are whole.
    fn take_messages(&mut self) -> Result<(), Disconnect> {
        while self.has_room()
            && !self.disconnected
            && self.ending.is_none()
            && !self.leaves_messages()
        {
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
            self.taken += 1;
            self.timeouts.message_is_whole();
            if self.lifetime.count_call() {
                self.closing.announce();
            }
            self.count();
            let arrival = self.inbound.arrival(wire_format, self.calls.len());
            let service = self.current.get();
            let decision = match received {
                Ok(message) => service.admit(arrival, &message),
                Err(err) => service.refuse_frame(arrival, err),
            };
            match decision {
                Ok(Decision::NoReply) => {}
                Ok(Decision::Reply(reply)) => self.calls.push_reply(reply),
                Ok(Decision::Rest(reply, rest)) => {
                    self.calls.push_reply(reply);
                    if !self.drain.has_begun() {
                        self.rests_until = Some(Instant::now() + rest.mul_f64(self.rest));
                    }
                }
                Ok(Decision::Serve(call)) => {
                    self.calls.push(call.is_oneway(), service.serve(call));
                }
                // The calls before it are answered, whether it came with them or later.
                Err(err) if !self.calls.is_empty() => {
                    self.ending = Some(Disconnect::Wire(err));
                    break;
                }
                Err(err) => return Err(Disconnect::Wire(err)),
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

    /// Begins the new calls if replies are to be written: replies from memory are written together with them. False if there
    /// is no such call.
    async fn begin_behind_replies(&mut self) -> bool {
        let begins = self.calls.has_new() && !self.outbound.is_empty();
        if begins {
            self.calls.begin().await;
        }
        begins
    }

    /// Whether a further call may be taken.
    fn has_room(&self) -> bool {
        // An idle connection may always begin a message, whatever memory it takes.
        let full = self.memory.is_full() && !(self.calls.is_empty() && self.outbound.is_empty());
        !full && self.calls.len() < self.pipelined_max && !self.outbound.is_full()
    }

    /// Whether it is not read.
    fn rests(&self) -> bool {
        self.rests_until.is_some() && !self.more_arrived || self.leaves_messages()
    }

    /// Whether messages that were read wait until it has rested.
    fn leaves_messages(&self) -> bool {
        self.rests_until.is_some() && self.overload.has_refused_many()
    }

    /// Whether some calls are refused because the loop has more work than it can do.
    fn is_limiting(&self) -> bool {
        self.overload.is_limiting() && self.current.get().limits_the_loop()
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
        self.more_arrived = self.inbound.is_full();
        self.inbound.set_heard_at(Some(now));
        self.drain.heard(bytes);
        self.metrics.received.add(0, bytes);
        if bytes == 0 {
            self.disconnected = true;
            self.calls.disconnect();
        }
    }

    /// Lets others have their turn if many messages were taken: a client that goes on sending would be served all the time.
    async fn rest(&mut self) {
        if self.taken >= TURN {
            self.taken = 0;
            // The loop polls its sockets before it polls this task again.
            yield_now().await;
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

async fn rest_until(time: Option<Instant>) {
    if let Some(time) = time {
        sleep_until(time).await;
    }
}
