//! Counts a value that is kept beyond its call for as long as calls use it, however many do.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::{FREE_BYTES, Held, Holds, Reserved, StoreMemory};

/// The memory of a kept value, while calls use it.
#[derive(Debug, Default)]
pub(crate) struct Lent(RefCell<Weak<Holds>>);

impl Lent {
    /// One more call uses the value, which takes `bytes`. They are in memory already, so there is nothing to wait for.
    pub(crate) fn lend(&self, memory: &StoreMemory, bytes: usize) -> Held {
        if bytes <= FREE_BYTES {
            return Held::default();
        }
        if let Some(holds) = self.0.borrow().upgrade() {
            return Held(Some(holds));
        }
        let mut reserved = Reserved::new(&memory.0.counts);
        reserved.take(bytes, None);
        let holds = Arc::new(Holds::One(reserved));
        self.0.replace(Arc::downgrade(&holds));
        Held(Some(holds))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_value_counts_once_while_calls_use_it() {
        let memory = StoreMemory::default();
        let [bytes, _] = memory.counts();
        let counted = || bytes[0].load(Ordering::Relaxed);
        let lent = Lent::default();
        let one = lent.lend(&memory, 1 << 20);
        let other = lent.lend(&memory, 1 << 20);
        assert_eq!(counted(), 1 << 20);
        drop(one);
        assert_eq!(counted(), 1 << 20);
        drop(other);
        assert_eq!(counted(), 0);
        let again = lent.lend(&memory, 1 << 20);
        assert_eq!(counted(), 1 << 20);
        drop(again);
        assert!(
            lent.lend(&memory, 100).is_nothing(),
            "a small value is free"
        );
    }
}
