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
    /// None if it only shares questions.
    kept: Option<KeptMetrics>,
}

/// The metrics of kept answers.
#[derive(Clone, Debug)]
struct KeptMetrics {
    refreshes: Counts,
    stale_if_error: Counts,
    evictions: Counts,
    entries: Gauge,
    bytes: Gauge,
}

impl CacheLookup {
    /// The values of the label, in the order of the variants.
    pub(super) fn words() -> Vec<(&'static str, bool)> {
        // Those of a cache that is only measured are shown once they occur.
        vec![
            ("hit", true),
            ("stale", true),
            ("miss", true),
            ("coalesced", true),
            ("would_hit", false),
            ("would_be_stale", false),
            ("would_miss", false),
        ]
    }
}

impl Refreshed {
    /// The values of the label, in the order of the variants.
    pub(super) fn words() -> Vec<(&'static str, bool)> {
        ["ok", "failed", "skipped"].map(|word| (word, true)).into()
    }
}

impl CacheMetrics {
    /// Those of a lookup that keeps answers, or only shares questions.
    pub(super) fn new(families: &Families, lookup: &str, keeps: bool) -> Self {
        CacheMetrics {
            lookups: families.cache_lookups.counts(&[lookup]),
            kept: keeps.then(|| KeptMetrics {
                refreshes: families.cache_refreshes.counts(&[lookup]),
                stale_if_error: families.cache_stale_if_error.counts(&[lookup]),
                evictions: families.cache_evictions.counts(&[lookup]),
                entries: families.cache_entries.gauge(&[lookup]),
                bytes: families.cache_bytes.gauge(&[lookup]),
            }),
        }
    }

    /// Counts a question.
    pub fn count(&self, found: CacheLookup) {
        self.lookups.count(found as usize);
    }

    /// Counts a question in the background.
    pub fn refreshed(&self, refreshed: Refreshed) {
        if let Some(kept) = &self.kept {
            kept.refreshes.count(refreshed as usize);
        }
    }

    /// Counts questions that got an old answer because the store failed.
    pub fn stale_if_error(&self, count: usize) {
        if let Some(kept) = &self.kept {
            kept.stale_if_error.add(0, count);
        }
    }

    /// Shows how large the cache is, and counts entries that made room for others.
    pub fn size(&self, entries: usize, bytes: usize, evicted: usize) {
        if let Some(kept) = &self.kept {
            kept.entries.set(entries);
            kept.bytes.set(bytes);
            kept.evictions.add(0, evicted);
        }
    }
}
