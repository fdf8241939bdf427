//! Decides whether the server refuses too many calls to be sent more: `unready_refusals` of `[admin]`.
//!
//! In: the counts of calls and of refusals, several times a second. Out: what `/readyz` says. It never looks at a call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::config::UnreadyRefusals;
use crate::metrics::{Metrics, Refusals};

/// How often the counts are read.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The counts of the last `within`.
struct Window {
    config: UnreadyRefusals,
    /// The oldest first, at most one of which is older than `within`.
    seen: VecDeque<(Instant, Refusals)>,
    /// Until when the server is not ready.
    until: Option<Instant>,
}

/// Looks at the counts for as long as it is polled.
pub(super) async fn watch(config: UnreadyRefusals, metrics: Arc<Metrics>) {
    let mut window = Window {
        config,
        seen: VecDeque::new(),
        until: None,
    };
    let mut refuses = false;
    loop {
        let now = window.look(Instant::now(), metrics.refusals());
        metrics.health().refuses(now);
        if now && !refuses {
            warn!(unready_for = ?config.hold, "not ready: too many calls are refused");
        } else if refuses && !now {
            info!("ready: calls are no longer refused");
        }
        refuses = now;
        sleep(LOOK_EVERY).await;
    }
}

impl Window {
    /// Adds the counts of this moment. Returns whether the server is not ready because of them or earlier ones.
    fn look(&mut self, now: Instant, counts: Refusals) -> bool {
        self.seen.push_back((now, counts));
        let begin = now.checked_sub(self.config.within);
        let is_past = |at: &Instant| begin.is_some_and(|begin| *at <= begin);
        while self.seen.get(1).is_some_and(|(at, _)| is_past(at)) {
            self.seen.pop_front();
        }
        let (_, before) = self.seen.front().copied().unwrap_or((now, counts));
        let refused = counts.refused.saturating_sub(before.refused);
        let calls = counts.calls.saturating_sub(before.calls);
        if refused >= self.config.count && is_share(refused, calls, self.config.share) {
            self.until = Some(now + self.config.hold);
        }
        self.until.is_some_and(|until| now < until)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn is_share(part: u64, whole: u64, share: f64) -> bool {
    part as f64 >= whole as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks once a second at these numbers of calls and refusals in that second. Returns the seconds in which the
    /// server was not ready.
    fn unready(seconds: &[(u64, u64)]) -> Vec<usize> {
        let config = UnreadyRefusals {
            share: 0.5,
            count: 100,
            within: 5 * SECOND,
            hold: 10 * SECOND,
        };
        let (seen, until) = (VecDeque::new(), None);
        let mut window = Window {
            config,
            seen,
            until,
        };
        let mut counts = Refusals::default();
        let mut now = Instant::now();
        window.look(now, counts);
        let mut unready = Vec::new();
        for (at, (calls, refused)) in seconds.iter().enumerate() {
            now += SECOND;
            counts.calls += calls;
            counts.refused += refused;
            if window.look(now, counts) {
                unready.push(at);
            }
            assert!(window.seen.len() <= 7);
        }
        unready
    }

    #[test]
    fn refusals_make_it_unready_for_a_while() {
        let mut seconds = vec![(200, 0), (200, 120)];
        seconds.resize(30, (0, 0));
        // 120 of 400: less than half. A second later the first 200 still count, and so on until they are too old.
        assert_eq!(unready(&seconds)[0], 5);
        let mut seconds = vec![(200, 0), (300, 290)];
        seconds.resize(30, (0, 0));
        // The condition holds for as long as the refusals are in the window, and ten seconds from then on.
        assert_eq!(unready(&seconds), (1..15).collect::<Vec<_>>());
    }

    #[test]
    fn few_refusals_or_a_small_share_of_them_do_not() {
        assert_eq!(unready(&[(19, 19); 30]), [0; 0], "95 in five seconds");
        assert_eq!(unready(&[(1000, 400); 30]), [0; 0], "40 percent");
        assert_eq!(unready(&[(20, 20); 10]), [4, 5, 6, 7, 8, 9]);
    }
}
