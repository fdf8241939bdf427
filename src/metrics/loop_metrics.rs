//! Holds the metrics of one loop, whatever its configuration: connections, bytes, and the lag of the loop.
//!
//! They live as long as the loop. They are made on its thread, and a handle never leaves it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Counts, Gauge, Health, Heartbeat, Histogram, Metrics};
use crate::error::Code;
use crate::program::Program;
use crate::recorder::CallRecorder;

/// How often a loop measures its lag.
const PULSE: Duration = Duration::from_millis(50);
/// A loop that works for this share of the time is busy.
const BUSY: f64 = 0.9;
/// How long the largest lag is remembered at least.
const MOST_FOR: Duration = Duration::from_secs(30);
/// The label of unknown methods: their names come from clients, so they can't be labels.
const NO_METHOD: &str = "_OTHER";
/// The label of methods of the `Tributary` service. The operator's methods may have the same names.
const META: &str = "_TRIBUTARY";

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            pub(super) fn words() -> Vec<(&'static str, bool)> {
                vec![$(($word, true),)*]
            }

            /// The word of the metrics.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// Why a connection ended.
    Closed {
        /// Its client closed it.
        HungUp "hung_up",
        /// The server stops.
        Drained "drained",
        /// The network failed.
        Lost "lost",
        /// Its bytes are not valid.
        BadBytes "bad_bytes",
        /// It was idle for too long.
        Idle "idle",
        /// It was older than `connection_age_max`, or made `connection_calls_max` calls.
        Aged "aged",
        /// Its client was too slow to send or receive.
        TooSlow "too_slow",
        /// The TLS handshake failed.
        Handshake "handshake",
        /// `connections_max` were open.
        Refused "refused",
        /// There was no memory left for the rest of its message.
        Overloaded "overloaded",
    }
}

words! {
    /// The outcome of a reload.
    Reloaded {
        /// The new configuration is served.
        Ok "ok",
        /// It has problems; the old one stays in use.
        Refused "refused",
    }
}

words! {
    /// Why a call ended in `server.overloaded`.
    Overloaded {
        /// `calls_max`: too many calls are in flight.
        CallsMax "calls_max",
        /// Its lookups would have waited too long.
        Waiting "waiting",
        /// The loop has more work than it can do.
        Loop "loop",
        /// Clients hold too much memory.
        Memory "memory",
    }
}

words! {
    /// What became of a call whose caller has limits.
    OfCaller {
        /// It was within them.
        Admitted "admitted",
        /// Refused: too many calls in a time.
        Rate "rate",
        /// Refused: too many calls in flight.
        Share "share",
        /// Admitted although there were too many calls in a time.
        MeasuredRate "measured_rate",
        /// Admitted although there were too many calls in flight.
        MeasuredShare "measured_share",
    }
}

/// A beat of a loop, and what the loop was like since the last one.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// How late it came: as long as the loop takes once around all its tasks that are ready.
    pub late: Duration,
    /// The time since the last one.
    pub elapsed: Duration,
    /// The part of it in which the loop did not wait for sockets or timers.
    pub busy: f64,
    /// Nearly all of it.
    pub is_busy: bool,
    /// How long the loop had work but did not run: others had its processor, or it waited for a disk.
    pub kept_waiting: Duration,
    /// When the next one is due.
    pub next: Instant,
}

/// The metrics of one loop, whatever its configuration.
#[derive(Debug)]
pub struct LoopMetrics {
    /// Calls that have no reply yet.
    pub calls_in_flight: Gauge,
    /// Open connections of clients.
    pub connections_open: Gauge,
    /// Memory held for clients, in bytes.
    pub buffered_bytes: Gauge,
    /// Times that reading from a connection was paused.
    pub reads_held: Counts,
    /// Bytes read.
    pub received: Counts,
    /// Bytes written.
    pub sent: Counts,
    /// The loop's heartbeat.
    pub heart: Heartbeat,
    calls_overloaded: Counts,
    overload_measured: Counts,
    connections_closed: Counts,
    wire_errors: Counts,
    /// Calls to unknown methods.
    pub(super) unknown: Counts,
    /// Calls to the `Tributary` service.
    pub(super) meta: Counts,
    lag: Histogram,
    lag_last: Gauge,
    lag_max: Gauge,
    busy: Counts,
    /// Since the last beat but one, the loop has done nothing but work.
    is_busy: Cell<bool>,
    /// The time of the drain is over.
    drain_is_over: Cell<bool>,
    /// The number of the loop.
    at: usize,
    pub(super) metrics: Arc<Metrics>,
}

