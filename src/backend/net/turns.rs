//! Shares connections that carry one question at a time between the lookups of a store.
//!
//! No lookup holds all connections, and those that are known to be slow leave one to the others together. So a statement
//! that hangs holds up nothing but its own lookup.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;

use super::durations::Durations;

/// Which lookups hold the connections of one store.
#[derive(Debug)]
pub(in crate::backend) struct Turns {
    connections: usize,
    durations: Durations,
    /// The lookup of each question under way.
    holding: RefCell<Vec<usize>>,
}

/// One question under way.
#[derive(Debug)]
pub(in crate::backend) struct Turn {
    turns: Rc<Turns>,
    lookup: usize,
    began: Instant,
}

impl Turns {
    /// For this many connections.
    pub(in crate::backend) fn new(connections: usize) -> Rc<Self> {
        Rc::new(Turns {
            connections,
            durations: Durations::default(),
            holding: RefCell::default(),
        })
    }

    /// Whether a question of this lookup may have a connection now. If not, it may have one when a turn has ended.
    pub(in crate::backend) fn may_begin(&self, lookup: usize) -> bool {
        // A single connection can't be shared.
        let shared = self.connections.saturating_sub(1).max(1);
        let holding = self.holding.borrow();
        let own = holding.iter().filter(|held| **held == lookup).count();
        let is_slow = |lookup: &usize| self.durations.is_slow(*lookup);
        let slow = || holding.iter().filter(|held| is_slow(held)).count();
        own < shared && !(is_slow(&lookup) && slow() >= shared)
    }

    /// A question of this lookup is asked now.
    pub(in crate::backend) fn begin(self: &Rc<Self>, lookup: usize) -> Turn {
        self.holding.borrow_mut().push(lookup);
        Turn {
            turns: Rc::clone(self),
            lookup,
            began: Instant::now(),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = Instant::now().duration_since(self.began);
        self.turns.durations.took(self.lookup, took);
        let mut holding = self.turns.holding.borrow_mut();
        if let Some(at) = holding.iter().position(|held| *held == self.lookup) {
            holding.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn no_lookup_holds_all_and_slow_ones_leave_one_together() {
        let turns = Turns::new(3);
        let (quick, slow, other) = (0, 1, 2);
        let held = [turns.begin(slow), turns.begin(slow)];
        assert!(!turns.may_begin(slow) && turns.may_begin(quick));
        drop(turns.begin(quick));
        advance(Duration::from_millis(50)).await;
        drop(held);
        assert!(turns.may_begin(slow));
        let one = turns.begin(other);
        advance(Duration::from_millis(50)).await;
        drop(one);
        let (_slow, _other) = (turns.begin(slow), turns.begin(other));
        assert!(
            !turns.may_begin(slow) && !turns.may_begin(other),
            "two are slow"
        );
        assert!(turns.may_begin(quick));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_single_connection_serves_everybody() {
        let turns = Turns::new(1);
        assert!(turns.may_begin(0));
        let held = turns.begin(0);
        assert!(!turns.may_begin(0));
        drop(held);
        assert!(turns.may_begin(0) && turns.may_begin(1));
    }
}
