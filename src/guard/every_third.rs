//! A guard for tests: immediately answers every third question to lookups called `third`, and remembers all outcomes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::chain::{Before, Guard, Outcome, Way};
use super::question::Question;
use crate::backend::Answer;
use crate::metrics::ProgramMetrics;
use crate::program::Program;
use crate::random::Random;
use crate::value::Value;

pub(super) struct EveryThird {
    program: Arc<Program>,
    asked: Cell<usize>,
    outcomes: RefCell<Vec<String>>,
}

impl Guard for EveryThird {
    fn new(program: &Arc<Program>, _random: &Random, _metrics: &ProgramMetrics) -> Self {
        EveryThird {
            program: Arc::clone(program),
            asked: Cell::default(),
            outcomes: RefCell::default(),
        }
    }

    fn before<'a>(&'a self, question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        if *self.program.lookups[question.lookup.0].name != *"third" {
            return Before::Pass;
        }
        self.asked.set(self.asked.get() + 1);
        if self.asked.get().is_multiple_of(3) {
            return Before::Answer(Ok(Answer::new(Value::from(3))));
        }
        Before::Pass
    }

    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        let params = &*question.params;
        let outcome = match outcome {
            Outcome::Answered(answer) => format!("{params:?} answered {:?}", answer.value),
            Outcome::Failed(err) => format!("{params:?} {}", err.code),
            Outcome::Cancelled => format!("{params:?} cancelled"),
        };
        self.outcomes.borrow_mut().push(outcome);
    }
}

impl EveryThird {
    pub(super) fn take_outcomes(&self) -> Vec<String> {
        self.outcomes.take()
    }
}
