//! Adds up which lookups decided how long the calls of a method took, and what it would gain if one were faster.

use std::sync::Arc;

use crate::timeline::{Analysis, Micros, Timeline};

/// The gain is that of a lookup that is so much faster.
pub const FASTER: Micros = Micros::new(10_000);

/// What a sample of a method's calls says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gains {
    /// How many calls the sample has.
    pub calls: u64,
    /// How long they took together, in microseconds.
    pub took: u64,
    /// Each lookup of the view.
    pub lookups: Vec<Gain>,
}

/// One lookup in a sample of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Its name in the view.
    pub name: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// In how many calls it ended last.
    pub decided: u64,
    /// In how many calls it was on the critical path.
    pub critical: u64,
    /// How much sooner all calls together would have ended, had it been [`FASTER`], in microseconds.
    pub gained: u64,
    /// How long it ran in all calls together, in microseconds.
    pub ran: u64,
}

impl Gains {
    /// Adds a call that took so long.
    pub(super) fn observe(&mut self, timeline: &Timeline, took: Micros) {
        self.calls += 1;
        self.took = self.took.saturating_add(took.get());
        let path = Analysis::of(timeline).critical_path;
        for (at, lane) in timeline.lanes.iter().enumerate() {
            let gain = self.lookup(at, &lane.name, &lane.backend);
            gain.ran += timeline.tracks[at].run_time().get();
            if path.contains(&at) {
                gain.critical += 1;
                gain.decided += u64::from(path.last() == Some(&at));
                gain.gained += timeline.gain(at, FASTER).get();
            }
        }
    }

    /// Adds what another loop knows.
    pub(super) fn add(&mut self, other: &Gains) {
        self.calls += other.calls;
        self.took = self.took.saturating_add(other.took);
        for (at, more) in other.lookups.iter().enumerate() {
            let gain = self.lookup(at, &more.name, &more.backend);
            gain.decided += more.decided;
            gain.critical += more.critical;
            gain.gained += more.gained;
            gain.ran += more.ran;
        }
    }

    /// The lookup with this name, which is most often at `at`. A reload may change the lookups of a method.
    fn lookup(&mut self, at: usize, name: &Arc<str>, backend: &Arc<str>) -> &mut Gain {
        let is_there = self.lookups.get(at).is_some_and(|of| of.name == *name);
        let at = if is_there {
            at
        } else {
            let found = self.lookups.iter().position(|of| of.name == *name);
            found.unwrap_or_else(|| {
                self.lookups.push(Gain {
                    name: Arc::clone(name),
                    backend: Arc::clone(backend),
                    decided: 0,
                    critical: 0,
                    gained: 0,
                    ran: 0,
                });
                self.lookups.len() - 1
            })
        };
        &mut self.lookups[at]
    }
}
