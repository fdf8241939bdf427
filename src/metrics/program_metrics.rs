//! Holds the metrics of one configuration on one loop: its methods, their lookups, its backends.
//!
//! The handles are resolved when the configuration is loaded, by the indices that plans use, so that a call looks nothing
//! up by label. Two configurations that use the same names count into the same series.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::activity::{Doing, Phase};
use super::breaker_metrics::BreakerMetrics;
use super::fallback_metrics::{FallbackMetrics, FallbackOutcome};
use super::{CacheMetrics, Counts, Gauge, Histogram, LoopMetrics, Metrics, Overloaded};
use crate::backend::{Board, Cancels, Changes, OpenConnections, StoreMemory, TableReloads};
use crate::config::GuardMode;
use crate::error::Code;
use crate::plan::{LookupId, Plan, Step};
use crate::program::{Asks, Program};
use crate::timeline::{Fate, Micros, Source};

/// The backend label of lookups that a program registers.
const CODE: &str = "code";

/// The metrics of one configuration on one loop.
#[derive(Debug)]
pub struct ProgramMetrics {
    /// The metrics of the loop itself.
    pub loop_metrics: Rc<LoopMetrics>,
    doing: Doing,
    /// By the index of the backend in the configuration.
    pub backends: Vec<BackendMetrics>,
    /// By the index of the caller in the configuration.
    pub callers: Vec<Counts>,
    /// By [`LookupId`]; none for lookups that share nothing.
    pub caches: Vec<Option<CacheMetrics>>,
    /// The load of blocking closures.
    pub blocking: Load,
    /// By [`Plan::index`].
    views: Vec<ViewMetrics>,
}

/// How a call ended that got the reply of its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// With everything.
    Whole,
    /// A lookup failed.
    Partial,
}

/// The metrics of one method.
#[derive(Debug)]
pub struct ViewMetrics {
    calls: Counts,
    duration: Histogram,
    own: Counts,
    planned: Counts,
    steps: Vec<StepMetrics>,
    /// How long the last lookup ran, and the bucket of that: the lookups of one batch run equally long.
    last_ran: Cell<(Micros, usize)>,
    /// Of a view that has a brownout: its quality, and the lookups that it leaves out.
    pub brownout: Option<(Gauge, Counts)>,
}

/// The metrics of one lookup of a view.
#[derive(Debug)]
pub struct StepMetrics {
    fates: Counts,
    failures: Counts,
    sources: Counts,
    duration: Histogram,
    /// What is asked instead if it fails.
    fallbacks: Vec<FallbackMetrics>,
}

/// The metrics of one backend.
#[derive(Debug)]
pub struct BackendMetrics {
    /// Lookups per batch.
    pub batches: Histogram,
    /// The load of lookups that travel in batches.
    pub batched: Load,
    /// The load of lookups that travel alone.
    pub single: Load,
    /// 1 if it answers, otherwise 0.
    pub up: Gauge,
    /// What its breaker does, if it has one.
    pub breaker: Option<BreakerMetrics>,
}

/// How many lookups a store has at the moment, and how many wait.
#[derive(Clone, Debug)]
pub struct Load {
    /// Lookups under way.
    pub in_flight: Gauge,
    /// Lookups that wait for a permit or a batch.
    pub waiting: Gauge,
}

impl Load {
    fn new(metrics: &Metrics, backend: &str) -> Self {
        Load {
            in_flight: metrics.families.backend_in_flight.gauge(&[backend]),
            waiting: metrics.families.backend_waiting.gauge(&[backend]),
        }
    }

    /// A load that no scrape shows.
    pub fn unscraped() -> Self {
        Load::new(&LoopMetrics::unscraped().metrics, CODE)
    }
}

/// What the lookups of all views count into.
struct OfLookups<'p> {
    program: &'p Program,
    /// By the index of the backend; that of closures is last.
    sources: Vec<Counts>,
    /// By [`LookupId`].
    durations: Vec<Histogram>,
}

impl OfLookups<'_> {
    fn source(&self, step: &Step) -> Counts {
        match self.program.lookups[step.lookup.0].asks {
            Asks::Store(at, _) => self.sources[at].clone(),
            Asks::Closure(_) => self.sources[self.program.backends.len()].clone(),
        }
    }

    fn duration(&self, step: &Step) -> Histogram {
        self.durations[step.lookup.0].clone()
    }
}

impl Metrics {
    /// Those of a lookup of a view, and of what is asked instead of it.
    fn step(&self, (method, step): (&str, &Step), of: &OfLookups<'_>) -> StepMetrics {
        let families = &self.families;
        let fallbacks = step.attempts().skip(1).map(|fallback| FallbackMetrics {
            outcomes: families
                .fallbacks
                .counts(&[method, &step.name, &fallback.name]),
            sources: of.source(fallback),
            duration: of.duration(fallback),
        });
        StepMetrics {
            fates: families.lookups.counts(&[method, &step.name]),
            failures: families.failures.counts(&[method, &step.name]),
            sources: of.source(step),
            duration: of.duration(step),
            fallbacks: fallbacks.collect(),
        }
    }

