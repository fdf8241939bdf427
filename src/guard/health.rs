//! Knows which stores answer. A store counts as failing from the first lookup that can't reach it until the next one
//! that it answers.
//!
//! Each change is logged once.

use std::cell::Cell;
use std::sync::Arc;

use tracing::{info, warn};

use super::chain::{Guard, Outcome};
use super::failure_log::names;
use super::question::Question;
use crate::backend::LookupError;
use crate::error::Code;
use crate::plan::LookupId;
use crate::program::{Asks, Program};
use crate::random::Random;

/// Whether the stores of one loop answer.
pub(super) struct Health {
    program: Arc<Program>,
    /// By store.
    failing: Vec<Cell<bool>>,
    /// Whether any store is failing, so that an answer costs one look in the usual case.
    any_failing: Cell<bool>,
}

impl Guard for Health {
    fn new(program: &Arc<Program>, _random: &Random) -> Self {
        Health {
            program: Arc::clone(program),
            failing: program.backends.iter().map(|_| Cell::default()).collect(),
            any_failing: Cell::default(),
        }
    }

    #[inline]
    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Answered(_) if self.any_failing.get() => self.answered(question.lookup),
            Outcome::Failed(err) if err.code == Code::LookupUnavailable => {
                self.unavailable(question.lookup, err);
            }
            _ => {}
        }
    }
}

impl Health {
    /// Whether the store at `at` could be reached when it was last asked.
    pub(super) fn is_answering(&self, at: usize) -> bool {
        !self.failing[at].get()
    }

    #[cold]
    fn answered(&self, lookup: LookupId) {
        if let Asks::Store(at, _) = self.program.lookups[lookup.0].asks
            && self.failing[at].replace(false)
        {
            let backend = &*self.program.backends[at].name;
            info!(backend, "backend answers again");
            self.any_failing.set(self.failing.iter().any(Cell::get));
        }
    }

    #[cold]
    fn unavailable(&self, lookup: LookupId, err: &LookupError) {
        if let Asks::Store(at, _) = self.program.lookups[lookup.0].asks {
            self.any_failing.set(true);
            if self.failing[at].replace(true) {
                return;
            }
        }
        let (code, detail) = (err.code, &*err.detail);
        let (backend, lookup) = names(&self.program, lookup);
        warn!(%code, backend, lookup, detail, "backend fails");
    }
}
