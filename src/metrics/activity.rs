//! What a loop works on, for the thread that watches it.
//!
//! The loop stores one number whenever it turns to other work. The watching thread reads it, and finds the names that the
//! number stands for in a table that each configuration brings along.

#[expect(
    clippy::disallowed_types,
    reason = "taken at start, at a reload and when a loop stands still, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::program::Program;

/// What kind of work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Decoding a call's parameters.
    Params,
    /// Starting and hearing a view's lookups.
    View,
    /// Converting the answer of a lookup.
    Answer,
    /// Merging the values of a view.
    Merge,
    /// Encoding a reply.
    Reply,
    /// Asking a store for lookups of several calls.
    Batch,
}

impl Phase {
    const ALL: [(Phase, &'static str); 6] = [
        (Phase::Params, "decoding parameters"),
        (Phase::View, "starting or hearing lookups"),
        (Phase::Answer, "converting an answer"),
        (Phase::Merge, "merging values"),
        (Phase::Reply, "encoding a reply"),
        (Phase::Batch, "asking a store, or decoding its answers"),
    ];
}

const PHASE_BITS: u32 = 8;
const STEP_BITS: u32 = 20;
const METHOD_BITS: u32 = 20;

/// What one loop works on.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// From the upper bits to the lower ones: the table of names, the method, the lookup, the phase. 0 at first.
    now: AtomicU64,
    #[expect(
        clippy::disallowed_types,
        reason = "taken at start, at a reload and when a loop stands still, never by a call"
    )]
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    last: u16,
    live: Vec<(u16, Names)>,
}

/// The names of one configuration.
#[derive(Debug)]
struct Names {
    /// Each method with its lookups, by the index of its plan.
    methods: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// By the number of the lookup.
    lookups: Vec<Arc<str>>,
}

/// What a loop was at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The method, unless it was a batch.
    pub method: Option<Arc<str>>,
    /// The lookup, if it was at one.
    pub lookup: Option<Arc<str>>,
    /// What it did.
    pub phase: &'static str,
}

/// Says what a loop works on, by the numbers of one configuration.
#[derive(Debug)]
pub(super) struct Doing {
    activity: Arc<Activity>,
    table: u16,
}

impl Activity {
    /// Adds the names of a configuration.
    pub(super) fn names_of(self: &Arc<Self>, program: &Program) -> Doing {
        let mut plans: Vec<_> = program.plans().collect();
        plans.sort_by_key(|plan| plan.index);
        let names = Names {
            methods: (plans.iter())
                .map(|plan| {
                    let steps = plan.steps.iter().map(|step| Arc::from(&*step.name));
                    (Arc::from(&*plan.label), steps.collect())
                })
                .collect(),
            lookups: (program.lookups.iter())
                .map(|lookup| Arc::from(&*lookup.name))
                .collect(),
        };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        // 0 stands for no work at all.
        tables.last = tables.last.checked_add(1).unwrap_or(1);
        let table = tables.last;
        tables.live.push((table, names));
        Doing {
            activity: Arc::clone(self),
            table,
        }
    }

    /// What the loop was at when it last said so.
    pub(super) fn at(&self) -> Option<At> {
        let now = self.now.load(Ordering::Relaxed);
        let part = |shift: u32, bits: u32| (now >> shift) & ((1 << bits) - 1);
        let phase = part(0, PHASE_BITS);
        let number = |part: u64| usize::try_from(part).ok();
        let step = number(part(PHASE_BITS, STEP_BITS))?;
        let method = number(part(PHASE_BITS + STEP_BITS, METHOD_BITS))?;
        let table = now >> (PHASE_BITS + STEP_BITS + METHOD_BITS);
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, names) = (tables.live.iter()).find(|(known, _)| u64::from(*known) == table)?;
        let (phase, words) = Phase::ALL.into_iter().find(|(of, _)| *of as u64 == phase)?;
        let (method, lookup) = match phase {
            Phase::Batch => (None, names.lookups.get(step).cloned()),
            Phase::Answer => {
                let (method, steps) = names.methods.get(method)?;
                (Some(Arc::clone(method)), steps.get(step).cloned())
            }
            _ => (Some(Arc::clone(&names.methods.get(method)?.0)), None),
        };
        Some(At {
            method,
            lookup,
            phase: words,
        })
    }
}

impl Doing {
    /// The loop turns to this work.
    #[inline]
    pub(super) fn set(&self, phase: Phase, method: usize, step: usize) {
        let bits = |number: usize, bits: u32| number as u64 & ((1 << bits) - 1);
        let now = u64::from(self.table) << (PHASE_BITS + STEP_BITS + METHOD_BITS)
            | bits(method, METHOD_BITS) << (PHASE_BITS + STEP_BITS)
            | bits(step, STEP_BITS) << PHASE_BITS
            | phase as u64;
        self.activity.now.store(now, Ordering::Relaxed);
    }

    /// The loop turns to something that belongs to no method.
    #[inline]
    pub(super) fn none(&self) {
        self.activity.now.store(0, Ordering::Relaxed);
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        let tables = self.activity.tables.lock();
        let mut tables = tables.unwrap_or_else(PoisonError::into_inner);
        tables.live.retain(|(table, _)| *table != self.table);
    }
}