impl LoopMetrics {
    /// The metrics of the loop at `at`. Call this on the loop's own thread.
    pub fn new(metrics: &Arc<Metrics>, at: usize) -> Rc<Self> {
        let of = &metrics.families;
        let name = at.to_string();
        Rc::new(LoopMetrics {
            calls_in_flight: of.calls_in_flight.gauge(&[]),
            connections_open: of.connections_open.gauge(&[]),
            buffered_bytes: of.buffered_bytes.gauge(&[]),
            reads_held: of.reads_held.counts(&[]),
            received: of.received.counts(&[]),
            sent: of.sent.counts(&[]),
            heart: metrics.health.heart(at),
            calls_overloaded: of.calls_overloaded.counts(&[]),
            overload_measured: of.overload_measured.counts(&[]),
            connections_closed: of.connections_closed.counts(&[]),
            wire_errors: of.wire_errors.counts(&[]),
            unknown: of.calls.counts(&[NO_METHOD]),
            meta: of.calls.counts(&[META]),
            lag: of.loop_lag.histogram(&[&name]),
            lag_last: of.loop_lag_last.gauge(&[&name]),
            lag_max: of.loop_lag_max.gauge(&[&name]),
            busy: of.loop_busy.counts(&[&name]),
            is_busy: Cell::new(false),
            drain_is_over: Cell::new(false),
            at,
            metrics: Arc::clone(metrics),
        })
    }

    /// Metrics that no scrape shows.
    pub fn unscraped() -> Rc<Self> {
        LoopMetrics::new(&Metrics::new(1, CancellationToken::new()), 0)
    }

    /// Counts a connection that was closed.
    pub fn closed(&self, why: Closed) {
        self.connections_closed.count(why as usize);
    }

    /// Counts a call that ended in `server.overloaded`.
    pub fn overloaded(&self, why: Overloaded) {
        self.calls_overloaded.count(why as usize);
    }

    /// Counts a call that was admitted although the loop has more work than it can do.
    pub fn measured_overload(&self) {
        self.overload_measured.count_one();
    }

    /// Counts a connection that was closed because of invalid or missing bytes.
    pub fn wire_error(&self, code: Code) {
        self.wire_errors.count(code as usize);
    }

    /// The health of the loops.
    pub fn health(&self) -> &Health {
        self.metrics.health()
    }

    /// What takes calls of `program` that ended, if anybody wants them.
    pub fn recorder(&self, program: &Program) -> Option<CallRecorder> {
        CallRecorder::of(&self.metrics.sinks, self.at, program)
    }

    /// The lag of the loop's last timer, and the largest of the last 30 to 60 seconds.
    pub fn lag(&self) -> [Duration; 2] {
        [&self.lag_last, &self.lag_max].map(|lag| Duration::from_nanos(lag.get() as u64))
    }

    /// Whether the loop had nearly no time left when it was last measured, twenty times a second.
    pub fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    /// The time of the drain is over: calls that still run have to end.
    pub fn end_drain(&self) {
        self.drain_is_over.set(true);
    }

    /// Whether calls that still run have to end.
    pub fn drain_is_over(&self) -> bool {
        self.drain_is_over.get()
    }

    /// Beats, and records how late each beat is, for as long as it is polled. `beats` hears of each.
    pub async fn pulse(self: Rc<Self>, beats: impl Fn(&Beat)) {
        let (mut most, mut most_before) = (Duration::ZERO, Duration::ZERO);
        let mut since = Instant::now();
        let mut worked = (since, worked());
        let mut ran = processor_time();
        loop {
            let due = Instant::now() + PULSE;
            sleep_until(due).await;
            let now = Instant::now();
            let late = now.saturating_duration_since(due);
            if now.saturating_duration_since(since) >= MOST_FOR {
                (most_before, most, since) = (most, Duration::ZERO, now);
            }
            most = most.max(late);
            self.heart.beat();
            let before = std::mem::replace(&mut worked, (now, self::worked()));
            let busy = worked.1.saturating_sub(before.1);
            self.busy.add_time(busy);
            let ran_before = std::mem::replace(&mut ran, processor_time());
            let kept_waiting = busy.saturating_sub(ran.saturating_sub(ran_before));
            let elapsed = now.duration_since(before.0);
            let busy = busy.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
            let is_busy = busy >= BUSY;
            self.is_busy.set(is_busy);
            beats(&Beat {
                late,
                elapsed,
                busy,
                is_busy,
                kept_waiting,
                next: now + PULSE,
            });
            self.lag.observe_time(late);
            self.lag_last.set_time(late);
            self.lag_max.set_time(most.max(most_before));
        }
    }
}

/// The processor time of this thread.
pub fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// How long this loop has been working since it began. The time in which it waits for sockets and timers does not count.
fn worked() -> Duration {
    Handle::current().metrics().worker_total_busy_duration(0)
}

impl Metrics {
    /// The counts of reloads, for the thread that reloads.
    pub fn reloads(&self) -> Counts {
        self.families.reloads.counts(&[])
    }
}
