//! Planned faults: a delay before a lookup is sent, and a share of lookups that fail.

use std::time::Duration;

use crate::backend::LookupError;
use crate::error::Code;

/// Tokio's timers count in milliseconds and round up: with half of one less a delay is right on the average.
const HALF_TICK: Duration = Duration::from_micros(500);

/// `inject = { delay = "120ms", error_rate = 0.1 }`
#[derive(Clone, Copy, Debug, Default)]
pub struct Inject {
    /// How long each lookup waits before it is sent.
    pub delay: Option<Duration>,
    /// The share of lookups that end in `lookup.injected`, 0.0 to 1.0.
    pub error_rate: f64,
}

impl Inject {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.delay.is_none() && self.error_rate <= 0.0
    }

    /// Waits and, if this lookup is `unlucky`, fails: after the delay, as a slow failure would.
    pub async fn apply(&self, unlucky: bool) -> Result<(), LookupError> {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay.saturating_sub(HALF_TICK)).await;
        }
        if unlucky {
            return Err(LookupError::new(
                Code::LookupInjected,
                "injected by the configuration",
            ));
        }
        Ok(())
    }
}

/// A small seeded generator (`SplitMix64`), so that a test can repeat a run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Random(seed)
    }

    /// A seed that differs from process to process.
    pub fn from_process() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Random(RandomState::new().hash_one(std::process::id()))
    }

    /// The next 64 bits. Constants: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// True with probability `share`.
    pub fn chance(&mut self, share: f64) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            reason = "53 random bits fit a double exactly"
        )]
        let unit = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_follows_its_share() {
        let mut random = Random::seeded(7);
        let hits = (0..10_000).filter(|_| random.chance(0.1)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert!(!(0..100).any(|_| random.chance(0.0)));
        assert!((0..100).all(|_| random.chance(1.0)));
    }
}
