//! Counts the results of the calls.
//!
//! Totals only grow; the results of a period are the difference of two snapshots.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::usage::{Process, Usage};

/// The limit of kinds of errors; further ones count as "other".
const KINDS_MAX: usize = 32;
/// Latencies are kept exact to 0.1 percent,
const DIGITS: u8 = 3;
/// in nanoseconds; longer ones than an hour count as one.
const LONGEST: u64 = 3_600_000_000_000;

/// Which part of a run a call belongs to, by when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    WarmUp,
    Measurement,
}

/// The counters of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: Cell<u64>,
    refused: Cell<u64>,
    sent: Cell<u64>,
    received: Cell<u64>,
    latencies: RefCell<Option<Histogram<u64>>>,
    errors: RefCell<BTreeMap<String, u64>>,
    warmup_errors: Cell<u64>,
}

/// The totals at an instant.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// When it was taken.
    pub(super) at: Instant,
    /// Calls that were answered correctly.
    pub(super) answered: u64,
    /// Calls that were answered with an error.
    pub(super) refused: u64,
    /// Bytes sent.
    pub(super) sent: u64,
    /// Bytes received.
    pub(super) received: u64,
    /// What the server has used, if it is known.
    pub(super) server: Option<Usage>,
    /// What this process has used.
    pub(super) own: Option<Usage>,
}

/// The latencies and errors of a run.
#[derive(Debug)]
pub(super) struct Tallied {
    /// Of the calls that were due after the warm-up and were answered correctly.
    pub(super) latencies: Option<Histogram<u64>>,
    /// Of the calls that were due after the warm-up, by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// How many calls of the warm-up failed.
    pub(super) warmup_errors: u64,
}

impl Tally {
    /// A call was answered correctly. Its latency is `None` during the warm-up.
    pub(super) fn answered(&self, latency: Option<Duration>) {
        self.answered.set(self.answered.get() + 1);
        let Some(latency) = latency else { return };
        let mut latencies = self.latencies.borrow_mut();
        if latencies.is_none() {
            *latencies = Histogram::new_with_max(LONGEST, DIGITS).ok();
        }
        if let Some(latencies) = latencies.as_mut() {
            latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// A call was answered with an error.
    pub(super) fn refused(&self, kind: &str, of: Of) {
        self.refused.set(self.refused.get() + 1);
        self.failed(kind, 1, of);
    }

    /// So many calls failed.
    pub(super) fn failed(&self, kind: &str, calls: u64, of: Of) {
        if calls == 0 {
            return;
        }
        if of == Of::WarmUp {
            self.warmup_errors.set(self.warmup_errors.get() + calls);
            return;
        }
        let mut errors = self.errors.borrow_mut();
        let room = errors.len() < KINDS_MAX || errors.contains_key(kind);
        let kind = if room { kind } else { "other" };
        *errors.entry(kind.to_owned()).or_default() += calls;
    }

    /// Bytes were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }

    /// Bytes were received.
    pub(super) fn received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
    }

    /// Whether the server sent anything.
    pub(super) fn has_received(&self) -> bool {
        self.received.get() > 0
    }

    /// The totals now.
    pub(super) fn snapshot(&self, server: Option<Usage>) -> Snapshot {
        Snapshot {
            at: Instant::now(),
            answered: self.answered.get(),
            refused: self.refused.get(),
            sent: self.sent.get(),
            received: self.received.get(),
            server,
            own: Process::own().usage(),
        }
    }

    /// Takes the latencies and errors out.
    pub(super) fn take(&self) -> Tallied {
        Tallied {
            latencies: self.latencies.take(),
            errors: self.errors.take(),
            warmup_errors: self.warmup_errors.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_by_percentile() {
        let tally = Tally::default();
        tally.answered(None);
        for ms in 1..=100 {
            tally.answered(Some(Duration::from_millis(ms)));
        }
        assert_eq!(tally.snapshot(None).answered, 101);
        let latencies = tally.take().latencies.expect("some were measured");
        assert_eq!(latencies.len(), 100);
        let p99 = latencies.value_at_percentile(99.0);
        assert!((98_900_000..=99_100_000).contains(&p99), "{p99}");
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let tally = Tally::default();
        for kind in 0..100 {
            tally.failed(&format!("kind {kind}"), 1, Of::Measurement);
        }
        tally.failed("kind 0", 2, Of::Measurement);
        tally.failed("kind 0", 5, Of::WarmUp);
        tally.failed("none", 0, Of::Measurement);
        let Tallied {
            errors,
            warmup_errors,
            ..
        } = tally.take();
        assert_eq!(errors.len(), KINDS_MAX + 1);
        assert_eq!((errors["kind 0"], errors["other"]), (3, 68));
        assert_eq!(warmup_errors, 5);
    }
}
