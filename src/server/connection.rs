//! One client's socket: cuts messages out, runs its calls at the same time, replies in the order of the calls.
//!
//! All calls of a connection live in its one task. When the client hangs up, the calls in flight are dropped,
//! which cancels their lookups; oneway calls are finished, since nobody waits for them anyway. When the server
//! drains, nothing more is read, and the connection ends with the reply to its last call.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::config::LimitsConfig;
use crate::error::Code;
use crate::metrics::{Closed, LoopMetrics};
use crate::service::{Admission, Arrival, Current, Peer};
use crate::thrift::{Framer, Limits, Shapes, WireError};

/// How much is read at a time: little while nothing is begun, since most calls are short and many connections
/// wait for one; more once a message shows that it is longer.
const READ_BYTES_FIRST: usize = 4 * 1024;
const READ_BYTES: usize = 16 * 1024;
/// Replies that may gather before they are written; with more, no further call of the connection is taken.
const WRITE_BYTES: usize = 256 * 1024;
/// How often a client that may be too slow is looked at.
const TIMER_STEP: Duration = Duration::from_millis(100);

/// What all connections of a loop share.
pub(super) struct OfLoop {
    pub(super) current: Rc<Current>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Rc<LoopMetrics>,
    /// Of all its listeners together.
    pub(super) connections_max: usize,
    /// Turns of TLS handshakes.
    pub(super) handshakes: Semaphore,
}

/// What a listener's connections may do.
pub(super) struct Terms {
    pub(super) limits: LimitsConfig,
    pub(super) shapes: Shapes,
    pub(super) takes_tokens: bool,
}

/// Serves one connection, given as its two halves and the names in its client's certificate, to its end.
pub(super) async fn serve<R, W>(
    (reader, writer): (R, W),
    names: Vec<String>,
    terms: &Terms,
    of_loop: &OfLoop,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let current = Rc::clone(&of_loop.current);
    let metrics = Rc::clone(&of_loop.metrics);
    let framer = Framer::new(Limits {
        shapes: terms.shapes,
        ..current.get().limits()
    });
    let connection = Connection {
        current,
        peer: Peer {
            names,
            takes_tokens: terms.takes_tokens,
        },
        limits: terms.limits,
        framer,
        input: BytesMut::new(),
        output: BytesMut::new(),
        calls: VecDeque::new(),
        metrics: Rc::clone(&metrics),
        hung_up: false,
        message_began: None,
        last_taken: Instant::now(),
        last_heard: Instant::now(),
    };
    metrics.connections_open.up();
    let why = match connection.run(reader, writer, &of_loop.shutdown).await {
        Ok(why) => {
            debug!("connection closed");
            why
        }
        Err(End::Io(err)) => {
            debug!(error = %err, "connection lost");
            Closed::Lost
        }
        Err(End::Wire(err)) => {
            info!(code = %err.code, detail = err.detail, "connection closed: bad bytes");
            metrics.wire_error(err.code);
            Closed::BadBytes
        }
        Err(End::Silent) => {
            debug!("connection closed: idle");
            Closed::Idle
        }
        Err(End::Slow(code)) => {
            info!(%code, "connection closed: too slow");
            metrics.wire_error(code);
            Closed::TooSlow
        }
    };
    metrics.closed(why);
    metrics.connections_open.down();
}

/// Why a connection ended other than by its client or by a drain.
enum End {
    Io(io::Error),
    Wire(WireError),
    Silent,
    Slow(Code),
}

impl From<io::Error> for End {
    fn from(err: io::Error) -> Self {
        End::Io(err)
    }
}

/// A call that is not yet answered on the wire.
struct Pending {
    oneway: bool,
    state: PendingState,
}

enum PendingState {
    Running(Pin<Box<dyn Future<Output = Option<BytesMut>>>>),
    /// Its reply waits for those before it.
    Done(Option<BytesMut>),
}

struct Connection {
    current: Rc<Current>,
    peer: Peer,
    limits: LimitsConfig,
    framer: Framer,
    input: BytesMut,
    output: BytesMut,
    /// In the order in which the calls came: the order of their replies.
    calls: VecDeque<Pending>,
    metrics: Rc<LoopMetrics>,
    hung_up: bool,
    /// When the first byte of a message came that is not whole yet.
    message_began: Option<Instant>,
    /// When the client last took a byte of what is to be written.
    last_taken: Instant,
    last_heard: Instant,
}

