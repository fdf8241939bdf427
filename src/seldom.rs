//! Keeps what happens all the time from filling the log: of each kind, by its code, one line now and then, which says
//! how many were left out before it.

use std::cell::RefCell;

use tokio::time::{Duration, Instant};

use crate::error::Code;

/// How often one kind is told.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// What was last told, by code. There are few codes, so the list stays short.
#[derive(Debug, Default)]
pub(crate) struct Seldom(RefCell<Vec<Told>>);

#[derive(Debug)]
struct Told {
    code: Code,
    at: Instant,
    left_out: u64,
}

impl Seldom {
    /// Whether this one of its kind is to be told, and how many were left out since the last that was.
    pub(crate) fn due(&self, code: Code) -> Option<u64> {
        let now = Instant::now();
        let mut list = self.0.borrow_mut();
        let Some(told) = list.iter_mut().find(|told| told.code == code) else {
            list.push(Told {
                code,
                at: now,
                left_out: 0,
            });
            return Some(0);
        };
        if now.duration_since(told.at) < EVERY {
            told.left_out += 1;
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_told_now_and_then_with_how_many_were_not() {
        let seldom = Seldom::default();
        assert_eq!(seldom.due(Code::LookupTimeout), Some(0));
        assert_eq!(seldom.due(Code::LookupTimeout), None);
        assert_eq!(seldom.due(Code::LookupTimeout), None);
        assert_eq!(seldom.due(Code::MergeType), Some(0), "another kind is news");
        tokio::time::advance(EVERY).await;
        assert_eq!(seldom.due(Code::LookupTimeout), Some(2));
        assert_eq!(seldom.due(Code::LookupTimeout), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(seldom.due(Code::LookupTimeout), Some(1));
        assert_eq!(seldom.due(Code::MergeType), Some(0));
    }
}
