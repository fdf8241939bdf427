//! Tells whether a question that ran out of time was held up by others: it was not sent, although its store answered meanwhile.
//!
//! That is no failure of the store. If a store answers nothing while a question waits for a connection, it may be, since the
//! connections are busy with what it does not answer.

use std::cell::Cell;

use crate::backend::GivenUp;

/// The questions to one store that wait for a connection.
#[derive(Debug, Default)]
pub(in crate::backend) struct Line {
    answered: Cell<u64>,
    given_up: GivenUp,
}

/// The place of a question in the line.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct InLine {
    /// How many answers there were before.
    answered: u64,
}

impl Line {
    pub(in crate::backend) fn new(given_up: &GivenUp) -> Self {
        Line {
            answered: Cell::new(0),
            given_up: given_up.clone(),
        }
    }

    /// A question begins to wait.
    #[inline]
    pub(in crate::backend) fn join(&self) -> InLine {
        InLine {
            answered: self.answered.get(),
        }
    }

    /// The store has answered a question.
    #[inline]
    pub(in crate::backend) fn answered(&self) {
        self.answered.set(self.answered.get() + 1);
    }

    /// A question that has not been sent is given up.
    pub(in crate::backend) fn leave(&self, question: InLine) {
        if question.answered != self.answered.get() {
            self.given_up.say_in_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_that_answers_others_holds_nothing_up() {
        let given_up = GivenUp::default();
        let line = Line::new(&given_up);
        let early = line.join();
        assert!(!given_up.by(|| line.leave(early)).in_line);
        line.answered();
        let late = line.join();
        assert!(given_up.by(|| line.leave(early)).in_line);
        assert!(!given_up.by(|| line.leave(late)).in_line);
        assert!(!given_up.by(|| ()).in_line, "it is said once");
    }
}
