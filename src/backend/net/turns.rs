//! Shares connections that carry one question at a time between the lookups of a store.
//!
//! No lookup holds all connections, and those that are known to be slow leave one to the others together. So a statement
//! that hangs holds up nothing but its own lookup.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::Instant;

use super::durations::Durations;

/// Which lookups hold the connections of one store.
#[derive(Debug)]
pub(in crate::backend) struct Turns {
    /// How many connections are up.
    connections: Cell<usize>,
    durations: Durations,
    /// The lookup of each question under way, and when it began.
    holding: RefCell<Vec<(usize, Instant)>>,
}

/// A connection that is up. It is shared until this is dropped.
#[derive(Debug)]
pub(in crate::backend) struct Shared(Rc<Turns>);

/// One question under way.
#[derive(Debug)]
pub(in crate::backend) struct Turn {
    turns: Rc<Turns>,
    lookup: usize,
    began: Instant,
}

impl Turns {
    /// Without any connection yet.
    pub(in crate::backend) fn new() -> Rc<Self> {
        Rc::new(Turns {
            connections: Cell::new(0),
            durations: Durations::default(),
            holding: RefCell::default(),
        })
    }

    /// Another connection is up.
    pub(in crate::backend) fn share(self: &Rc<Self>) -> Shared {
        self.connections.set(self.connections.get() + 1);
        Shared(Rc::clone(self))
    }

    /// Whether one of the questions under way takes long, so that others may have to wait for its end.
    pub(in crate::backend) fn have_long(&self) -> bool {
        let now = Instant::now();
        let is_long = |began: Instant| self.durations.is_long(now.duration_since(began));
        let holding = self.holding.borrow();
        holding.iter().any(|(_, began)| is_long(*began))
    }

    /// Whether a question of this lookup may have a connection now. If not, it may have one when a turn has ended.
    pub(in crate::backend) fn may_begin(&self, lookup: usize) -> bool {
        // A single connection can't be shared.
        let shared = self.connections.get().saturating_sub(1).max(1);
        let holding = self.holding.borrow();
        let own = holding.iter().filter(|(held, _)| *held == lookup).count();
        let is_slow = |lookup: usize| self.durations.is_slow(lookup);
        let slow = || holding.iter().filter(|(held, _)| is_slow(*held)).count();
        own < shared && !(is_slow(lookup) && slow() >= shared)
    }

    /// A question of this lookup is asked now.
    pub(in crate::backend) fn begin(self: &Rc<Self>, lookup: usize) -> Turn {
        let began = Instant::now();
        self.holding.borrow_mut().push((lookup, began));
        Turn {
            turns: Rc::clone(self),
            lookup,
            began,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = Instant::now().duration_since(self.began);
        self.turns.durations.took(self.lookup, took);
        let mut holding = self.turns.holding.borrow_mut();
        if let Some(at) = holding
            .iter()
            .position(|held| *held == (self.lookup, self.began))
        {
            holding.swap_remove(at);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn no_lookup_holds_all_and_slow_ones_leave_one_together() {
        let turns = Turns::new();
        let _up = [(); 3].map(|()| turns.share());
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
        let another = turns.share();
        assert!(turns.may_begin(slow), "there is one more");
        drop(another);
        assert!(!turns.may_begin(slow));
        assert!(!turns.have_long());
        advance(Duration::from_millis(10)).await;
        assert!(turns.have_long());
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_single_connection_serves_everybody() {
        let turns = Turns::new();
        let _up = turns.share();
        assert!(turns.may_begin(0));
        let held = turns.begin(0);
        assert!(!turns.may_begin(0));
        drop(held);
        assert!(turns.may_begin(0) && turns.may_begin(1));
    }
}
