//! Asks equal questions once: collects the different keys of a batch and hands each answer to everyone who asked.
//!
//! Redis has variants of its own: without a cluster it allocates nothing per key, and in a cluster one question may have
//! several keys.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Among so few keys, to compare them all costs less than to hash one.
const FEW: usize = 8;

/// The different keys of a batch, numbered in the order in which they were added.
#[derive(Debug)]
pub(in crate::backend) struct Distinct<K> {
    /// In the order of their numbers.
    keys: Vec<K>,
    /// The numbers of the keys; empty if there are only [`FEW`] askers.
    numbers: HashTable<usize>,
    is_of_few: bool,
    hasher: RandomState,
    /// For each key, the asker that added it last.
    last: Vec<usize>,
    /// For each asker, the one that added the same key before; empty as long as all keys are different.
    before: Vec<Option<usize>>,
    askers: usize,
}

impl<K: Eq + Hash> Distinct<K> {
    /// An empty set for this many askers, which are numbered too.
    pub(in crate::backend) fn of(askers: usize) -> Self {
        let is_of_few = askers <= FEW;
        Distinct {
            keys: Vec::with_capacity(askers),
            numbers: HashTable::with_capacity(if is_of_few { 0 } else { askers }),
            is_of_few,
            hasher: RandomState::default(),
            last: Vec::with_capacity(askers),
            before: Vec::new(),
            askers,
        }
    }

    /// Adds the key of an asker, which has no other one. Returns whether the key is new; its number is then the next one.
    pub(in crate::backend) fn add(&mut self, key: K, asker: usize) -> bool {
        let (known, hash) = self.find(&key);
        if let Some(known) = known {
            let last = std::mem::replace(&mut self.last[known], asker);
            self.before.resize(self.askers, None);
            self.before[asker] = Some(last);
            return false;
        }
        let number = self.last.len();
        self.keys.push(key);
        self.last.push(asker);
        if !self.is_of_few {
            let (keys, hasher) = (&self.keys, &self.hasher);
            let rehash = |number: &usize| hasher.hash_one(&keys[*number]);
            self.numbers.insert_unique(hash, number, rehash);
        }
        true
    }

    /// The different keys, in the order of their numbers.
    pub(in crate::backend) fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The number of a key, if it was added.
    pub(in crate::backend) fn number(&self, key: &K) -> Option<usize> {
        self.find(key).0
    }

    /// The number of a key, if it was added, and its hash, if that is needed.
    #[inline]
    fn find(&self, key: &K) -> (Option<usize>, u64) {
        if self.is_of_few {
            return (self.keys.iter().position(|known| known == key), 0);
        }
        let is_key = |number: &usize| self.keys[*number] == *key;
        let hash = self.hasher.hash_one(key);
        (self.numbers.find(hash, is_key).copied(), hash)
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
        while let Some(Some(before)) = self.before.get(asker) {
            give(asker, answer.clone());
            asker = *before;
        }
        give(asker, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn many_keys_are_found_as_few_are() {
        let mut distinct = Distinct::of(3 * FEW);
        for asker in 0..3 * FEW {
            assert_eq!(distinct.add(asker / 2, asker), asker % 2 == 0);
        }
        for number in 0..3 * FEW / 2 {
            assert_eq!(distinct.number(&number), Some(number));
            let mut given = Vec::new();
            distinct.hand_out(number, (), |asker, ()| given.push(asker));
            assert_eq!(given, [2 * number + 1, 2 * number]);
        }
        assert_eq!(distinct.number(&(2 * FEW)), None);
    }

    #[test]
    fn equal_keys_have_one_number_and_one_answer() {
        let mut distinct = Distinct::of(5);
        let keys = ["a", "b", "a", "c", "a"].into_iter().enumerate();
        let added: Vec<bool> = keys.map(|(asker, key)| distinct.add(key, asker)).collect();
        assert_eq!(added, [true, true, false, true, false]);
        assert_eq!(distinct.keys(), ["a", "b", "c"]);
        let number = |key| distinct.number(&key);
        assert_eq!(["c", "a", "d"].map(number), [Some(2), Some(0), None]);
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
