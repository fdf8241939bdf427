//! Takes some of the calls that ended, for operators: for the admin port a sample of all, those that failed, and the
//! slowest of each method; for a collector of traces those that `Traced` picks; for the log those that `Lines` picks; and
//! a short entry of each for the access log.
//!
//! In: the timeline of a call, at its end. Out: [`RecordedCall`]s, and [`Gains`]: which lookups decided how long calls
//! took. A loop decides with a few comparisons whether to take a call ([`CallRecorder::wants`]). Only a call that is taken
//! costs more; then the loop takes a lock for a moment, unless a reader holds it: it never waits, but drops the call.
//!
//! Values, parameters and results, are kept and logged only if the configuration asks for them: the first bytes, as text.

mod values; // as text, if asked for
mod sampler; // at most so many per second
mod call;
mod gains;
mod kept;
mod about; // services and stores
mod outbox; // to another thread
mod traced; // for a collector
mod lines; // in the log
mod access; // to the access log

use std::cell::Cell;
use std::net::SocketAddr;
#[expect(
    clippy::disallowed_types,
    reason = "a loop never waits for it, and a reader holds it for microseconds"
)]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::context::{Parent, Trace};
use crate::plan::Plan;
use crate::program::Program;
use crate::random::Random;
use crate::timeline::{Micros, Timeline};
use kept::Kept;
use lines::Lines;
use sampler::Sampler;
use traced::Traced;

pub use about::{About, StoreAbout};
pub use access::AccessEntry;
pub use call::{Caller, Ending, FailedBy, Outcome, RecordedCall, Wanted};
pub use gains::{FASTER, Gain, Gains};
pub use kept::List;
pub use lines::is_for_people;
pub use outbox::{Dropped, Outbox, Tally};
pub use values::CallValues;

/// How many calls are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderLimits {
    /// Of the sample and of those that failed, each, per loop.
    pub kept: usize,
    /// How many each second, per loop.
    pub per_second: usize,
    /// With their parameters and results.
    pub values: bool,
}

/// The calls that all loops have kept.
#[derive(Debug)]
pub struct Recorder {
    limits: RecorderLimits,
    #[expect(
        clippy::disallowed_types,
        reason = "a loop never waits for it, and a reader holds it for microseconds"
    )]
    loops: Vec<Mutex<Kept>>,
}

impl Recorder {
    /// Keeps calls of `loops` loops.
    pub fn new(limits: RecorderLimits, loops: usize) -> Arc<Self> {
        let loops = (0..loops).map(|_| Kept::new(limits.kept).into());
        Arc::new(Recorder {
            limits,
            loops: loops.collect(),
        })
    }

    /// The calls on a list, newest first, or slowest first on that of the slowest.
    pub fn list(&self, list: List) -> Vec<Arc<RecordedCall>> {
        let mut calls = Vec::new();
        for kept in &self.loops {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.turn(Instant::now());
            kept.list(list, &mut calls);
        }
        match list {
            List::Slowest => calls.sort_by_key(|call| std::cmp::Reverse(call.took)),
            List::Recent | List::Failed => {
                calls.sort_by_key(|call| std::cmp::Reverse(call.started));
            }
        }
        calls
    }

    /// The call with this id, if it is still kept.
    pub fn find(&self, id: &str) -> Option<Arc<RecordedCall>> {
        [List::Recent, List::Failed, List::Slowest]
            .into_iter()
            .flat_map(|list| self.list(list))
            .find(|call| call.id() == *id)
    }

    /// What the sample of the last five to ten minutes says of each method, by its name.
    pub fn gains(&self) -> Vec<(Arc<str>, Gains)> {
        self.sum(Kept::recent_gains)
    }

    /// What all samples since the start say of each method, by its name.
    pub fn gains_ever(&self) -> Vec<(Arc<str>, Gains)> {
        self.sum(Kept::gains_ever)
    }

