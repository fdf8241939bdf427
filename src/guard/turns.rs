//! A queue in which callers take turns, so that a caller with many lookups does not delay those of another one.
//!
//! Deficit round robin (Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", 1995) over lookups, which
//! all cost one. A turn is several lookups long: with turns of one, the calls of many callers would all end at the end, instead
//! of one after another.

use std::collections::{HashMap, VecDeque};

use crate::context::CallerId;

/// The lookups of one turn: those of most calls.
pub(super) const TURN: usize = 16;

/// A queue of `E`. Nothing is allocated before something waits.
#[derive(Debug)]
pub(super) struct Turns<E> {
    callers: HashMap<CallerId, VecDeque<E>>,
    /// The callers in `callers`. The first one has its turn.
    order: VecDeque<CallerId>,
    /// How many lookups the first caller has left in its turn.
    left: usize,
    turn: usize,
    len: usize,
}

impl<E> Turns<E> {
    /// An empty queue with turns of this length.
    pub(super) fn new(turn: usize) -> Self {
        Turns {
            callers: HashMap::new(),
            order: VecDeque::new(),
            left: turn,
            turn,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, caller: CallerId, entry: E) {
        let entries = self.callers.entry(caller).or_default();
        if entries.is_empty() {
            self.order.push_back(caller);
        }
        entries.push_back(entry);
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<E> {
        let caller = *self.order.front()?;
        let entries = self.callers.get_mut(&caller)?;
        let entry = entries.pop_front()?;
        self.len -= 1;
        self.left -= 1;
        let is_last = entries.is_empty();
        if is_last {
            self.callers.remove(&caller);
        }
        if is_last || self.left == 0 {
            self.left = self.turn;
            self.order.pop_front();
            if !is_last {
                self.order.push_back(caller);
            }
        }
        Some(entry)
    }

    /// At most how many others are served before the last one of a caller that has `own` in the queue.
    pub(super) fn ahead(&self, own: usize) -> usize {
        let turns = own.div_ceil(self.turn).max(1);
        let callers = self.order.len() + 1;
        self.len.min(callers.saturating_mul(turns * self.turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_with_many_lookups_delays_another_one_by_a_turn() {
        let (greedy, polite) = (CallerId(1), CallerId(2));
        let mut turns = Turns::new(TURN);
        for n in 0..100 {
            turns.push(greedy, (greedy, n));
        }
        for n in 0..20 {
            turns.push(polite, (polite, n));
        }
        assert_eq!(
            (turns.ahead(7), turns.ahead(1000), turns.len()),
            (48, 120, 120)
        );
        let mut taken = Vec::new();
        while let Some(entry) = turns.pop() {
            taken.push(entry);
        }
        assert!(turns.is_empty() && turns.pop().is_none());
        let of = |caller: CallerId| taken.iter().filter(move |(of, _)| *of == caller);
        assert!(of(greedy).map(|(_, n)| *n).eq(0..100) && of(polite).map(|(_, n)| *n).eq(0..20));
        let last = taken.iter().rposition(|(of, _)| *of == polite);
        assert_eq!(last, Some(2 * TURN + 20 - 1), "two turns of the other one");
    }

    #[test]
    fn callers_with_few_lookups_are_served_in_the_order_of_their_arrival() {
        let mut turns = Turns::new(TURN);
        for n in 0..70_u64 {
            turns.push(CallerId(n / 7), n);
        }
        let taken: Vec<u64> = std::iter::from_fn(|| turns.pop()).collect();
        assert!(taken.into_iter().eq(0..70));
    }
}
