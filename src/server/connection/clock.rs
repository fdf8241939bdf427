//! What a client did when, and how long it may take over what it does next.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::End;
use crate::config::LimitsConfig;
use crate::error::Code;

/// How often a client that may be too slow is looked at.
const TIMER_STEP: Duration = Duration::from_millis(100);

/// The times of one connection.
pub(super) struct Clock {
    limits: LimitsConfig,
    /// When the first byte of a message came that is not whole yet.
    message_began: Option<Instant>,
    /// When the client last took a byte of what is to be written.
    last_taken: Instant,
    last_heard: Instant,
}

/// What a connection is about.
#[derive(Clone, Copy)]
pub(super) struct Doing {
    /// Calls are on their way, or wait for their turn to be answered.
    pub(super) calls: bool,
    /// Bytes wait for the client to take them.
    pub(super) writes: bool,
}

impl Clock {
    pub(super) fn new(limits: LimitsConfig) -> Self {
        let now = Instant::now();
        Clock {
            limits,
            message_began: None,
            last_taken: now,
            last_heard: now,
        }
    }

    /// Bytes came.
    pub(super) fn heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// The client took bytes. Progress is what counts: a slow client that takes bytes is served.
    pub(super) fn took(&mut self) {
        let now = Instant::now();
        self.last_taken = now;
        self.last_heard = now;
        // While replies were due we may not have read, so the rest of a message gets its time anew.
        self.message_began = self.message_began.map(|_| now);
    }

    /// There are bytes to be taken, and there were none.
    pub(super) fn offers(&mut self) {
        self.last_taken = Instant::now();
    }

    /// A message was taken whole.
    pub(super) fn message_is_whole(&mut self) {
        self.message_began = None;
    }

    /// All whole messages were taken; `rest` says whether a part of another is there.
    pub(super) fn has_part_of_message(&mut self, rest: bool) {
        if !rest {
            self.message_began = None;
        } else if self.message_began.is_none() {
            self.message_began = Some(Instant::now());
        }
    }

    /// The soonest instant at which a client can have been too slow, as far as is known now.
    pub(super) fn looks_again(&self) -> Instant {
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
    pub(super) fn check(&self, timer: Pin<&mut Sleep>, doing: Doing) -> Result<(), End> {
        let now = Instant::now();
        if doing.writes && self.last_taken + self.limits.write_timeout <= now {
            return Err(End::Slow(Code::WireTimeout));
        }
        // A client whose calls are on their way, or whose messages we do not read, is not the silent one.
        if !doing.calls && !doing.writes {
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
