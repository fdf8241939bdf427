//! Tells a loop that has too much to do from one that other processes, or a slow disk, keep from running.
//!
//! Calls are late in both cases. But a disturbance is usually over before refusals would help, and a loop that gets its processor
//! back has time left. So only the loop's own work counts at first. A disturbance that lasts is how fast this machine is, as
//! under a quota of a container: then all of the time counts.

use std::cell::Cell;
use std::time::Duration;

use crate::metrics::{Beat, processor_time};

/// A disturbance that takes longer is none.
const LONG: Duration = Duration::from_secs(1);
/// A loop that has to wait for a tenth of the time is disturbed.
const PART: u32 = 10;

/// What keeps a loop from its work.
#[derive(Debug)]
pub(super) struct Disturbance {
    /// For how much longer beats have been disturbed than not. Some are not under a quota either.
    lasted: Cell<Duration>,
    clock: fn() -> Duration,
}

impl Default for Disturbance {
    fn default() -> Self {
        Disturbance::with_clock(processor_time)
    }
}

impl Disturbance {
    /// With a clock that says how long the loop has worked.
    pub(super) fn with_clock(clock: fn() -> Duration) -> Self {
        Disturbance {
            lasted: Cell::new(Duration::ZERO),
            clock,
        }
    }

    /// How late a beat is because of the loop's own work.
    pub(super) fn own_lag(&self, beat: &Beat) -> Duration {
        let is_disturbed = beat.is_busy && beat.kept_waiting * PART >= beat.elapsed;
        let lasted = self.lasted.get();
        self.lasted.set(if is_disturbed {
            (lasted + beat.elapsed).min(2 * LONG)
        } else {
            lasted.saturating_sub(beat.elapsed)
        });
        if self.is_long() {
            beat.late
        } else {
            beat.late.saturating_sub(beat.kept_waiting)
        }
    }

    /// Whether it has lasted for so long that it is how things are.
    pub(super) fn is_long(&self) -> bool {
        self.lasted.get() >= LONG
    }

    /// How long the loop has worked since some point in the past.
    pub(super) fn worked(&self) -> Duration {
        (self.clock)()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_short_disturbance_is_no_lag_and_a_long_one_is() {
        let disturbance = Disturbance::default();
        let own_lag = |late_ms: u32, kept_waiting_ms: u32, is_busy| {
            let beat = Beat {
                late: late_ms * MS,
                elapsed: (50 + late_ms) * MS,
                busy: 1.0,
                is_busy,
                kept_waiting: kept_waiting_ms * MS,
                next: Instant::now(),
            };
            disturbance.own_lag(&beat).as_millis()
        };
        assert_eq!(own_lag(150, 0, true), 150, "its own work");
        assert_eq!(own_lag(150, 10, true), 140);
        for _ in 0..4 {
            assert_eq!(own_lag(150, 120, true), 30, "others' work");
        }
        assert_eq!(own_lag(150, 10, true), 140, "that was short");
        assert_eq!(own_lag(150, 200, true), 0);
        assert_eq!(own_lag(150, 200, true), 150, "now it is long");
        assert_eq!(own_lag(150, 150, true), 150);
        for _ in 0..6 {
            own_lag(0, 0, false);
        }
        assert_eq!(own_lag(150, 150, true), 150, "nearly all the time");
        for _ in 0..20 {
            own_lag(0, 0, false);
        }
        assert_eq!(own_lag(150, 150, true), 0, "it had time left for a second");
    }
}