    /// The quality of a view, and the lookups that it leaves out.
    fn brownout(&self, label: &str) -> (Gauge, Counts) {
        let of = &self.families;
        (
            of.brownout_quality.gauge(&[label]),
            of.brownout_lookups.counts(&[label]),
        )
    }
}

impl ProgramMetrics {
    /// Those of `program` on the loop that `loop_metrics` belongs to.
    pub fn new(loop_metrics: &Rc<LoopMetrics>, program: &Program) -> Rc<Self> {
        let metrics = &*loop_metrics.metrics;
        let backends = program.backends.iter().map(|backend| BackendMetrics {
            batches: metrics.families.batches.histogram(&[&backend.name]),
            batched: Load::new(metrics, &backend.name),
            single: Load::new(metrics, &backend.name),
            up: metrics.families.backend_up.gauge(&[&backend.name]),
            breaker: (backend.breaker.mode != GuardMode::Off)
                .then(|| BreakerMetrics::new(metrics, &backend.name)),
        });
        let caches = program.lookups.iter().map(|lookup| {
            let is_shared = lookup.sharing.is_any();
            let keeps = lookup.sharing.cache.is_some();
            is_shared.then(|| CacheMetrics::new(&metrics.families, &lookup.name, keeps))
        });
        let mut plans: Vec<_> = program.plans().collect();
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
        let of_lookups = OfLookups {
            program,
            sources,
            durations,
        };
        let step = |method: &str, of: &Step| metrics.step((method, of), &of_lookups);
        let view = |plan: &Arc<Plan>| ViewMetrics {
            calls: metrics.families.calls.counts(&[&plan.label]),
            duration: metrics.families.call_duration.histogram(&[&plan.label]),
            own: metrics.families.call_own.counts(&[&plan.label]),
            planned: metrics.families.planned.counts(&[&plan.label]),
            steps: plan.steps.iter().map(|of| step(&plan.label, of)).collect(),
            last_ran: Cell::default(),
            brownout: plan.brownout.map(|_| metrics.brownout(&plan.label)),
        };
        Rc::new(ProgramMetrics {
            doing: loop_metrics.heart.activity().names_of(program),
            backends: backends.collect(),
            callers: {
                let of = &metrics.families.caller_calls;
                program
                    .callers
                    .iter()
                    .map(|caller| of.counts(&[caller.label()]))
                    .collect()
            },
            caches: caches.collect(),
            blocking: Load::new(metrics, CODE),
            views: plans.into_iter().map(view).collect(),
            loop_metrics: Rc::clone(loop_metrics),
        })
    }

    /// The loop turns to work for the method of the plan at `index`, and for one of its lookups where that is asked.
    #[inline]
    pub fn turn_to(&self, phase: Phase, index: usize, step: usize) {
        self.doing.set(phase, index, step);
    }

    /// The loop turns away from its calls.
    #[inline]
    pub fn turn_away(&self) {
        self.doing.none();
    }

    /// The loop turns to a batch, of which this is one of the lookups.
    #[inline]
    pub fn turn_to_batch(&self, lookup: LookupId) {
        self.doing.set(Phase::Batch, 0, lookup.0);
    }

    /// The metrics of the plan at `index`.
    pub fn view(&self, index: usize) -> &ViewMetrics {
        &self.views[index]
    }

    /// Shows what a backend says about answers that are no longer right.
    pub fn show_changes(&self, backend: &str, changes: &Changes) {
        let of = &self.loop_metrics.metrics.families;
        of.invalidations.adopt(&[backend], changes.counts());
        of.changes_heard.adopt(&[backend], changes.heard());
    }

    /// Shows the requests of a backend to stop a statement.
    pub fn show_cancels(&self, backend: &str, cancels: &Cancels) {
        let of = &self.loop_metrics.metrics.families.cancels;
        of.adopt(&[backend], cancels.counts());
    }

    /// Shows how many connections a backend has on this loop.
    pub fn show_open_connections(&self, backend: &str, open: &OpenConnections) {
        let of = &self.loop_metrics.metrics.families.open_connections;
        of.adopt(&[backend], open.counts());
    }

    /// Shows the memory that the answers of this loop's stores take.
    pub fn show_memory(&self, memory: &StoreMemory) {
        let of = &self.loop_metrics.metrics.families;
        let [bytes, refused] = memory.counts();
        of.store_bytes.adopt(&[], bytes);
        of.store_bytes_refused.adopt(&[], refused);
    }

    /// Shows the counts of a backend's endpoints.
    pub fn show_endpoints(&self, backend: &str, board: &Board) {
        self.loop_metrics.metrics.endpoints.show(backend, board);
    }

    /// Shows what became of a watched file that changed.
    pub fn show_table_reloads(&self, backend: &str, reloads: &TableReloads) {
        let of = &self.loop_metrics.metrics.families.table_reloads;
        of.adopt(&[backend], reloads.counts());
    }

