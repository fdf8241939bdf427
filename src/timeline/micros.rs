//! Times of a call in whole microseconds, as its report has them.
//!
//! A call's times are compared, added up and written many times over, and each of these is one instruction on a
//! plain number; a [`Duration`] keeps seconds and nanoseconds apart.

use std::time::Duration;

/// A length of time in microseconds. Nothing here overflows: the longest stands for anything longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(u64);

impl Micros {
    /// None at all.
    pub const ZERO: Micros = Micros(0);
    /// The longest that there is.
    pub const MAX: Micros = Micros(u64::MAX);

    /// So many microseconds.
    pub const fn new(micros: u64) -> Self {
        Micros(micros)
    }

    /// How many there are.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Both one after the other.
    #[must_use]
    pub const fn plus(self, other: Micros) -> Self {
        Micros(self.0.saturating_add(other.0))
    }

    /// By how much this is longer than `other`; zero if it is not.
    #[must_use]
    pub const fn minus(self, other: Micros) -> Self {
        Micros(self.0.saturating_sub(other.0))
    }

    /// As the IDL's `i64` has it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// As a fraction of `whole`; 1 if either is nothing.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what is shown of a quotient has few digits"
    )]
    pub fn over(self, whole: Micros) -> f64 {
        if self.0 == 0 || whole.0 == 0 {
            return 1.0;
        }
        self.0 as f64 / whole.0 as f64
    }
}

/// What is left of a microsecond is left out.
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
