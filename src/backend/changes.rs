//! Knows which answers of a store are no longer right, because the store itself says what has changed.
//!
//! An answer is stamped before its question is sent, and is right as long as its stamp is current. So the order in which an
//! answer and the news of a change arrive makes no difference: what changed after the stamp may not be in the answer. Each key
//! has one of many counters, by its hash, and a change counts up. Two keys that share one only make each other's answers
//! be asked for again. When the news stops coming, all stamps are void, and none is given until it comes again.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use tracing::{info, warn};

use super::LookupError;
use crate::log_limit::LogLimit;
use crate::random::Random;

/// How many counters there are.
const COUNTERS: usize = 1 << 16;

/// What became known about kept answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Some keys have changed.
    Key,
    /// Everything may have changed.
    All,
    /// The news stopped coming.
    Lost,
}

impl Changed {
    /// Every outcome in the order of its number.
    pub const ALL: [(&'static str, bool); 3] = [("key", true), ("all", true), ("lost", true)];
}

/// What one store says on one loop.
pub struct Changes {
    store: Arc<str>,
    /// Changes whenever all stamps become void. Starts at random, so that no other store's stamps are taken for its own.
    generation: Cell<u64>,
    is_heard: Cell<bool>,
    counters: Box<[Cell<u32>]>,
    counts: Arc<[AtomicU64]>,
    /// 1 while the news comes, for metrics.
    heard: Arc<[AtomicU64]>,
    log: LogLimit<bool>,
}

/// What an answer depends on.
#[derive(Clone, Debug)]
pub struct Keys(Rc<[u16]>);

/// Says from when on an answer is known to be right.
#[derive(Clone, Debug)]
pub struct Stamp {
    generation: u64,
    /// Of the counters of its keys.
    sum: u64,
    keys: Keys,
}

/// The news comes, until this is dropped.
pub(crate) struct Hearing(Rc<Changes>);

impl Changes {
    /// Nothing is heard yet.
    pub(crate) fn new(store: &Arc<str>, seed: u64) -> Rc<Self> {
        Rc::new(Changes {
            store: Arc::clone(store),
            generation: Cell::new(Random::seeded(seed).draw()),
            is_heard: Cell::new(false),
            counters: (0..COUNTERS).map(|_| Cell::new(0)).collect(),
            counts: Changed::ALL.map(|_| AtomicU64::new(0)).into(),
            heard: Arc::new([AtomicU64::new(0)]),
            log: LogLimit::default(),
        })
    }

    /// The stamp of an answer that is asked for now; `None` if it could not be known when it is no longer right.
    pub fn stamp(&self, keys: &Keys) -> Option<Stamp> {
        self.is_heard.get().then(|| Stamp {
            generation: self.generation.get(),
            sum: self.sum(keys),
            keys: keys.clone(),
        })
    }

    /// Whether an answer with this stamp is still right.
    #[inline]
    pub fn is_current(&self, stamp: &Stamp) -> bool {
        stamp.generation == self.generation.get() && stamp.sum == self.sum(&stamp.keys)
    }

    #[inline]
    fn sum(&self, keys: &Keys) -> u64 {
        let counters = keys.0.iter().map(|&at| &self.counters[usize::from(at)]);
        counters.map(|counter| u64::from(counter.get())).sum()
    }

    /// The counts, by [`Changed`]. The loop is their only writer.
    pub fn counts(&self) -> &Arc<[AtomicU64]> {
        &self.counts
    }

    /// 1 while the news comes, otherwise 0. The loop is its only writer.
    pub fn heard(&self) -> &Arc<[AtomicU64]> {
        &self.heard
    }

    fn set_heard(&self, is_heard: bool) {
        self.is_heard.set(is_heard);
        self.heard[0].store(is_heard.into(), Ordering::Relaxed);
    }

    /// From now on every change is heard.
    pub(crate) fn hear(self: &Rc<Self>) -> Hearing {
        self.set_heard(true);
        if let Some(suppressed) = self.log.allow(true) {
            let store = &*self.store;
            info!(
                backend = store,
                suppressed, "changes of the store are heard"
            );
        }
        Hearing(Rc::clone(self))
    }

    /// Nothing can be heard, for this reason.
    pub(super) fn not_heard(&self, err: &LookupError) {
        if let Some(suppressed) = self.log.allow(false) {
            let (store, detail) = (&*self.store, &*err.detail);
            warn!(
                backend = store,
                detail, suppressed, "changes of the store are not heard: its answers are not kept"
            );
        }
    }

    /// This key has changed.
    pub(crate) fn changed(&self, key: &[u8]) {
        self.count(Changed::Key);
        self.count_up(hash(&[key]));
    }

    /// This key of a channel has changed; without a key, all that the channel is about.
    pub(super) fn changed_on(&self, channel: &str, key: &str) {
        let channel = channel.as_bytes();
        if key.is_empty() {
            self.count(Changed::All);
            self.count_up(hash(&[channel]));
        } else {
            self.count(Changed::Key);
            self.count_up(hash(&[channel, key.as_bytes()]));
        }
        self.count_up(hash(&anything_on(channel)));
    }

    /// Everything may have changed.
    pub(crate) fn all_changed(&self) {
        self.count(Changed::All);
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    fn count_up(&self, at: u16) {
        let counter = &self.counters[usize::from(at)];
        counter.set(counter.get().wrapping_add(1));
    }

    fn count(&self, what: Changed) {
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let changes = &self.0;
        changes.set_heard(false);
        let generation = changes.generation.get().wrapping_add(1);
        changes.generation.set(generation);
        changes.count(Changed::Lost);
    }
}

impl Keys {
    /// Those that `each` is called with; `None` if `list` can't say them.
    pub(super) fn of(list: impl FnOnce(&mut dyn FnMut(&[&[u8]])) -> Option<()>) -> Option<Self> {
        let mut keys = Vec::with_capacity(2);
        list(&mut |key| keys.push(hash(key)))?;
        Some(Keys(keys.into()))
    }
}

/// What changes with any news of a channel.
pub(super) fn anything_on(channel: &[u8]) -> [&[u8]; 3] {
    [channel, b"", b"any"]
}

/// The counter of a key, whose parts can't be taken for those of another one.
fn hash(parts: &[&[u8]]) -> u16 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    // The upper bits are mixed best.
    u16::try_from(hasher.finish() >> 48).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(all: &[&str]) -> Keys {
        let keys = Keys::of(|each| {
            for key in all {
                each(&[key.as_bytes()]);
            }
            Some(())
        });
        keys.expect("they are known")
    }

    #[test]
    fn an_answer_is_right_until_one_of_its_keys_changes() {
        let changes = Changes::new(&Arc::from("store"), 1);
        let (a, b, both) = (keys(&["a"]), keys(&["b"]), keys(&["a", "b"]));
        let is_heard = || changes.heard()[0].load(Ordering::Relaxed);
        assert!(changes.stamp(&a).is_none(), "nothing is heard yet");
        assert_eq!(is_heard(), 0);
        let hearing = changes.hear();
        assert_eq!(is_heard(), 1);
        let stamps = || [&a, &b, &both].map(|keys| changes.stamp(keys).expect("it is heard"));
        let current = |stamps: &[Stamp; 3]| stamps.each_ref().map(|of| changes.is_current(of));
        let before = stamps();
        changes.changed(b"c");
        assert_eq!(current(&before), [true; 3]);
        changes.changed(b"a");
        assert_eq!(current(&before), [false, true, false]);
        let before = stamps();
        changes.all_changed();
        assert_eq!(current(&before), [false; 3]);
        let before = stamps();
        drop(hearing);
        assert_eq!(is_heard(), 0);
        assert_eq!(current(&before), [false; 3]);
        assert!(changes.stamp(&a).is_none());
        let _hearing = changes.hear();
        assert_eq!(current(&before), [false; 3], "what changed meanwhile?");
        let counts = changes.counts().iter();
        let counts: Vec<u64> = counts.map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 1, 1]);
        let other = Changes::new(&Arc::from("store"), 2);
        let _other = other.hear();
        let stamp = changes.stamp(&a).expect("it is heard");
        assert!(!other.is_current(&stamp), "of another connection");
    }

    #[test]
    fn news_of_a_channel_are_about_a_key_or_about_all() {
        let changes = Changes::new(&Arc::from("store"), 1);
        let _hearing = changes.hear();
        let of = |channel: &str, key: &str| {
            Keys::of(|each| {
                each(&[channel.as_bytes()]);
                each(&[channel.as_bytes(), key.as_bytes()]);
                Some(())
            })
        };
        let of = |channel, key| of(channel, key).expect("they are known");
        let any = Keys::of(|each| {
            each(&anything_on(b"planes"));
            Some(())
        });
        let any = any.expect("it is known");
        let all = [of("planes", "1"), of("planes", "2"), of("crews", "1"), any];
        let stamps = || all.each_ref().map(|keys| changes.stamp(keys));
        let current = |stamps: &[Option<Stamp>; 4]| {
            (stamps.each_ref()).map(|of| of.as_ref().is_some_and(|of| changes.is_current(of)))
        };
        let before = stamps();
        changes.changed_on("planes", "1");
        assert_eq!(current(&before), [false, true, true, false]);
        let before = stamps();
        changes.changed_on("planes", "");
        assert_eq!(current(&before), [false, false, true, false]);
    }
}
