//! Counts the times of a call in whole microseconds, as its report does.
//!
//! Times are compared, added and written many times per call. On a plain number each of these is one instruction; a
//! [`Duration`] keeps seconds and nanoseconds apart.

use std::time::Duration;

/// A duration in microseconds. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(u64);

impl Micros {
    /// No time.
    pub const ZERO: Micros = Micros(0);
    /// The longest duration.
    pub const MAX: Micros = Micros(u64::MAX);

    /// A duration of `micros` microseconds.
    pub const fn new(micros: u64) -> Self {
        Micros(micros)
    }

    /// The number of microseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Micros) -> Self {
        Micros(self.0.saturating_add(other.0))
    }

    /// The difference to `other`; zero if this is shorter.
    #[must_use]
    pub const fn minus(self, other: Micros) -> Self {
        Micros(self.0.saturating_sub(other.0))
    }

    /// As an `i64` of the IDL.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The quotient of this and `whole`; 1 if either is zero.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a quotient is shown with few digits"
    )]
    pub fn over(self, whole: Micros) -> f64 {
        if self.0 == 0 || whole.0 == 0 {
            return 1.0;
        }
        self.0 as f64 / whole.0 as f64
    }
}

/// Rounds down.
impl From<Duration> for Micros {
    fn from(time: Duration) -> Self {
        let whole = time.as_secs().saturating_mul(1_000_000);
        Micros(whole.saturating_add(u64::from(time.subsec_micros())))
    }
}

impl From<Micros> for Duration {
    fn from(time: Micros) -> Self {
        Duration::from_micros(time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_keeps_its_whole_microseconds() {
        let time = Duration::new(3, 4_999);
        assert_eq!(Micros::from(time), Micros::new(3_000_004));
        assert_eq!(Duration::from(Micros::new(7)), Duration::from_micros(7));
        assert_eq!(Micros::from(Duration::MAX), Micros::MAX);
        assert_eq!(Micros::MAX.to_i64(), i64::MAX);
    }

    #[test]
    fn nothing_overflows() {
        let two = Micros::new(2);
        assert_eq!(Micros::MAX.plus(two), Micros::MAX);
        assert_eq!(two.minus(Micros::MAX), Micros::ZERO);
        assert_eq!((two.over(Micros::ZERO), Micros::ZERO.over(two)), (1.0, 1.0));
    }
}
