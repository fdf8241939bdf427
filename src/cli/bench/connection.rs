//! Drives one connection: sends due calls, receives replies and has them checked.
//!
//! Replies are expected in the order of the calls. If a connection breaks, or gets no reply for too long, its calls in
//! flight fail and it is replaced: a stray reply is never taken for the reply to another call.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::check::Wrong;
use super::load::Load;
use super::tally::Of;
use crate::cli::dial::Stream;
use crate::thrift::{Foreign, Framer, Limits};

/// The buffer space of each read.
const READ_BYTES: usize = 16 * 1024;
/// The timer is accurate to a millisecond; shorter waits are spent polling.
const AWAKE: Duration = Duration::from_millis(2);
/// The pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);

/// One connection and its calls in flight.
pub(super) struct Connection {
    load: Rc<Load>,
    stream: Stream,
    framer: Framer,
    received: BytesMut,
    sending: BytesMut,
    /// When each call was due, and its index; the oldest first.
    in_flight: VecDeque<(Instant, usize)>,
    /// The next call to make.
    next: usize,
    /// When that call is due, if it is known and in the future.
    due: Option<Instant>,
    /// The schedule has no more calls.
    over: bool,
    /// Something was received.
    answered: bool,
    /// The time of the last event.
    now: Instant,
    /// Fires when the oldest call may be too old. Reset only then, not for each call.
    overdue: Pin<Box<Sleep>>,
}

impl Connection {
    /// The `at`th connection. Each starts at a different place in the list of calls.
    pub(super) fn new(load: Rc<Load>, stream: Stream, at: usize) -> Self {
        Connection {
            stream,
            framer: Framer::with_wire_format(load.target.wire_format, Limits::default()),
            received: BytesMut::new(),
            sending: BytesMut::new(),
            in_flight: VecDeque::new(),
            next: at * 7919,
            due: None,
            over: false,
            answered: false,
            now: Instant::now(),
            overdue: Box::pin(sleep(load.target.timeout)),
            load,
        }
    }

    /// Makes calls until there are no more.
    pub(super) async fn run(mut self) {
        while let Err(kind) = self.make_calls().await {
            let load = &self.load;
            for (due, _) in &self.in_flight {
                load.tally.failed(&kind, 1, load.schedule.part(*due));
            }
            if self.in_flight.is_empty() {
                load.tally.failed(&kind, 1, load.schedule.part(self.now));
            }
            if !self.reconnect().await {
                return;
            }
        }
    }

    /// `Err` is the kind of error that ended the connection.
    async fn make_calls(&mut self) -> Result<(), String> {
        loop {
            self.fill();
            self.send().await?;
            match (self.in_flight.is_empty(), self.due) {
                (true, Some(due)) => wait_until(due).await,
                (true, None) => return Ok(()),
                (false, due) => self.receive(due).await?,
            }
            self.now = Instant::now();
        }
    }

    /// Takes the calls that are due, up to the limit of calls in flight.
    fn fill(&mut self) {
        while self.in_flight.len() < self.load.target.pipeline && !self.over {
            let due = self
                .due
                .take()
                .or_else(|| self.load.schedule.next(self.now));
            let Some(due) = due else {
                self.over = true;
                return;
            };
            if due > self.now {
                self.due = Some(due);
                return;
            }
            let call = self.load.calls.get(self.next);
            self.sending.extend_from_slice(&call.bytes);
            self.in_flight.push_back((due, self.next));
            self.next = self.next.wrapping_add(1);
        }
    }

    async fn send(&mut self) -> Result<(), String> {
        if self.sending.is_empty() {
            return Ok(());
        }
        let (stream, sending) = (&mut self.stream, &self.sending);
        let writing = async {
            stream.write_all(sending).await?;
            stream.flush().await
        };
        match timeout(self.load.target.timeout, writing).await {
            Ok(written) => written.map_err(|err| broken(&err))?,
            Err(_elapsed) => return Err("the server accepts no more bytes".into()),
        }
        self.load.tally.sent(self.sending.len());
        self.sending.clear();
        Ok(())
    }

    /// Receives and checks replies; returns early when the next call is due.
    async fn receive(&mut self, due: Option<Instant>) -> Result<(), String> {
        self.received.reserve(READ_BYTES);
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.received) => match read {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(bytes) => self.load.tally.received(bytes),
                Err(err) => return Err(broken(&err)),
            },
            () = wait_until(due.unwrap_or(self.now)), if due.is_some() => return Ok(()),
            () = self.overdue.as_mut() => return self.check_oldest(),
        }
        if let Some(foreign) = Foreign::of(&self.received).filter(|_| !self.answered) {
            self.load.foreign.see(foreign);
            return Err(foreign.as_str().into());
        }
        self.answered = true;
        let now = Instant::now();
        while let Some(message) = self
            .framer
            .next(&mut self.received)
            .map_err(|err| format!("the reply can't be read ({})", err.code))?
        {
            let Some((due, at)) = self.in_flight.pop_front() else {
                return Err("a reply without a call".into());
            };
            let load = &self.load;
            match load.checker.check(load.calls.get(at), &message) {
                Ok(()) => {
                    let measured = load.schedule.part(due) == Of::Measurement;
                    load.tally.answered(measured.then(|| now - due));
                }
                Err(Wrong::Answer(kind)) => {
                    load.tally.refused(&kind, load.schedule.part(due));
                }
                Err(Wrong::Stray(kind)) => return Err(kind),
            }
        }
        Ok(())
    }

    fn check_oldest(&mut self) -> Result<(), String> {
        let limit = self.load.target.timeout;
        let oldest = self.in_flight.front().map_or(self.now, |(due, _)| *due);
        // A call that was sent late was waiting for its connection, not for a reply.
        let fires = oldest.max(self.now) + limit;
        if fires <= Instant::now() {
            return Err(format!(
                "no reply within {}",
                humantime::format_duration(limit)
            ));
        }
        self.overdue.as_mut().reset(fires);
        Ok(())
    }

    /// Reconnects. Each failed attempt counts as a failed call; `false` if there are no more calls.
    async fn reconnect(&mut self) -> bool {
        self.in_flight.clear();
        self.received.clear();
        self.sending.clear();
        self.framer = Framer::with_wire_format(self.load.target.wire_format, Limits::default());
        loop {
            match self.load.target.connect().await {
                Ok(stream) => self.stream = stream,
                Err(err) => {
                    let (now, load) = (Instant::now(), &self.load);
                    let kind = format!("can't connect ({})", err.kind());
                    load.tally.failed(&kind, 1, load.schedule.part(now));
                    let call = self.due.take().or_else(|| load.schedule.next(now));
                    if self.over || call.is_none() {
                        return false;
                    }
                    sleep(RETRY).await;
                    continue;
                }
            }
            self.now = Instant::now();
            self.overdue
                .as_mut()
                .reset(self.now + self.load.target.timeout);
            return true;
        }
    }
}

fn broken(err: &io::Error) -> String {
    format!("the connection broke ({})", err.kind())
}

async fn wait_until(due: Instant) {
    if let Some(early) = due.checked_sub(AWAKE)
        && early > Instant::now()
    {
        sleep_until(early).await;
    }
    while Instant::now() < due {
        yield_now().await;
    }
}
