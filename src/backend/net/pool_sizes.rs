//! How many connections a pool keeps: a minimum always, and more while lookups wait behind slow ones.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::Section;

/// Rarer than the pauses of most loads, and soon enough for the server's memory.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// The keys `connections`, `connections_min` and `connection_idle_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) struct PoolSizes {
    /// Opened at start, and always kept.
    pub(in crate::backend) min: usize,
    pub(in crate::backend) max: usize,
    /// How long one that is not needed stays open.
    pub(in crate::backend) idle_max: Duration,
}

impl PoolSizes {
    /// Reads the keys. `most`: how many connections there can be.
    pub(in crate::backend) fn read(
        section: &mut Section<'_>,
        most: i64,
        (min, max): (i64, i64),
    ) -> Self {
        let max = section.integer("connections", 1..=most).unwrap_or(max);
        let own = section.integer("connections_min", 1..=max);
        let idle_max = section.timeout("connection_idle_max");
        let number = |number: i64| usize::try_from(number).unwrap_or(1);
        PoolSizes {
            min: number(own.unwrap_or(min.min(max))),
            max: number(max),
            idle_max: idle_max
                .unwrap_or(IDLE_MAX)
                .min(Duration::from_hours(24 * 365)),
        }
    }
}

/// Ends once a connection has not been used for `idle_max`. `used` says when it was used last, and whether it is in use.
pub(in crate::backend) async fn unused(idle_max: Duration, used: impl Fn() -> (Instant, bool)) {
    loop {
        let (at, in_use) = used();
        let now = Instant::now();
        let due = if in_use {
            now + idle_max
        } else {
            at + idle_max
        };
        if due <= now {
            return;
        }
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn what_is_used_stays() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let used = Cell::new((start, true));
        let closes = async {
            unused(second, || used.get()).await;
            start.elapsed()
        };
        let work = async {
            tokio::time::sleep(second * 5 / 2).await;
            used.set((Instant::now(), false));
        };
        let (closed, ()) = tokio::join!(closes, work);
        assert_eq!(closed, second * 7 / 2);
    }
}