    fn sum(&self, of: impl Fn(&Kept) -> Vec<(Arc<str>, Gains)>) -> Vec<(Arc<str>, Gains)> {
        let mut sums: Vec<(Arc<str>, Gains)> = Vec::new();
        for kept in &self.loops {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.turn(Instant::now());
            for (method, gains) in of(&kept) {
                match sums.iter_mut().find(|(known, _)| *known == method) {
                    Some((_, sum)) => sum.add(&gains),
                    None => sums.push((method, gains)),
                }
            }
        }
        sums.sort_by(|(a, _), (b, _)| a.cmp(b));
        sums
    }
}

/// Where calls go that ended, besides the metrics.
#[derive(Clone, Debug, Default)]
pub struct Sinks {
    /// To the admin port.
    pub kept: Option<Arc<Recorder>>,
    /// To a collector of traces.
    pub traces: Option<Outbox<Arc<RecordedCall>>>,
    /// To the access log, each of them.
    pub access: Option<Outbox<AccessEntry>>,
    /// What became of the lines of the program's log, which has some calls too.
    pub log: Option<Arc<Tally>>,
}

/// What one loop knows of the calls of one program.
#[derive(Debug)]
pub struct CallRecorder {
    /// The number of the loop.
    at: usize,
    about: Arc<About>,
    keeping: Option<Keeping>,
    traced: Option<Traced>,
    lines: Option<Lines>,
    access: Option<Outbox<AccessEntry>>,
}

/// Which calls the admin port gets.
#[derive(Debug)]
struct Keeping {
    recorder: Arc<Recorder>,
    sampled: Sampler,
    failed: Sampler,
    /// By [`Plan::index`].
    methods: Vec<OfMethod>,
}

#[derive(Debug)]
struct OfMethod {
    /// One call per second is in the sample, even if others fill it.
    sampled: Sampler,
    /// The slowest calls took longer.
    slow: Cell<Micros>,
    /// Until then `slow` holds.
    until: Cell<Instant>,
}

impl CallRecorder {
    /// Keeps calls of a program with so many methods for the admin port, on the loop at `at`.
    pub fn new(recorder: &Arc<Recorder>, at: usize, methods: usize) -> Self {
        CallRecorder {
            at,
            about: Arc::default(),
            keeping: Some(Keeping::new(recorder, methods)),
            traced: None,
            lines: None,
            access: None,
        }
    }

    /// Takes calls of `program` for `sinks`, on the loop at `at`; `None` if there is nothing to take them for.
    pub fn of(sinks: &Sinks, at: usize, program: &Program) -> Option<Self> {
        let methods = program.plans().count();
        let keeping = sinks.kept.as_ref();
        let keeping = keeping.map(|kept| Keeping::new(kept, methods));
        let traces = sinks.traces.clone().zip(program.traces.as_ref());
        let traced = traces
            .map(|(outbox, config)| Traced::new(config.which, outbox, Random::from_process()));
        let lines = program.log.as_ref();
        let lines = lines.map(|log| Lines::new(log.lines, methods));
        let access = sinks.access.clone();
        let is_wanted = keeping.is_some() || traced.is_some() || lines.is_some();
        (is_wanted || access.is_some()).then(|| CallRecorder {
            at,
            about: Arc::new(About::of(program)),
            keeping,
            traced,
            lines,
            access,
        })
    }

    /// The place in a trace of a call that begins, if traces are recorded.
    #[inline]
    pub fn begin(&self, parent: impl FnOnce() -> Option<Parent>) -> Option<Arc<Trace>> {
        let traced = self.traced.as_ref()?;
        Some(Arc::new(traced.begin(parent())))
    }

    /// The access log gets what `entry` makes, if there is one.
    #[inline]
    pub fn access(&self, entry: impl FnOnce() -> AccessEntry) {
        if let Some(access) = &self.access {
            access.put(entry());
        }
    }

    /// Whether to take a call of `plan`.
    pub fn wants(&self, plan: &Plan, ending: Ending<'_>) -> Option<Wanted> {
        let keeping = self.keeping.as_ref();
        let mut wanted = keeping.map_or(Wanted::default(), |keeping| keeping.wants(plan, ending));
        if let (Some(traced), Some(trace)) = (&self.traced, ending.trace) {
            wanted.traced = traced.wants(trace, ending);
        }
        if let Some(lines) = &self.lines {
            wanted.logged = lines.wants(ending);
        }
        wanted.is_any().then_some(wanted)
    }

