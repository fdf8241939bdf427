//! The calls that one loop has kept.
//!
//! Two rings hold the last calls of the sample and the last that failed. The slowest calls and the gains of each method are
//! kept in two periods: the present one and the one before, so that they are neither of a second nor of last week.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::call::{Outcome, RecordedCall, Wanted};
use super::gains::Gains;
use crate::timeline::Micros;

/// How many of the slowest calls are kept per method and period.
const SLOWEST: usize = 4;
const PERIOD: Duration = Duration::from_mins(5);

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// The last ones of the sample.
    Recent,
    /// The last ones that failed or whose reply is partial.
    Failed,
    /// The slowest ones of each method in the last five to ten minutes.
    Slowest,
}

/// What is kept of one loop.
#[derive(Debug)]
pub(super) struct Kept {
    sequence: u64,
    max: usize,
    recent: VecDeque<Arc<RecordedCall>>,
    failed: VecDeque<Arc<RecordedCall>>,
    methods: HashMap<Arc<str>, OfMethod>,
    /// The end of the present period.
    until: Instant,
}

/// What is kept of one method.
#[derive(Debug, Default)]
struct OfMethod {
    /// The present period and the one before. The slowest call is first.
    slowest: [Vec<Arc<RecordedCall>>; 2],
    gains: [Gains; 2],
    ever: Gains,
}

impl Kept {
    pub(super) fn new(max: usize) -> Self {
        Kept {
            sequence: 0,
            max,
            recent: VecDeque::new(),
            failed: VecDeque::new(),
            methods: HashMap::new(),
            until: Instant::now() + PERIOD,
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Keeps a call. Returns how long a call of its method has to take to be one of the slowest, and until when.
    pub(super) fn keep(
        &mut self,
        call: Arc<RecordedCall>,
        wanted: Wanted,
        now: Instant,
    ) -> (Micros, Instant) {
        self.turn(now);
        if wanted.sampled || wanted.watched {
            push(&mut self.recent, &call, self.max);
        }
        if wanted.failed {
            push(&mut self.failed, &call, self.max);
        }
        let method = self.methods.entry(Arc::clone(&call.method)).or_default();
        if wanted.sampled && matches!(call.outcome, Outcome::Ok | Outcome::Partial) {
            method.gains[0].observe(&call.timeline, call.took);
            method.ever.observe(&call.timeline, call.took);
        }
        let slowest = &mut method.slowest[0];
        let place = slowest.partition_point(|slow| slow.took >= call.took);
        if place < SLOWEST {
            slowest.insert(place, call);
            slowest.truncate(SLOWEST);
        }
        let least = slowest.get(SLOWEST - 1);
        (least.map_or(Micros::ZERO, |slow| slow.took), self.until)
    }

    /// Begins another period if the present one is over.
    pub(super) fn turn(&mut self, now: Instant) {
        if now < self.until {
            return;
        }
        let is_late = now >= self.until + PERIOD;
        for method in self.methods.values_mut() {
            method.slowest[1] = std::mem::take(&mut method.slowest[0]);
            method.gains[1] = std::mem::take(&mut method.gains[0]);
            if is_late {
                method.slowest[1].clear();
                method.gains[1] = Gains::default();
            }
        }
        self.until = now + PERIOD;
    }

    /// Adds the calls of a list.
    pub(super) fn list(&self, list: List, calls: &mut Vec<Arc<RecordedCall>>) {
        match list {
            List::Recent => calls.extend(self.recent.iter().cloned()),
            List::Failed => calls.extend(self.failed.iter().cloned()),
            List::Slowest => {
                let slowest = self.methods.values().flat_map(|of| of.slowest.iter());
                calls.extend(slowest.flatten().cloned());
            }
        }
    }

    pub(super) fn recent_gains(&self) -> Vec<(Arc<str>, Gains)> {
        self.gains(|of| {
            let mut gains = of.gains[0].clone();
            gains.add(&of.gains[1]);
            gains
        })
    }

    pub(super) fn gains_ever(&self) -> Vec<(Arc<str>, Gains)> {
        self.gains(|of| of.ever.clone())
    }

    fn gains(&self, of: fn(&OfMethod) -> Gains) -> Vec<(Arc<str>, Gains)> {
        let gains = self.methods.iter();
        let gains = gains.map(|(method, kept)| (Arc::clone(method), of(kept)));
        gains.filter(|(_, gains)| gains.calls > 0).collect()
    }
}

fn push(ring: &mut VecDeque<Arc<RecordedCall>>, call: &Arc<RecordedCall>, max: usize) {
    if ring.len() >= max {
        ring.pop_front();
    }
    ring.push_back(Arc::clone(call));
}
