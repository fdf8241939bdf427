//! Counts what a lookup's cache does on one loop.

use super::{Counts, Families, Gauge};

/// What a shared lookup's question found. Each question counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheLookup {
    /// A fresh answer.
    Hit,
    /// A stale answer.
    Stale,
    /// Nothing: the store is asked.
    Miss,
    /// An equal question that was under way.
    Coalesced,
    /// A fresh answer, in a cache that is only measured.
    WouldHit,
    /// A stale answer, in a cache that is only measured.
    WouldBeStale,
    /// Nothing, in a cache that is only measured.
    WouldMiss,
}

/// What became of a question in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The store answered.
    Ok,
    /// It did not.
    Failed,
    /// It was not asked: enough others are.
    Skipped,
}

/// The metrics of one shared lookup.
#[derive(Clone, Debug)]
pub struct CacheMetrics {
    lookups: Counts,
    refreshes: Counts,
    stale_if_error: Counts,
    evictions: Counts,
    entries: Gauge,
    bytes: Gauge,
}

impl CacheLookup {
    /// The values of the label, in the order of the variants.
    pub(super) fn words() -> Vec<(&'static str, bool)> {
        let words = [
            "hit",
            "stale",
            "miss",
            "coalesced",
            "would_hit",
            "would_be_stale",
            "would_miss",
        ];
        words.map(|word| (word, true)).into()
    }
}

impl Refreshed {
    /// The values of the label, in the order of the variants.
    pub(super) fn words() -> Vec<(&'static str, bool)> {
        ["ok", "failed", "skipped"].map(|word| (word, true)).into()
    }
}

impl CacheMetrics {
    pub(super) fn new(families: &Families, lookup: &str) -> Self {
        CacheMetrics {
            lookups: families.cache_lookups.counts(&[lookup]),
            refreshes: families.cache_refreshes.counts(&[lookup]),
            stale_if_error: families.cache_stale_if_error.counts(&[lookup]),
            evictions: families.cache_evictions.counts(&[lookup]),
            entries: families.cache_entries.gauge(&[lookup]),
            bytes: families.cache_bytes.gauge(&[lookup]),
        }
    }

    /// Counts a question.
    pub fn count(&self, found: CacheLookup) {
        self.lookups.count(found as usize);
    }

    /// Counts a question in the background.
    pub fn refreshed(&self, refreshed: Refreshed) {
        self.refreshes.count(refreshed as usize);
    }

    /// Counts questions that got an old answer because the store failed.
    pub fn stale_if_error(&self, count: usize) {
        self.stale_if_error.add(0, count);
    }

    /// Counts entries that made room for others.
    pub fn evicted(&self, count: usize) {
        self.evictions.add(0, count);
    }

    /// Shows how large the cache is.
    pub fn size(&self, entries: usize, bytes: usize) {
        self.entries.set(entries);
        self.bytes.set(bytes);
    }
}
