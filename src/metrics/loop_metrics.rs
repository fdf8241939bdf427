//! The handles of one loop, whatever its configuration: connections, bytes, and how late the loop is.
//!
//! They last as long as the loop, and are made on its thread: a handle never leaves it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Counts, Gauge, Health, Heart, Histogram, Metrics};
use crate::error::Code;

/// How often a loop looks at its timers.
const PULSE: Duration = Duration::from_millis(50);
/// How long the most is remembered at least.
const MOST_FOR: Duration = Duration::from_secs(30);
/// Methods that the service does not have: their names come from clients, so they are no label.
const NO_METHOD: &str = "_OTHER";
/// Methods of the `Tributary` service, which the operator's may have namesakes of.
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
        /// What came can't be read.
        BadBytes "bad_bytes",
        /// It was silent for too long.
        Idle "idle",
        /// Its client did not send or take bytes in time.
        TooSlow "too_slow",
        /// Its client did not get through the TLS handshake.
        Handshake "handshake",
        /// `connections_max` were open.
        Refused "refused",
        /// There was no room for the rest of its message.
        Overloaded "overloaded",
    }
}

words! {
    /// What became of a reload.
    Reloaded {
        /// The new configuration is served.
        Ok "ok",
        /// It has problems; the old one goes on.
        Refused "refused",
    }
}

/// What one loop counts, whatever its configuration.
#[derive(Debug)]
pub struct LoopMetrics {
    /// Calls without their reply.
    pub calls_in_flight: Gauge,
    /// Connections of clients.
    pub connections_open: Gauge,
    /// Bytes that clients take up.
    pub buffered_bytes: Gauge,
    /// Connections that are not read until there is room.
    pub reads_held: Counts,
    /// Connections taken from the port.
    pub connections_accepted: Counts,
    /// Bytes read.
    pub received: Counts,
    /// Bytes written.
    pub sent: Counts,
    /// Failed accepts.
    pub accept_errors: Counts,
    /// The loop's heartbeat.
    pub heart: Heart,
    connections_closed: Counts,
    wire_errors: Counts,
    /// Calls of methods that there are not.
    pub(super) unknown: Counts,
    /// Calls of the `Tributary` service.
    pub(super) meta: Counts,
    lag: Histogram,
    lag_last: Gauge,
    lag_max: Gauge,
    pub(super) metrics: Arc<Metrics>,
}

impl LoopMetrics {
    /// Those of the loop at `at`. To be called on the loop's own thread.
    pub fn new(metrics: &Arc<Metrics>, at: usize) -> Rc<Self> {
        let of = &metrics.families;
        let name = at.to_string();
        Rc::new(LoopMetrics {
            calls_in_flight: of.calls_in_flight.gauge(&[]),
            connections_open: of.connections_open.gauge(&[]),
            buffered_bytes: of.buffered_bytes.gauge(&[]),
            reads_held: of.reads_held.counts(&[]),
            connections_accepted: of.connections_accepted.counts(&[]),
            received: of.received.counts(&[]),
            sent: of.sent.counts(&[]),
            accept_errors: of.accept_errors.counts(&[]),
            heart: metrics.health.heart(at),
            connections_closed: of.connections_closed.counts(&[]),
            wire_errors: of.wire_errors.counts(&[]),
            unknown: of.calls.counts(&[NO_METHOD]),
            meta: of.calls.counts(&[META]),
            lag: of.loop_lag.histogram(&[&name]),
            lag_last: of.loop_lag_last.gauge(&[&name]),
            lag_max: of.loop_lag_max.gauge(&[&name]),
            metrics: Arc::clone(metrics),
        })
    }

    /// Those of a loop that nobody scrapes.
    pub fn unscraped() -> Rc<Self> {
        LoopMetrics::new(&Metrics::new(1, CancellationToken::new()), 0)
    }

    /// A connection ended.
    pub fn closed(&self, why: Closed) {
        self.connections_closed.count(why as usize);
    }

    /// A client's bytes, or their absence, ended its connection.
    pub fn wire_error(&self, code: Code) {
        self.wire_errors.count(code as usize);
    }

    /// How the loops are.
    pub fn health(&self) -> &Health {
        self.metrics.health()
    }

    /// How late the loop's last timer was, and the most of the last half minute or so.
    pub fn lag(&self) -> [Duration; 2] {
        [&self.lag_last, &self.lag_max].map(|lag| Duration::from_nanos(lag.get() as u64))
    }

    /// Beats, and notes how late each beat is, for as long as it is polled.
    pub async fn pulse(self: Rc<Self>) {
        let (mut most, mut most_before) = (Duration::ZERO, Duration::ZERO);
        let mut since = Instant::now();
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
            self.lag.observe_time(late);
            self.lag_last.set_time(late);
            self.lag_max.set_time(most.max(most_before));
        }
    }
}

impl Metrics {
    /// Counts of reloads, for the one thread that reloads.
    pub fn reloads(&self) -> Counts {
        self.families.reloads.counts(&[])
    }
}