    /// Whether somebody who wants a call wants its values too.
    pub fn takes_values(&self, wanted: Wanted) -> bool {
        let keeping = self.keeping.as_ref();
        let kept = keeping.is_some_and(|keeping| keeping.recorder.limits.values);
        let logged = self.lines.as_ref().is_some_and(Lines::has_values);
        (kept && wanted.is_kept()) || (logged && wanted.logged)
    }

    /// Takes a call of `plan`. Returns its id if someone waits to look at it and it is kept.
    #[cold]
    pub fn keep(&self, plan: &Plan, wanted: Wanted, ended: Ended) -> Option<String> {
        let keeping = self.keeping.as_ref().filter(|_| wanted.is_kept());
        let mut kept = keeping.and_then(|keeping| keeping.recorder.loops[self.at].try_lock().ok());
        let shows = keeping.is_some_and(|keeping| keeping.recorder.limits.values);
        let values = ended.values;
        let call = Arc::new(RecordedCall {
            of_loop: self.at,
            number: kept.as_mut().map_or(0, |kept| kept.next_number()),
            method: Arc::clone(&plan.label),
            called: Arc::clone(&plan.method),
            service: plan.service,
            about: Arc::clone(&self.about),
            outcome: ended.outcome,
            caller: ended.caller,
            peer: ended.peer,
            request_id: ended.request_id,
            trace: ended.trace,
            started: SystemTime::now().checked_sub(ended.took),
            took: ended.took.into(),
            timeline: ended.timeline,
            values: values.clone().filter(|_| shows),
        });
        if let (true, Some(traced)) = (wanted.traced, &self.traced) {
            traced.put(Arc::clone(&call));
        }
        if let (true, Some(lines)) = (wanted.logged, &self.lines) {
            lines.write(plan.index, &call, (ended.why.as_deref(), values.as_ref()));
        }
        let (keeping, kept) = (keeping?, kept.as_mut()?);
        let id = wanted.watched.then(|| call.id());
        let (slow, until) = kept.keep(call, wanted, Instant::now());
        let method = &keeping.methods[plan.index];
        method.slow.set(slow);
        method.until.set(until);
        id
    }
}

impl Keeping {
    fn new(recorder: &Arc<Recorder>, methods: usize) -> Self {
        let per_second = recorder.limits.per_second;
        let method = || OfMethod {
            sampled: Sampler::new(1),
            slow: Cell::new(Micros::ZERO),
            until: Cell::new(Instant::now()),
        };
        Keeping {
            recorder: Arc::clone(recorder),
            sampled: Sampler::new(per_second),
            failed: Sampler::new(per_second),
            methods: (0..methods).map(|_| method()).collect(),
        }
    }

    fn wants(&self, plan: &Plan, ending: Ending<'_>) -> Wanted {
        let method = &self.methods[plan.index];
        let now = ending.at();
        Wanted {
            sampled: self.sampled.takes(now) || method.sampled.takes(now),
            failed: ending.failed && self.failed.takes(now),
            slow: ending.took > method.slow.get() || now >= method.until.get(),
            watched: ending.watched,
            ..Wanted::default()
        }
    }
}

/// How a call ended that is taken.
#[derive(Debug)]
pub struct Ended {
    /// What its client got.
    pub outcome: Outcome,
    /// Who called.
    pub caller: Caller,
    /// The other end of its connection; `None` for a process on this machine.
    pub peer: Option<SocketAddr>,
    /// Its id, if it has one.
    pub request_id: Option<Arc<str>>,
    /// Its place in a trace, if traces are recorded.
    pub trace: Option<Trace>,
    /// From its last byte to its reply.
    pub took: Duration,
    /// What happened when; without lookups if its view did not run.
    pub timeline: Timeline,
    /// Why it failed, if the log is to say so.
    pub why: Option<Box<FailedBy>>,
    /// Its parameters and its result, if somebody asked for them.
    pub values: Option<CallValues>,
}

#[cfg(test)]
mod tests;
