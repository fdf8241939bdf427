//! Asks equal questions once: collects the different keys of a batch and hands each answer to everyone who asked.
//!
//! Redis has variants of its own: without a cluster it allocates nothing per key, and in a cluster one question may have
//! several keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The different keys of a batch, numbered in the order in which they were added.
#[derive(Debug)]
pub(in crate::backend) struct Distinct<K> {
    numbers: HashMap<K, usize>,
    /// For each key, the asker that added it last.
    last: Vec<usize>,
    /// For each asker, the one that added the same key before.
    before: Vec<Option<usize>>,
}

impl<K: Eq + Hash> Distinct<K> {
    /// An empty set for this many askers, which are numbered too.
    pub(in crate::backend) fn of(askers: usize) -> Self {
        Distinct {
            numbers: HashMap::with_capacity(askers),
            last: Vec::with_capacity(askers),
            before: vec![None; askers],
        }
    }

    /// Adds the key of an asker, which has no other one. Returns whether the key is new; its number is then the next one.
    pub(in crate::backend) fn add(&mut self, key: K, asker: usize) -> bool {
        match self.numbers.entry(key) {
            Entry::Occupied(known) => {
                let last = &mut self.last[*known.get()];
                self.before[asker] = Some(std::mem::replace(last, asker));
                false
            }
            Entry::Vacant(free) => {
                free.insert(self.last.len());
                self.last.push(asker);
                true
            }
        }
    }

    /// Hands the answer for the key with this number to each of its askers.
    pub(in crate::backend) fn hand_out<T: Clone>(
        &self,
        number: usize,
        answer: T,
        mut give: impl FnMut(usize, T),
    ) {
        let Some(&last) = self.last.get(number) else {
            return;
        };
        let mut asker = last;
        while let Some(before) = self.before[asker] {
            give(asker, answer.clone());
            asker = before;
        }
        give(asker, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn equal_keys_have_one_number_and_one_answer() {
        let mut distinct = Distinct::of(5);
        let keys = ["a", "b", "a", "c", "a"].into_iter().enumerate();
        let added: Vec<bool> = keys.map(|(asker, key)| distinct.add(key, asker)).collect();
        assert_eq!(added, [true, true, false, true, false]);
        let answer = Rc::new("A");
        let given = |number, answer: &Rc<&'static str>| {
            let mut given = Vec::new();
            distinct.hand_out(number, Rc::clone(answer), |asker, answer| {
                given.push((asker, *answer));
            });
            given.sort_unstable();
            given
        };
        assert_eq!(given(0, &answer), [(0, "A"), (2, "A"), (4, "A")]);
        assert_eq!(Rc::strong_count(&answer), 1);
        assert_eq!(given(1, &answer), [(1, "A")]);
        assert_eq!(given(3, &answer), [], "there are three keys");
    }
}
