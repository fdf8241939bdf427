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

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::config::LimitsConfig;
use crate::error::Code;
use crate::service::{Admission, Current};
use crate::thrift::{Framer, WireError};

/// How much is read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Replies that may gather before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    current: Rc<Current>,
    limits: LimitsConfig,
    shutdown: CancellationToken,
) {
    // Replies are written whole; waiting to fill a packet would only delay them.
    let _best_effort = stream.set_nodelay(true);
    let framer = Framer::new(current.get().limits());
    let connection = Connection {
        stream,
        current,
        limits,
        framer,
        input: BytesMut::new(),
        output: BytesMut::new(),
        calls: VecDeque::new(),
        hung_up: false,
        message_began: None,
        last_heard: Instant::now(),
    };
    match connection.run(shutdown).await {
        Ok(()) => debug!("connection closed"),
        Err(End::Io(err)) => debug!(error = %err, "connection lost"),
        Err(End::Wire(err)) => {
            info!(code = %err.code, detail = err.detail, "connection closed: bad bytes");
        }
        Err(End::Silent) => debug!("connection closed: idle"),
        Err(End::Slow(code)) => info!(%code, "connection closed: too slow"),
    }
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
    Running(Pin<Box<dyn Future<Output = Option<Bytes>>>>),
    /// Its reply waits for those before it.
    Done(Option<Bytes>),
}

struct Connection {
    stream: TcpStream,
    current: Rc<Current>,
    limits: LimitsConfig,
    framer: Framer,
    input: BytesMut,
    output: BytesMut,
    /// In the order in which the calls came: the order of their replies.
    calls: VecDeque<Pending>,
    hung_up: bool,
    /// When the first byte of a message came that is not whole yet.
    message_began: Option<Instant>,
    last_heard: Instant,
}

impl Connection {
    async fn run(mut self, shutdown: CancellationToken) -> Result<(), End> {
        let mut timer = Box::pin(sleep_until(self.silence_ends()));
        let mut draining = shutdown.is_cancelled();
        loop {
            self.admit()?;
            self.settle().await?;
            if self.calls.is_empty() && (draining || self.hung_up) {
                return Ok(());
            }
            let reads = !self.hung_up && !draining && self.calls.len() < self.limits.pipelined_max;
            self.input.reserve(if reads { READ_BYTES } else { 0 });
            tokio::select! {
                biased;
                () = progress(&mut self.calls), if !self.calls.is_empty() => {}
                read = self.stream.read_buf(&mut self.input), if reads => self.heard(read?),
                () = shutdown.cancelled(), if !draining => draining = true,
                () = timer.as_mut() => self.check_time(timer.as_mut())?,
            }
        }
    }

    fn heard(&mut self, bytes: usize) {
        self.last_heard = Instant::now();
        if bytes == 0 {
            self.hung_up = true;
            self.calls.retain(|call| call.oneway);
        }
    }

    /// Starts the calls whose messages are whole.
    fn admit(&mut self) -> Result<(), End> {
        while self.calls.len() < self.limits.pipelined_max && !self.hung_up {
            let Some(message) = self.framer.next(&mut self.input).map_err(End::Wire)? else {
                break;
            };
            self.message_began = None;
            let arrived = Instant::now();
            let Some(shape) = self.framer.shape() else {
                break;
            };
            let service = self.current.get();
            match service.admit(shape, &message, arrived).map_err(End::Wire)? {
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

    /// Writes the replies that are next in order.
    async fn settle(&mut self) -> Result<(), End> {
        while let Some(Pending {
            state: PendingState::Done(_),
            ..
        }) = self.calls.front()
        {
            if let Some(Pending {
                state: PendingState::Done(Some(reply)),
                ..
            }) = self.calls.pop_front()
            {
                self.output.extend_from_slice(&reply);
            }
            if self.output.len() >= WRITE_BYTES {
                self.write().await?;
            }
        }
        if self.output.is_empty() {
            Ok(())
        } else {
            self.write().await
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        // Progress is what counts: a slow client that takes bytes is served.
        while !self.output.is_empty() {
            let written = timeout(
                self.limits.write_timeout,
                self.stream.write_buf(&mut self.output),
            );
            match written.await {
                Ok(Ok(0)) => return Err(End::Io(io::ErrorKind::WriteZero.into())),
                Ok(Ok(_)) => {}
                Ok(Err(err)) => return Err(End::Io(err)),
                Err(_elapsed) => return Err(End::Slow(Code::WireTimeout)),
            }
        }
        let now = Instant::now();
        self.last_heard = now;
        // While replies were due we may not have read, so the rest of a message gets its time anew.
        self.message_began = self.message_began.map(|_| now);
        Ok(())
    }

    /// When the client will have been silent for too long, as far as is known now.
    fn silence_ends(&self) -> Instant {
        match self.message_began {
            Some(began) => began + self.limits.frame_timeout,
            None => self.last_heard + self.limits.idle_timeout.min(self.limits.frame_timeout),
        }
    }

    /// The timer is set for the soonest possible end and looked at again when it fires, so that the bytes of a
    /// busy connection need not touch it.
    fn check_time(&mut self, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let now = Instant::now();
        // A client whose calls are on their way, or whose messages we do not read, is not the silent one.
        if self.calls.is_empty() {
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
        let soon = now + std::time::Duration::from_millis(100);
        timer.reset(self.silence_ends().max(soon));
        Ok(())
    }
}

/// Ready when the call whose reply is next has ended.
async fn progress(calls: &mut VecDeque<Pending>) {
    poll_fn(|cx| {
        poll_calls(calls, cx);
        match calls.front() {
            Some(Pending {
                state: PendingState::Running(_),
                ..
            }) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

fn poll_calls(calls: &mut VecDeque<Pending>, cx: &mut std::task::Context<'_>) {
    for call in calls {
        if let PendingState::Running(running) = &mut call.state
            && let Poll::Ready(reply) = running.as_mut().poll(cx)
        {
            call.state = PendingState::Done(reply);
        }
    }
}