    /// Counts a call of the `Tributary` service that has ended.
    pub fn meta(&self, ended: Result<(), Code>) {
        let ended = ended.map(|()| Served::Whole);
        self.loop_metrics.meta.count(outcome(ended));
    }

    /// Counts a call that was refused before its view ran.
    pub fn refused(&self, index: Option<usize>, code: Code) {
        let calls = index.map_or(&self.loop_metrics.unknown, |index| &self.views[index].calls);
        calls.count(outcome(Err(code)));
    }
}

/// Calls since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// All that ended, without those beyond their callers' limits.
    pub calls: u64,
    /// Those of them that were refused because the server was overloaded.
    pub refused: u64,
}

impl Metrics {
    /// The calls that have ended so far, and those of them that the server refused because it had too much to do. Calls
    /// that a caller made beyond its own limits are not among them.
    pub fn refusals(&self) -> Refusals {
        let reasons = self.families.calls_overloaded.totals();
        let of_server = [Overloaded::CallsMax, Overloaded::Waiting, Overloaded::Loop];
        let refused = of_server.map(|reason| reasons.get(reason as usize).copied());
        let outcomes = self.families.calls.totals();
        let limited = outcome(Err(Code::CallRateLimited));
        let limited = outcomes.get(limited).copied().unwrap_or_default();
        Refusals {
            calls: outcomes.iter().sum::<u64>().saturating_sub(limited),
            refused: refused.into_iter().flatten().sum(),
        }
    }
}

/// The index of an outcome among the values of its label.
pub(super) fn outcome(ended: Result<Served, Code>) -> usize {
    match ended {
        Ok(served) => served as usize,
        Err(code) => code as usize + HUNG_UP + 1,
    }
}

/// Before it come those of [`Served`], after it the codes.
const HUNG_UP: usize = 2;

impl ViewMetrics {
    /// Counts a call that has its reply or its exception.
    pub fn ended(&self, ended: Result<Served, Code>, elapsed: Duration) {
        self.calls.count(outcome(ended));
        self.duration.observe_time(elapsed);
    }

    /// Counts the time that a call took without its lookups.
    pub fn took_itself(&self, own: Duration) {
        self.own.add_time(own);
    }

    /// Counts a call whose client disconnected before its end.
    pub fn hung_up(&self) {
        self.calls.count(HUNG_UP);
    }

    /// Counts the lookups of a call that starts.
    pub fn planned(&self) {
        self.planned.add(0, self.steps.len());
    }

    /// Counts the failure of the lookup at `step`, whether or not a default is used instead.
    #[cold]
    pub fn failed(&self, step: usize, code: Code) {
        self.steps[step].failures.count(code as usize);
    }

    /// Counts the fate of the lookup at `step`, which ran for `ran`.
    pub fn settled(&self, step: usize, fate: Fate, source: Source, ran: Option<Micros>) {
        let step = &self.steps[step];
        step.fates.count(fate as usize);
        step.sources.count(source as usize);
        if let Some(ran) = ran {
            let nanoseconds = ran.get().saturating_mul(1000);
            let (last, mut bucket) = self.last_ran.get();
            if ran != last {
                bucket = step.duration.bucket_of(nanoseconds);
                self.last_ran.set((ran, bucket));
            }
            step.duration.observe_in(bucket, nanoseconds);
        }
    }
}

impl ViewMetrics {
    /// Counts the end of what was asked for the lookup at `step`, since another one is asked instead now: of the lookup itself,
    /// or of the fallback `before`.
    pub fn fell_back(&self, step: usize, before: Option<u8>, source: Source, ran: Option<Micros>) {
        let step = &self.steps[step];
        match before {
            Some(nth) => {
                if let Some(of) = step.fallbacks.get(usize::from(nth)) {
                    of.ended(FallbackOutcome::Failed, source, ran.unwrap_or(Micros::ZERO));
                }
            }
            None => {
                step.sources.count(source as usize);
                if let Some(ran) = ran {
                    step.duration.observe_time(ran.into());
                }
            }
        }
    }

    /// Counts the fate of the lookup at `step` that its fallback `nth` gave it, which ran for `ran`.
    pub fn settled_by(
        &self,
        (step, nth): (usize, u8),
        (fate, code): (Fate, Option<Code>),
        source: Source,
        ran: Micros,
    ) {
        let step = &self.steps[step];
        step.fates.count(fate as usize);
        let outcome = match (fate, code) {
            (Fate::Ok, _) => FallbackOutcome::Answered,
            (Fate::Empty, _) | (Fate::Default, None) => FallbackOutcome::Empty,
            (Fate::Cancelled, _) => FallbackOutcome::Cancelled,
            _ => FallbackOutcome::Failed,
        };
        if let Some(of) = step.fallbacks.get(usize::from(nth)) {
            of.ended(outcome, source, ran);
        }
    }

    /// Counts a fallback whose call was dropped.
    pub fn fallback_cancelled(&self, step: usize, nth: u8) {
        if let Some(of) = self.steps[step].fallbacks.get(usize::from(nth)) {
            of.outcomes.count(FallbackOutcome::Cancelled as usize);
        }
    }
}
