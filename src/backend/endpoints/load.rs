//! Measures one endpoint: how many questions it has, and how long it usually takes to answer.
//!
//! The time is a moving average that follows a slow answer at once and forgets it slowly ("peak EWMA"): the endpoint that is
//! slow now is avoided before its average over a while says so.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// After this long, two thirds of what was known are forgotten.
const DECAY: Duration = Duration::from_secs(10);

/// How busy and how fast an endpoint is.
#[derive(Debug)]
pub(super) struct Load {
    in_flight: Cell<u32>,
    /// In seconds.
    latency: Cell<f64>,
    measured: Cell<Instant>,
}

impl Load {
    /// Idle, and as fast as can be until it is measured.
    pub(super) fn new() -> Self {
        Load {
            in_flight: Cell::new(0),
            latency: Cell::new(0.0),
            measured: Cell::new(Instant::now()),
        }
    }

    pub(super) fn begins(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(super) fn ends(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// It took so long to answer.
    pub(super) fn took(&self, time: Duration, now: Instant) {
        let (time, known) = (time.as_secs_f64(), self.latency.get());
        let latency = if time >= known {
            time
        } else {
            let passed = now.saturating_duration_since(self.measured.get());
            let kept = (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp();
            known * kept + time * (1.0 - kept)
        };
        self.latency.set(latency);
        self.measured.set(now);
    }

    /// The questions in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// How long the next question is expected to take, in seconds, up to a factor.
    pub(super) fn expected(&self) -> f64 {
        // One that was never measured is asked once in a while by the draw, and looks best then.
        self.latency.get() * f64::from(self.in_flight.get() + 1)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let load = Load::new();
        let took = |millis| load.took(Duration::from_millis(millis), Instant::now());
        let expected = || (load.expected() * 1000.0).round();
        took(10);
        assert!((expected() - 10.0).abs() < 0.5);
        took(500);
        assert!((expected() - 500.0).abs() < 0.5);
        advance(DECAY / 10).await;
        took(10);
        assert!((440.0..460.0).contains(&expected()), "{}", expected());
        advance(DECAY * 10).await;
        took(10);
        assert!((expected() - 10.0).abs() < 0.5);
        load.begins();
        assert!((expected() - 20.0).abs() < 0.5 && load.in_flight() == 1);
        load.ends();
        assert_eq!(load.in_flight(), 0);
    }
}
