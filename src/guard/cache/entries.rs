//! Keeps answers with their times: for how long each is fresh, then stale, then of use only if the store fails.
//!
//! `quick_cache` decides what is evicted, by weight. Each entry weighs at least the share of one entry in all bytes, so that
//! the limit of bytes is also one of entries. An entry counts from when its question was asked: the store may have read the
//! value any time after that.

use std::cell::Cell;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::time::Duration;

use foldhash::fast::FixedState;
use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use tokio::time::Instant;

use super::answer::SharedAnswer;
use super::key::{Key, KeyRef};
use crate::backend::Stamp;
use crate::program::CachePolicy;
use crate::random::Random;
use crate::value::Value;

/// What an entry takes besides its key and its value, about.
const ENTRY_BYTES: usize = 192;
/// How long a store that failed is not asked again for an answer of which there is an old one.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// By how much a time to live differs from what is configured, so that answers that came together expire one by one.
const JITTER: f64 = 0.05;

/// The kept answers of one lookup on one loop.
pub(super) struct Entries {
    cache: Cache<Key, Entry, Weigh, FixedState, Evict>,
    hasher: FixedState,
    policy: CachePolicy,
    /// When counting of time began.
    zero: Instant,
    bytes: usize,
}

/// One kept answer.
pub(super) struct Entry {
    pub(super) kept: Kept,
    asked: Instant,
    fresh_until: Instant,
    stale_until: Instant,
    dead_at: Instant,
    /// When the store may be asked again, if it failed.
    retry_at: Cell<Option<Instant>>,
    bytes: usize,
    /// If the store says when it is no longer right.
    stamp: Option<Stamp>,
}

/// What is kept.
#[derive(Clone)]
pub(super) enum Kept {
    /// That there is nothing.
    Nothing,
    Answer(Rc<SharedAnswer>),
    /// Only that there would be something of so many bytes: the cache is measured.
    Size(usize),
}

/// What an entry is good for at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    /// It is served, and asked again in the background.
    Stale,
    /// It is served if the store fails.
    Fallback,
    Dead,
}

/// How many entries had to make room.
#[derive(Debug, Default)]
pub(super) struct Evicted {
    pub(super) entries: usize,
    bytes: usize,
}

struct Weigh {
    least: u64,
}

struct Evict;

impl Weighter<Key, Entry> for Weigh {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        self.least.max(entry.bytes as u64)
    }
}

impl Lifecycle<Key, Entry> for Evict {
    type RequestState = Evicted;

    fn on_evict(&self, evicted: &mut Evicted, _: Key, entry: Entry) {
        evicted.entries += 1;
        evicted.bytes += entry.bytes;
    }
}

impl Entry {
    pub(super) fn phase(&self, now: Instant) -> Phase {
        if now < self.fresh_until {
            Phase::Fresh
        } else if now < self.stale_until {
            Phase::Stale
        } else if now < self.dead_at {
            Phase::Fallback
        } else {
            Phase::Dead
        }
    }

    /// Whether the store may be asked again: it has not failed only just now.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.retry_at.get().is_none_or(|retry_at| now >= retry_at)
    }

    /// The store was asked again, and failed.
    pub(super) fn failed(&self, now: Instant) {
        self.retry_at.set(Some(now + RETRY_AFTER));
    }

    /// Says from when on it is known to be right, if the store says when it is no longer.
    pub(super) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    /// When its question was asked.
    pub(super) fn asked(&self) -> Instant {
        self.asked
    }

    /// How old it is.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.asked)
    }
}

impl Kept {
    fn memory(&self) -> usize {
        match self {
            Kept::Nothing => 0,
            Kept::Answer(answer) => answer.bytes,
            Kept::Size(bytes) => *bytes,
        }
    }
}

impl Entries {
    pub(super) fn new(policy: &CachePolicy, random: &mut Random) -> Self {
        let least = policy.bytes.div_ceil(policy.entries).max(1) as u64;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(policy.entries)
            .weight_capacity(policy.bytes as u64)
            .build()
            .expect("both capacities are set");
        let hasher = FixedState::with_seed(random.draw());
        Entries {
            cache: Cache::with_options(options, Weigh { least }, hasher.clone(), Evict),
            hasher,
            policy: policy.clone(),
            zero: Instant::now(),
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// How many bytes all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most bytes of one value.
    pub(super) fn value_bytes_max(&self) -> usize {
        self.policy.bytes
    }

    /// The entry of these parameters, unless it is dead.
    #[inline]
    pub(super) fn find(&self, params: &[Value], now: Instant) -> Option<(&Entry, Phase)> {
        let entry = self.cache.get(&KeyRef(params))?;
        let phase = entry.phase(now);
        (phase != Phase::Dead).then_some((entry, phase))
    }

    /// Keeps the outcome of a question that was asked at `asked`, unless that of a later question is there already. That there
    /// is nothing replaces an answer even if it is not kept itself.
    pub(super) fn keep(
        &mut self,
        key: &Key,
        kept: Kept,
        (asked, stamp): (Instant, Option<Stamp>),
    ) -> Evicted {
        let before = self.cache.peek(&key.as_ref());
        if before.is_some_and(|before| before.asked > asked) {
            return Evicted::default();
        }
        self.remove(key);
        let Some(entry) = self.entry(key, kept, (asked, stamp)) else {
            return Evicted::default();
        };
        self.bytes += entry.bytes;
        let mut evicted = Evicted::default();
        self.cache
            .insert_with_lifecycle(key.clone(), entry, &mut evicted);
        self.bytes -= evicted.bytes;
        evicted
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some((_, entry)) = self.cache.remove(&key.as_ref()) {
            self.bytes -= entry.bytes;
        }
    }

    fn entry(
        &self,
        key: &Key,
        kept: Kept,
        (asked, stamp): (Instant, Option<Stamp>),
    ) -> Option<Entry> {
        let policy = &self.policy;
        let (ttl, stale, fallback) = match kept {
            Kept::Nothing => (policy.negative_ttl, Duration::ZERO, Duration::ZERO),
            _ => (policy.ttl, policy.stale, policy.stale_if_error),
        };
        if ttl.is_zero() {
            return None;
        }
        let fresh_until = asked + self.jittered(ttl, key, asked);
        let stale_until = fresh_until + stale;
        Some(Entry {
            asked,
            fresh_until,
            stale_until,
            dead_at: stale_until + fallback,
            retry_at: Cell::new(None),
            bytes: ENTRY_BYTES + key.memory() + kept.memory(),
            kept,
            stamp,
        })
    }

    /// A time to live that differs for each entry, but is always the same for one.
    fn jittered(&self, ttl: Duration, key: &Key, asked: Instant) -> Duration {
        let since = asked.saturating_duration_since(self.zero).as_nanos();
        let hash = self.hasher.hash_one((key, since));
        #[expect(clippy::cast_precision_loss, reason = "a fraction need not be exact")]
        let unit = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        ttl.mul_f64(1.0 - JITTER + 2.0 * JITTER * unit)
    }

    /// Removes the entries whose parameters are as asked. Returns how many there were.
    pub(super) fn purge(&mut self, is_asked: impl Fn(&[Value]) -> bool) -> usize {
        let asked: Vec<Key> = (self.cache.iter())
            .filter(|(key, _)| is_asked(key.params()))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &asked {
            self.remove(key);
        }
        asked.len()
    }
}
