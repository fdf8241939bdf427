//! The handles that a loop counts with, resolved when it starts and when a configuration is reloaded.
//!
//! [`LoopMetrics`] last as long as the loop; [`ProgramMetrics`] as long as calls of one configuration.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Counts, Gauge, Heart, Histogram, Metrics};
use crate::config::{Asks, Program};
use crate::error::Code;
use crate::timeline::{Fate, Source};

/// How often a loop looks at its timers.
const PULSE: Duration = Duration::from_millis(50);
/// How long the most is remembered at least.
const MOST_FOR: Duration = Duration::from_secs(30);
/// Methods that the service does not have: their names come from clients, so they are no label.
const NO_METHOD: &str = "_OTHER";
/// The backend of lookups that a program registers.
const CODE: &str = "code";

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
        /// `connections_max` were open.
        Refused "refused",
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
    unknown: Counts,
    lag: Histogram,
    lag_last: Gauge,
    lag_max: Gauge,
    metrics: Arc<Metrics>,
}

impl LoopMetrics {
    /// Those of the loop at `at`. To be called on the loop's own thread.
    pub fn new(metrics: &Arc<Metrics>, at: usize) -> Rc<Self> {
        let of = &metrics.families;
        let name = at.to_string();
        Rc::new(LoopMetrics {
            calls_in_flight: of.calls_in_flight.gauge(&[]),
            connections_open: of.connections_open.gauge(&[]),
            connections_accepted: of.connections_accepted.counts(&[]),
            received: of.received.counts(&[]),
            sent: of.sent.counts(&[]),
            accept_errors: of.accept_errors.counts(&[]),
            heart: metrics.health.heart(at),
            connections_closed: of.connections_closed.counts(&[]),
            wire_errors: of.wire_errors.counts(&[]),
            unknown: of.calls.counts(&[NO_METHOD]),
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

/// What one loop counts for one configuration.
#[derive(Debug)]
pub struct ProgramMetrics {
    /// The loop's.
    pub of_loop: Rc<LoopMetrics>,
    /// By the place of the backend in the configuration.
    pub backends: Vec<BackendMetrics>,
    /// Of blocking closures.
    pub blocking: Turns,
    /// By [`crate::view::Plan::index`].
    views: Vec<ViewMetrics>,
}

/// One method's.
#[derive(Debug)]
pub struct ViewMetrics {
    calls: Counts,
    duration: Histogram,
    planned: Counts,
    steps: Vec<StepMetrics>,
}

/// One lookup's of a view.
#[derive(Debug)]
pub struct StepMetrics {
    fates: Counts,
    sources: Counts,
    duration: Histogram,
}

/// One backend's.
#[derive(Debug)]
pub struct BackendMetrics {
    /// Lookups per batch.
    pub batches: Histogram,
    /// Of lookups that travel in batches.
    pub batched: Turns,
    /// Of lookups that travel alone.
    pub single: Turns,
}

/// Lookups that have their turn, and those that wait for it.
#[derive(Clone, Debug)]
pub struct Turns {
    /// On their way.
    pub in_flight: Gauge,
    /// Not yet.
    pub waiting: Gauge,
}

impl Turns {
    fn new(metrics: &Metrics, backend: &str) -> Self {
        Turns {
            in_flight: metrics.families.backend_in_flight.gauge(&[backend]),
            waiting: metrics.families.backend_waiting.gauge(&[backend]),
        }
    }

    /// Those that nobody scrapes.
    pub fn unscraped() -> Self {
        Turns::new(&LoopMetrics::unscraped().metrics, CODE)
    }
}

impl ProgramMetrics {
    /// Those of `program` on the loop that `of_loop` belongs to.
    pub fn new(of_loop: &Rc<LoopMetrics>, program: &Program) -> Rc<Self> {
        let metrics = &*of_loop.metrics;
        let backends = program.backends.iter().map(|backend| BackendMetrics {
            batches: metrics.families.batches.histogram(&[&backend.name]),
            batched: Turns::new(metrics, &backend.name),
            single: Turns::new(metrics, &backend.name),
        });
        let mut plans: Vec<_> = program.plans.values().collect();
        plans.sort_by_key(|plan| plan.index);
        let names = program.backends.iter().map(|backend| &*backend.name);
        let sources: Vec<Counts> = names
            .chain([CODE])
            .map(|backend| metrics.families.answers.counts(&[backend]))
            .collect();
        let durations: Vec<Histogram> = program
            .lookups
            .iter()
            .map(|lookup| {
                let backend = match &lookup.asks {
                    Asks::Store(at, _) => &*program.backends[*at].name,
                    Asks::Closure(_) => CODE,
                };
                let of = &metrics.families.lookup_duration;
                of.histogram(&[backend, &lookup.name])
            })
            .collect();
        let step = |method: &str, step: &crate::view::Step| StepMetrics {
            fates: metrics.families.lookups.counts(&[method, &step.name]),
            sources: match program.lookups[step.lookup.0].asks {
                Asks::Store(at, _) => sources[at].clone(),
                Asks::Closure(_) => sources[program.backends.len()].clone(),
            },
            duration: durations[step.lookup.0].clone(),
        };
        let view = |plan: &crate::view::Plan| ViewMetrics {
            calls: metrics.families.calls.counts(&[&plan.method]),
            duration: metrics.families.call_duration.histogram(&[&plan.method]),
            planned: metrics.families.planned.counts(&[&plan.method]),
            steps: plan.steps.iter().map(|of| step(&plan.method, of)).collect(),
        };
        Rc::new(ProgramMetrics {
            backends: backends.collect(),
            blocking: Turns::new(metrics, CODE),
            views: plans.into_iter().map(view).collect(),
            of_loop: Rc::clone(of_loop),
        })
    }

    /// Those of the plan at `index`.
    pub fn view(&self, index: usize) -> &ViewMetrics {
        &self.views[index]
    }

    /// A call that was refused before its view, if it has one, ran.
    pub fn refused(&self, index: Option<usize>, code: Code) {
        let calls = index.map_or(&self.of_loop.unknown, |index| &self.views[index].calls);
        calls.count(outcome(Err(code)));
    }
}

/// The places of `outcome`'s words.
fn outcome(ended: Result<(), Code>) -> usize {
    match ended {
        Ok(()) => 0,
        Err(code) => code as usize + 2,
    }
}

/// After `ok`.
const HUNG_UP: usize = 1;

impl ViewMetrics {
    /// A call has its reply or its exception.
    pub fn ended(&self, ended: Result<(), Code>, elapsed: Duration) {
        self.calls.count(outcome(ended));
        self.duration.observe_time(elapsed);
    }

    /// A call's client did not wait for its end.
    pub fn hung_up(&self) {
        self.calls.count(HUNG_UP);
    }

    /// A call begins all its lookups.
    pub fn planned(&self) {
        self.planned.add(0, self.steps.len());
    }

    /// The lookup at `step` has its fate, after `ran` on its way.
    pub fn settled(&self, step: usize, fate: Fate, source: Source, ran: Option<Duration>) {
        let step = &self.steps[step];
        step.fates.count(fate as usize);
        step.sources.count(source as usize);
        if let Some(ran) = ran {
            step.duration.observe_time(ran);
        }
    }
}

impl Metrics {
    /// Counts of reloads, for the one thread that reloads.
    pub fn reloads(&self) -> Counts {
        self.families.reloads.counts(&[])
    }
}
