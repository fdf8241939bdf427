//! A small seeded random number generator, so that a test can repeat a run.

/// A `SplitMix64` generator; not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the same numbers whenever it starts from the same seed.
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
        self.unit() < share
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        self.unit()
    }

    /// A factor between `1 - spread` and `1 + spread`.
    pub fn about_one(&mut self, spread: f64) -> f64 {
        1.0 + spread * (2.0 * self.unit() - 1.0)
    }

    /// From 0 to below 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 random bits fit a double exactly"
    )]
    fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_matches_its_share() {
        let mut random = Random::seeded(7);
        let hits = (0..10_000).filter(|_| random.chance(0.1)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert!(!(0..100).any(|_| random.chance(0.0)));
        assert!((0..100).all(|_| random.chance(1.0)));
        let factors: Vec<f64> = (0..1000).map(|_| random.about_one(0.1)).collect();
        assert!(factors.iter().all(|factor| (0.9..=1.1).contains(factor)));
        assert!(
            factors.iter().any(|factor| *factor < 0.91)
                && factors.iter().any(|factor| *factor > 1.09)
        );
    }
}
