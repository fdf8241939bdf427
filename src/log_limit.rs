//! Limits how often the log repeats a message: one line per key every ten seconds. The key is usually a code.
//!
//! The next line of a key says how many were suppressed since the last one.

use std::cell::RefCell;

use tokio::time::{Duration, Instant};

use crate::error::Code;

/// How often a key may be logged.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// When each key was last logged. There are few keys, so a list is searched fastest.
#[derive(Debug)]
pub(crate) struct LogLimit<K = Code>(RefCell<Vec<Logged<K>>>);

#[derive(Debug)]
struct Logged<K> {
    key: K,
    at: Instant,
    suppressed: u64,
}

impl<K> Default for LogLimit<K> {
    fn default() -> Self {
        LogLimit(RefCell::default())
    }
}

impl<K: PartialEq> LogLimit<K> {
    /// Whether `key` may be logged now. If so: how many lines were suppressed since the last one.
    pub(crate) fn allow(&self, key: K) -> Option<u64> {
        let now = Instant::now();
        let mut list = self.0.borrow_mut();
        let Some(logged) = list.iter_mut().find(|logged| logged.key == key) else {
            list.push(Logged {
                key,
                at: now,
                suppressed: 0,
            });
            return Some(0);
        };
        if now.duration_since(logged.at) < INTERVAL {
            logged.suppressed += 1;
            return None;
        }
        logged.at = now;
        Some(std::mem::take(&mut logged.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_code_is_logged_once_per_interval_with_the_number_suppressed() {
        let limit = LogLimit::default();
        assert_eq!(limit.allow(Code::LookupTimeout), Some(0));
        assert_eq!(limit.allow(Code::LookupTimeout), None);
        assert_eq!(limit.allow(Code::LookupTimeout), None);
        assert_eq!(limit.allow(Code::MergeType), Some(0), "another code");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(limit.allow(Code::LookupTimeout), Some(2));
        assert_eq!(limit.allow(Code::LookupTimeout), None);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(limit.allow(Code::LookupTimeout), Some(1));
        assert_eq!(limit.allow(Code::MergeType), Some(0));
    }
}
