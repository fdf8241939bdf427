//! The timeouts of one connection: when its client was last active, and how long it may take for what comes next.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::disconnect::Disconnect;
use crate::config::LimitsConfig;
use crate::error::Code;

/// How often a client that may be too slow is checked.
const TIMER_STEP: Duration = Duration::from_millis(100);

/// The timeouts of one connection.
pub(super) struct Timeouts {
    limits: LimitsConfig,
    /// When the first byte of an incomplete message arrived.
    message_began: Option<Instant>,
    /// When the client last took a byte of a reply.
    last_taken: Instant,
    last_heard: Instant,
}

/// What a connection is doing.
#[derive(Clone, Copy)]
pub(super) struct Activity {
    /// Calls are running, or their replies wait for earlier ones.
    pub(super) calls: bool,
    /// Replies wait for the client to take them.
    pub(super) writes: bool,
}

impl Timeouts {
    pub(super) fn new(limits: LimitsConfig) -> Self {
        let now = Instant::now();
        Timeouts {
            limits,
            message_began: None,
            last_taken: now,
            last_heard: now,
        }
    }

    /// Bytes arrived at `now`.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// When the client last sent or took bytes.
    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// The client took all bytes, nearly always immediately: then `last_taken` is when they were offered.
    pub(super) fn took_all(&mut self) {
        if self.message_began.is_some() {
            return self.took();
        }
        self.last_heard = self.last_heard.max(self.last_taken);
    }

    /// The client took some bytes. Progress is what counts: a slow client that takes bytes is served.
    pub(super) fn took(&mut self) {
        let now = Instant::now();
        self.last_taken = now;
        self.last_heard = now;
        // While replies were pending the client may not have been read from, so its message gets the full time again.
        self.message_began = self.message_began.map(|_| now);
    }

    /// There are bytes to be taken, for the first time since all were taken.
    pub(super) fn offers(&mut self) {
        self.last_taken = Instant::now();
    }

    /// A message is complete.
    pub(super) fn message_is_whole(&mut self) {
        self.message_began = None;
    }

    /// All complete messages were taken; `rest` says whether a part of another one is buffered.
    pub(super) fn has_part_of_message(&mut self, rest: bool) {
        if !rest {
            self.message_began = None;
        } else if self.message_began.is_none() {
            self.message_began = Some(Instant::now());
        }
    }

    /// The earliest instant at which the client can have been too slow, as far as is known now.
    pub(super) fn next_check(&self) -> Instant {
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

    /// Ends the connection if its client was too slow, otherwise sets the timer for the earliest instant at which it can be.
    /// The timer is checked only when it fires, so that reading and writing need not touch it.
    pub(super) fn check(
        &self,
        timer: Pin<&mut Sleep>,
        activity: Activity,
    ) -> Result<(), Disconnect> {
        let now = Instant::now();
        if activity.writes && self.last_taken + self.limits.write_timeout <= now {
            return Err(Disconnect::Slow(Code::WireTimeout));
        }
        // A client that waits for replies is neither slow nor idle.
        if !activity.calls && !activity.writes {
            if self
                .message_began
                .is_some_and(|began| began + self.limits.frame_timeout <= now)
            {
                return Err(Disconnect::Slow(Code::WireTimeout));
            }
            if self.last_heard + self.limits.idle_timeout <= now {
                return Err(Disconnect::Idle);
            }
        }
        timer.reset(self.next_check().max(now + TIMER_STEP));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    const IDLE: Activity = Activity {
        calls: false,
        writes: false,
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How a connection with that activity ends now.
    fn end(timeouts: &Timeouts, activity: Activity) -> Option<&'static str> {
        let mut timer = Box::pin(sleep_until(Instant::now()));
        match timeouts.check(timer.as_mut(), activity) {
            Ok(()) => None,
            Err(Disconnect::Idle) => Some("idle"),
            Err(Disconnect::Slow(_)) => Some("slow"),
            Err(_) => Some("another"),
        }
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn the_rest_of_a_message_may_take_five_seconds_in_all() {
        let mut timeouts = Timeouts::new(LimitsConfig::default());
        timeouts.has_part_of_message(true);
        for _ in 0..4 {
            advance(seconds(1)).await;
            timeouts.heard(Instant::now());
            timeouts.has_part_of_message(true);
        }
        assert_eq!(end(&timeouts, IDLE), None);
        advance(seconds(1)).await;
        assert_eq!(end(&timeouts, IDLE), Some("slow"));
        // While calls run the client may not be read from, so the time does not count.
        let calls = Activity {
            calls: true,
            ..IDLE
        };
        assert_eq!(end(&timeouts, calls), None);
        timeouts.message_is_whole();
        timeouts.has_part_of_message(true);
        assert_eq!(end(&timeouts, IDLE), None, "the next message");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_reply_may_wait_ten_seconds_after_the_last_byte_that_was_taken() {
        let mut timeouts = Timeouts::new(LimitsConfig::default());
        let writes = Activity {
            writes: true,
            ..IDLE
        };
        advance(seconds(100)).await;
        timeouts.offers();
        assert_eq!(end(&timeouts, writes), None);
        for _ in 0..5 {
            advance(seconds(9)).await;
            assert_eq!(end(&timeouts, writes), None);
            timeouts.took();
        }
        advance(seconds(10)).await;
        assert_eq!(end(&timeouts, writes), Some("slow"));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_may_be_idle_for_ten_minutes() {
        let mut timeouts = Timeouts::new(LimitsConfig::default());
        advance(seconds(599)).await;
        assert_eq!(end(&timeouts, IDLE), None);
        timeouts.heard(Instant::now());
        advance(seconds(599)).await;
        assert_eq!(end(&timeouts, IDLE), None);
        advance(seconds(1)).await;
        assert_eq!(end(&timeouts, IDLE), Some("idle"));
    }
}
