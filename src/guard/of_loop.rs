//! Shares a program among the questions of one loop.

use std::rc::Rc;
use std::sync::Arc;

use crate::metrics::ProgramMetrics;
use crate::plan::LookupId;
use crate::program::{Asks, Program};

/// A program, counted on this loop alone: a question that waits in a queue shares it, and changes no count of other loops.
pub(super) struct OfLoop {
    program: Arc<Program>,
    metrics: Rc<ProgramMetrics>,
}

impl OfLoop {
    pub(super) fn new(program: &Arc<Program>, metrics: &Rc<ProgramMetrics>) -> Rc<Self> {
        Rc::new(OfLoop {
            program: Arc::clone(program),
            metrics: Rc::clone(metrics),
        })
    }

    pub(super) fn metrics(&self) -> &ProgramMetrics {
        &self.metrics
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// What a lookup asks.
    pub(super) fn asks(&self, lookup: LookupId) -> &Asks {
        &self.program.lookups[lookup.0].asks
    }
}
