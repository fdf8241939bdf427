//! Shares a program among the questions of one loop.

use std::rc::Rc;
use std::sync::Arc;

use crate::plan::LookupId;
use crate::program::{Asks, Program};

/// A program, counted on this loop alone: a question that waits in a queue shares it, and changes no count of other loops.
pub(super) struct OfLoop(Arc<Program>);

impl OfLoop {
    pub(super) fn new(program: &Arc<Program>) -> Rc<Self> {
        Rc::new(OfLoop(Arc::clone(program)))
    }

    pub(super) fn program(&self) -> &Program {
        &self.0
    }

    /// What a lookup asks.
    pub(super) fn asks(&self, lookup: LookupId) -> &Asks {
        &self.0.lookups[lookup.0].asks
    }
}
