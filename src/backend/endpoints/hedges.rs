//! Decides whether a question that is slow goes to a second endpoint: what is measured, and the budget.
//!
//! Never without need: only after the time that the lookup's own questions usually take. A budget bounds how much hedges add to
//! the load, which matters most when all servers are slow. After a server has asked for patience there is none for a while.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::board::{Board, Hedged};
use super::hedge::{After, Hedge};
use super::latencies::Latencies;
use crate::backend::{Ask, LookupError, Verdict};
use crate::config::GuardMode;

/// For how long a question allows a share of a hedge.
const TTL: Duration = Duration::from_secs(10);
/// How long nothing is hedged after a server has asked for patience.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was measured for more lookups than this, over many reloads, is forgotten.
const LOOKUPS_MAX: usize = 4096;

/// The hedges of one backend on one loop.
pub(super) struct Hedges {
    lookups: RefCell<HashMap<u64, Rc<Hedging>, FixedState>>,
    /// Nothing is hedged until then.
    patient_until: Cell<Option<Instant>>,
    board: Board,
}

/// The hedges of one lookup.
pub(super) struct Hedging {
    mode: GuardMode,
    after: After,
    latencies: RefCell<Latencies>,
    budget: TpsBudget,
}

/// A question whose time is measured. If it is dropped at its deadline, it took at least so long.
pub(super) struct Timed {
    hedging: Rc<Hedging>,
    began: Instant,
    deadline: Instant,
    is_open: bool,
}

/// A hedge under way, which is counted when it ends.
pub(super) struct UnderWay<'a> {
    board: &'a Board,
    outcome: Hedged,
}

impl Hedges {
    /// None yet.
    pub(super) fn new(board: Board) -> Self {
        Hedges {
            lookups: RefCell::new(HashMap::with_hasher(FixedState::default())),
            patient_until: Cell::new(None),
            board,
        }
    }

    /// A question of a lookup with this key begins now.
    pub(super) fn begin(&self, hedge: &Hedge, ask: &Ask<'_>) -> Timed {
        let mut lookups = self.lookups.borrow_mut();
        if lookups.len() >= LOOKUPS_MAX {
            lookups.clear();
        }
        let hedging = lookups.entry(hedge.id);
        let hedging = Rc::clone(hedging.or_insert_with(|| Rc::new(Hedging::new(hedge))));
        hedging.budget.deposit();
        Timed {
            hedging,
            began: Instant::now(),
            deadline: ask.deadline,
            is_open: true,
        }
    }

    /// A server has asked for patience.
    #[cold]
    pub(super) fn pushed_back(&self) {
        self.patient_until.set(Some(Instant::now() + PATIENCE));
    }

    /// Whether a question that has taken so long goes to a second endpoint. `is_other`: there is one that works.
    pub(super) fn allow(&self, timed: &Timed, is_other: bool) -> bool {
        let patient_until = self.patient_until.get();
        let why = if patient_until.is_some_and(|until| Instant::now() < until) {
            Hedged::PushedBack
        } else if !is_other {
            Hedged::NoEndpoint
        } else if !timed.hedging.budget.withdraw() {
            Hedged::NoBudget
        } else if timed.hedging.mode == GuardMode::Enforce {
            return true;
        } else {
            Hedged::Measured
        };
        self.board.hedged(why);
        false
    }

    /// A hedge is under way.
    pub(super) fn under_way(&self) -> UnderWay<'_> {
        UnderWay {
            board: &self.board,
            outcome: Hedged::Failed,
        }
    }
}

impl Hedging {
    fn new(hedge: &Hedge) -> Self {
        let share = match hedge.after {
            After::Fixed(_) => 1.0,
            After::Measured(share, _) => share,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share of one")]
        let budget = TpsBudget::new(TTL, hedge.min_per_second, hedge.budget as f32);
        Hedging {
            mode: hedge.mode,
            after: hedge.after,
            latencies: RefCell::new(Latencies::new(share)),
            budget,
        }
    }

    fn took(&self, time: Duration, now: Instant) {
        if let After::Measured(..) = self.after {
            self.latencies.borrow_mut().took(time, now);
        }
    }
}

impl Timed {
    /// When a second endpoint is asked; `None` if that is not known, or too late.
    pub(super) fn hedged_at(&self) -> Option<Instant> {
        let after = match self.hedging.after {
            After::Fixed(after) => after,
            After::Measured(_, least) => self.hedging.latencies.borrow().percentile()?.max(least),
        };
        let at = self.began.checked_add(after)?;
        (at < self.deadline).then_some(at)
    }

    /// When the question began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The question has ended. Only an answer tells how long one takes.
    pub(super) fn ended<T>(mut self, outcome: &Result<T, LookupError>) {
        self.is_open = false;
        let is_answered = match outcome {
            Ok(_) => true,
            Err(err) => err.verdict() == Verdict::Works,
        };
        if is_answered {
            let now = Instant::now();
            self.hedging.took(now - self.began, now);
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let now = Instant::now();
        if self.is_open && now >= self.deadline {
            self.hedging.took(now - self.began, now);
        }
    }
}

impl UnderWay<'_> {
    /// It has ended in this way.
    pub(super) fn ended(mut self, outcome: Hedged) {
        self.outcome = outcome;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.board.hedged(self.outcome);
    }
}
