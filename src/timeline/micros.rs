//! Counts the times of a call in whole microseconds, as its report does.
//!
//! Times are compared, added and written many times per call. On a plain number each of these is one instruction; a
//! [`Duration`] keeps seconds and nanoseconds apart. An optional time takes no more room than a time: it has three of them
//! per lookup.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// A duration in microseconds. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros {
    /// The number of microseconds and one more, so that 0 means that there is no time.
    more: NonZeroU64,
}

impl Micros {
    /// No time.
    pub const ZERO: Micros = Micros::new(0);
    /// The longest duration.
    pub const MAX: Micros = Micros::new(u64::MAX);

    /// A duration of `micros` microseconds.
    #[inline]
    pub const fn new(micros: u64) -> Self {
        Micros {
            more: NonZeroU64::MIN.saturating_add(micros),
        }
    }

    /// The number of microseconds.
    #[inline]
    pub const fn get(self) -> u64 {
        self.more.get() - 1
    }

    /// The sum of both.
    #[must_use]
    #[inline]
    pub const fn plus(self, other: Micros) -> Self {
        Micros {
            more: self.more.saturating_add(other.get()),
        }
    }

    /// The difference to `other`; zero if this is shorter.
    #[must_use]
    #[inline]
    pub const fn minus(self, other: Micros) -> Self {
        Micros::new(self.get().saturating_sub(other.get()))
    }

    /// As an `i64` of the IDL.
    #[inline]
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.get()).unwrap_or(i64::MAX)
    }

    /// The quotient of this and `whole`; 1 if either is zero.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a quotient is shown with few digits"
    )]
    pub fn over(self, whole: Micros) -> f64 {
        if self == Micros::ZERO || whole == Micros::ZERO {
            return 1.0;
        }
        self.get() as f64 / whole.get() as f64
    }
}

impl Default for Micros {
    fn default() -> Self {
        Micros::ZERO
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Micros").field(&self.get()).finish()
    }
}

/// Rounds down.
impl From<Duration> for Micros {
    fn from(time: Duration) -> Self {
        let whole = time.as_secs().saturating_mul(1_000_000);
        Micros::new(whole.saturating_add(u64::from(time.subsec_micros())))
    }
}

impl From<Micros> for Duration {
    fn from(time: Micros) -> Self {
        Duration::from_micros(time.get())
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
        assert_eq!((Micros::ZERO.get(), two.plus(two).get()), (0, 4));
        assert_eq!(size_of::<Option<Micros>>(), size_of::<u64>());
        assert_eq!(Micros::MAX.plus(two), Micros::MAX);
        assert_eq!(two.minus(Micros::MAX), Micros::ZERO);
        assert_eq!((two.over(Micros::ZERO), Micros::ZERO.over(two)), (1.0, 1.0));
    }
}
