//! Injects the faults that the caller of one call asks for, where the operator allows that.

use std::cell::RefCell;
use std::sync::Arc;

use super::chain::{Before, Guard, Way};
use super::inject::suffer;
use super::question::Question;
use crate::metrics::ProgramMetrics;
use crate::program::{Asks, Program};
use crate::random::Random;

/// Finds the faults of each question in the context of its call.
pub(super) struct CallFaults {
    program: Arc<Program>,
    random: RefCell<Random>,
}

impl Guard for CallFaults {
    fn new(program: &Arc<Program>, random: &Random, _metrics: &ProgramMetrics) -> Self {
        CallFaults {
            program: Arc::clone(program),
            random: RefCell::new(random.clone()),
        }
    }

    #[inline]
    fn before<'a>(&'a self, question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        if question.context.faults.is_none() {
            return Before::Pass;
        }
        self.find(question)
    }
}

impl CallFaults {
    #[cold]
    fn find<'a>(&self, question: &Question<'a>) -> Before<'a> {
        let lookup = &self.program.lookups[question.lookup.0];
        let backend = match &lookup.asks {
            Asks::Store(at, _) => Some(&*self.program.backends[*at].name),
            Asks::Closure(_) => None,
        };
        let faults = question.context.faults.as_deref();
        match faults.and_then(|faults| faults.of(&lookup.name, backend)) {
            Some(faults) => suffer(faults, &mut self.random.borrow_mut(), "the caller"),
            None => Before::Pass,
        }
    }
}
