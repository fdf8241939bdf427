//! Asks equal questions once: collects the different keys of a batch and hands each answer to everyone who asked.
//!
//! Redis without a cluster has its own variant, which allocates nothing per key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The different keys of a batch, numbered in the order in which they were added.
#[derive(Debug)]
pub(in crate::backend) struct Distinct<K> {
    numbers: HashMap<K, usize>,
    /// How often each was added.
    askers: Vec<usize>,
}

impl<K: Eq + Hash> Distinct<K> {
    /// An empty set with capacity for `keys`.
    pub(in crate::backend) fn with_capacity(keys: usize) -> Self {
        Distinct {
            numbers: HashMap::with_capacity(keys),
            askers: Vec::with_capacity(keys),
        }
    }

    /// Adds a key. Returns its number, and whether it is new.
    pub(in crate::backend) fn add(&mut self, key: K) -> (usize, bool) {
        match self.numbers.entry(key) {
            Entry::Occupied(known) => {
                self.askers[*known.get()] += 1;
                (*known.get(), false)
            }
            Entry::Vacant(free) => {
                self.askers.push(1);
                (*free.insert(self.askers.len() - 1), true)
            }
        }
    }

    /// The answers to share, one per different key, in the order of their numbers.
    pub(in crate::backend) fn share<T>(
        self,
        answers: impl IntoIterator<Item = T>,
    ) -> SharedAnswers<T> {
        let mut answers = answers.into_iter();
        let with_askers = |askers| (askers, answers.next());
        SharedAnswers(self.askers.into_iter().map(with_askers).collect())
    }
}

/// Answers, each with the number of askers that have not received it yet.
#[derive(Debug)]
pub(in crate::backend) struct SharedAnswers<T>(Vec<(usize, Option<T>)>);

impl<T: Clone> SharedAnswers<T> {
    /// The answer with this number, once for each time its key was added: the last asker takes it, the others copy it.
    pub(in crate::backend) fn take(&mut self, number: usize) -> Option<T> {
        let (askers, answer) = self.0.get_mut(number)?;
        *askers = askers.saturating_sub(1);
        match askers {
            0 => answer.take(),
            _ => answer.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn equal_keys_have_one_number_and_one_answer() {
        let mut distinct = Distinct::with_capacity(3);
        let added = ["a", "b", "a", "c", "a"].map(|key| distinct.add(key));
        let want = [(0, true), (1, true), (0, false), (2, true), (0, false)];
        assert_eq!(added, want);
        let answer = Rc::new("A");
        let mut shared = distinct.share([Rc::clone(&answer), Rc::new("B")]);
        for left in [2, 2, 1] {
            let taken = shared.take(0).expect("one for each asker");
            assert_eq!(Rc::strong_count(&taken), 1 + left, "the last one takes it");
        }
        assert_eq!(shared.take(0), None, "everybody had it");
        assert_eq!(shared.take(1).as_deref(), Some(&"B"));
        assert_eq!(shared.take(2), None, "there are too few answers");
    }
}
