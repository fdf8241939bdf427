//! Decides what a connection still reads once the server drains: the calls that were sent by then.
//!
//! The runtime learns of bytes that have arrived only when it takes their event from the kernel, and it takes a limited
//! number of events at a time. So a connection goes on reading for as many iterations of the event loop as it can take
//! until all events from before the drain are known.
//!
//! A client that called a moment ago may be about to call again, and does not know of the drain. So its connection waits
//! for one more call, and ends with the reply to it. Other calls that are sent later are not read.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many events the runtime takes from the kernel in one iteration.
const EVENTS_MAX: usize = 1024;
/// More than the kernel keeps of a connection's unread bytes: a client that never stops sending must not be read for
/// ever.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The reading of one connection while the server drains.
#[derive(Debug)]
pub(super) struct Drain {
    begun: bool,
    /// Iterations of the event loop for which it still reads.
    iterations: usize,
    /// Bytes that it still reads.
    bytes: usize,
    /// When the client has to have sent its next call, if it may have one more.
    next_call_by: Option<Instant>,
}

impl Drain {
    /// For a connection of a loop that has up to `connections_max`. `first_call`: the drain has begun already, and
    /// how long the client may take to send its first call.
    pub(super) fn new(connections_max: usize, first_call: Option<Duration>) -> Self {
        Drain {
            begun: first_call.is_some(),
            // One more, since the first may be over already; each connection has one event at a time.
            iterations: connections_max.div_ceil(EVENTS_MAX) + 1,
            bytes: BYTES_MAX,
            next_call_by: first_call.map(|first_call| Instant::now() + first_call),
        }
    }

    /// The server drains from now on. `idle_since`: there is no call, and since when. If the client called less
    /// than `next_call` ago, it may take as long to send one more.
    pub(super) fn begin(&mut self, idle_since: Option<Instant>, next_call: Duration) {
        self.begun = true;
        let now = Instant::now();
        let recent = idle_since.is_some_and(|since| since + next_call > now);
        self.next_call_by = recent.then(|| now + next_call);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the connection waits for further messages.
    pub(super) fn wants_messages(&self) -> bool {
        !self.begun || (self.bytes > 0 && (self.iterations > 0 || self.next_call_by.is_some()))
    }

    /// Whether the connection waits for the rest of a message.
    pub(super) fn wants_rest(&self) -> bool {
        self.bytes > 0
    }

    /// Whether [`progress`](Drain::progress) brings the end of reading nearer.
    pub(super) fn is_counting(&self) -> bool {
        self.begun && self.wants_messages()
    }

    /// That many bytes were read.
    pub(super) fn heard(&mut self, bytes: usize) {
        if self.begun {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.next_call_by = None;
        }
    }

    /// Waits for a part of the time for which the connection still reads. Reading is polled first each time.
    pub(super) async fn progress(&mut self) {
        match self.next_call_by {
            Some(by) => {
                sleep_until(by).await;
                self.next_call_by = None;
            }
            None => {
                tokio::task::yield_now().await;
                self.iterations = self.iterations.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_reads_for_as_many_iterations_as_its_loop_has_events() {
        for (connections_max, expected) in [(1, 2), (1024, 2), (4096, 5)] {
            let mut drain = Drain::new(connections_max, None);
            assert!(drain.wants_messages() && !drain.has_begun());
            drain.begin(None, SECOND);
            let mut iterations = 0;
            while drain.wants_messages() {
                drain.progress().await;
                // What arrives in between does not prolong it.
                drain.heard(100);
                iterations += 1;
            }
            assert_eq!(iterations, expected, "{connections_max}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_has_a_second_for_its_first_call() {
        let begun = Instant::now();
        let mut drain = Drain::new(1, Some(SECOND));
        while drain.wants_messages() {
            drain.progress().await;
        }
        assert_eq!(begun.elapsed(), SECOND);
        let begun = Instant::now();
        let mut drain = Drain::new(1, Some(SECOND));
        drain.heard(100);
        while drain.wants_messages() {
            drain.progress().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "it has sent one");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_called_a_moment_ago_may_call_again() {
        for (idle, expected) in [
            (Duration::ZERO, SECOND),
            (SECOND / 2, SECOND),
            (SECOND, Duration::ZERO),
        ] {
            let idle_since = Instant::now();
            tokio::time::advance(idle).await;
            let begun = Instant::now();
            let mut drain = Drain::new(1, None);
            drain.begin(Some(idle_since), SECOND);
            while drain.wants_messages() {
                drain.progress().await;
            }
            assert_eq!(begun.elapsed(), expected, "{idle:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_stops_sending_is_not_read_for_ever() {
        let mut drain = Drain::new(1, None);
        drain.heard(BYTES_MAX * 2);
        assert!(drain.wants_messages());
        drain.begin(None, SECOND);
        drain.heard(BYTES_MAX);
        assert!(!drain.wants_messages() && !drain.wants_rest());
    }
}