impl Connection {
    async fn run<R, W>(
        mut self,
        mut reader: R,
        mut writer: W,
        shutdown: &CancellationToken,
    ) -> Result<Closed, End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut timer = Box::pin(sleep_until(self.looks_again()));
        let mut draining = shutdown.is_cancelled();
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
            self.input.reserve(match (reads, self.input.is_empty()) {
                (false, _) => 0,
                (true, true) => READ_BYTES_FIRST,
                (true, false) => READ_BYTES,
            });
            let answerable = self.output.len() < WRITE_BYTES;
            // Each arm only ever finishes its own; a client that takes no replies stops neither its calls nor,
            // with them, anybody else's.
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    self.wrote(written?)?;
                }
                () = progress(&mut self.calls, answerable), if !self.calls.is_empty() => {}
                read = reader.read_buf(&mut self.input), if reads => self.heard(read?),
                () = shutdown.cancelled(), if !draining => draining = true,
                () = timer.as_mut() => self.check_time(timer.as_mut())?,
            }
        }
    }

    /// Whether a further call may be taken.
    fn has_room(&self) -> bool {
        self.calls.len() < self.limits.pipelined_max && self.output.len() < WRITE_BYTES
    }

    fn heard(&mut self, bytes: usize) {
        self.last_heard = Instant::now();
        self.metrics.received.add(0, bytes);
        if bytes == 0 {
            self.hung_up = true;
            self.calls.retain(|call| call.oneway);
        }
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            return Err(End::Io(io::ErrorKind::WriteZero.into()));
        }
        self.metrics.sent.add(0, bytes);
        // Progress is what counts: a slow client that takes bytes is served.
        let now = Instant::now();
        self.last_taken = now;
        self.last_heard = now;
        // While replies were due we may not have read, so the rest of a message gets its time anew.
        self.message_began = self.message_began.map(|_| now);
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
            self.message_began = None;
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
                Admission::Reply(reply) => {
                    let state = PendingState::Done(Some(reply));
                    self.calls.push_back(Pending {
                        oneway: false,
                        state,
                    });
                }
                Admission::Call(call) => {
                    let oneway = call.is_oneway();
                    let state = PendingState::Running(Box::pin(service.serve(call)));
                    self.calls.push_back(Pending { oneway, state });
                }
            }
        }
        if self.input.is_empty() {
            self.message_began = None;
        } else if self.message_began.is_none() {
            self.message_began = Some(Instant::now());
        }
        Ok(())
    }

    /// Puts the replies that are next in order to what is to be written; whether there were any.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while self.output.len() < WRITE_BYTES
            && let Some(PendingState::Done(reply)) =
                self.calls.front_mut().map(|call| &mut call.state)
        {
            if let Some(reply) = reply.take() {
                if self.output.is_empty() {
                    self.last_taken = Instant::now();
                    self.output = reply;
                } else {
                    self.output.extend_from_slice(&reply);
                }
            }
            self.calls.pop_front();
            any = true;
        }
        any
    }

    /// The soonest instant at which a client can have been too slow, as far as is known now.
    fn looks_again(&self) -> Instant {
        let limits = &self.limits;
        let soonest = limits
            .idle_timeout
            .min(limits.frame_timeout)
            .min(limits.write_timeout);
        match self.message_began {
            Some(began) => began + limits.frame_timeout.min(limits.write_timeout),
            None => self.last_heard + soonest,
        }
    }

    /// The timer is set for the soonest possible end and looked at again when it fires, so that the bytes of a
    /// busy connection need not touch it.
    fn check_time(&mut self, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let now = Instant::now();
        if !self.output.is_empty() && self.last_taken + self.limits.write_timeout <= now {
            return Err(End::Slow(Code::WireTimeout));
        }
        // A client whose calls are on their way, or whose messages we do not read, is not the silent one.
        if self.calls.is_empty() && self.output.is_empty() {
            if self
                .message_began
                .is_some_and(|began| began + self.limits.frame_timeout <= now)
            {
                return Err(End::Slow(Code::WireTimeout));
            }
            if self.last_heard + self.limits.idle_timeout <= now {
                return Err(End::Silent);
            }
        }
        timer.reset(self.looks_again().max(now + TIMER_STEP));
        Ok(())
    }
}

/// Runs the calls; ready when the one whose reply is next has ended and its reply can be taken.
async fn progress(calls: &mut VecDeque<Pending>, answerable: bool) {
    poll_fn(|cx| {
        for call in &mut *calls {
            if let PendingState::Running(running) = &mut call.state
                && let Poll::Ready(reply) = running.as_mut().poll(cx)
            {
                call.state = PendingState::Done(reply);
            }
        }
        match calls.front() {
            Some(Pending {
                state: PendingState::Done(_),
                ..
            }) if answerable => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}
