//! Maps times to the columns of a waterfall, places the ticks, and writes times.
//!
//! Both ends of a bar are rounded the same way, so a lookup that starts when another ends starts in the
//! column where that one stopped.

use std::ops::Range;

use crate::timeline::Micros;

/// A time axis `columns` wide, from zero to `end`.
pub(super) struct Axis {
    /// In milliseconds; above zero.
    end: f64,
    columns: usize,
}

/// A mark on the axis.
pub(super) struct Tick {
    pub(super) column: usize,
    pub(super) label: String,
}

impl Axis {
    pub(super) fn new(end: Micros, columns: usize) -> Self {
        Axis {
            // An empty axis would divide by zero; any length will do.
            end: millis(end.max(Micros::new(1))),
            columns: columns.max(1),
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The columns from one time to another, up to the end of the axis. Empty if both round to the same column.
    pub(super) fn span(&self, from: Micros, to: Micros) -> Range<usize> {
        let start = self.column(millis(from));
        start..self.column(millis(to)).max(start)
    }

    /// The column of `at`; the last column for later times.
    pub(super) fn point(&self, at: Micros) -> usize {
        self.within(millis(at))
    }

    fn within(&self, at: f64) -> usize {
        self.column(at).min(self.columns - 1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column between zero and a terminal's width, after clamping"
    )]
    /// The column of a time in milliseconds.
    fn column(&self, at: f64) -> usize {
        let column = at / self.end * self.columns as f64;
        column.round().clamp(0.0, self.columns as f64) as usize
    }

    /// Ticks at round times, as close as their labels allow.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let step = self.step();
        let mut ticks = Vec::new();
        // The step leaves room for a label per tick, so there are never more ticks than columns.
        for count in 0..=u32::try_from(self.columns).unwrap_or(u32::MAX) {
            let at = step * f64::from(count);
            if at > self.end * (1.0 + 1e-9) {
                break;
            }
            ticks.push(Tick {
                column: self.within(at),
                label: tick_label(at, step),
            });
        }
        ticks
    }

    /// The smallest of 1, 2, 5, 10, 20, ... that leaves two columns between labels.
    #[expect(clippy::cast_precision_loss, reason = "a terminal's width")]
    fn step(&self) -> f64 {
        let per_column = self.end / self.columns as f64;
        let mut power = 10_f64.powf(per_column.log10().floor());
        // Three powers of ten above one column is wider than any label; the fourth is for safety.
        for _ in 0..4 {
            for digit in [1.0, 2.0, 5.0] {
                let step = digit * power;
                let label = tick_label(self.end, step).chars().count();
                if step / per_column >= (label + 2) as f64 {
                    return step;
                }
            }
            power *= 10.0;
        }
        self.end
    }

    /// A length of time with the precision of this axis; in microseconds if that would not have two digits.
    pub(super) fn time(&self, time: Micros) -> String {
        let (decimals, short) = match self.end {
            end if end < 10.0 => (3, 0.0),
            end if end < 10_000.0 => (1, 1.0),
            _ => (0, 10.0),
        };
        match millis(time) {
            huge if huge >= 1e9 => format!("{huge:.2e} ms"),
            brief if brief < short => format!("{} us", time.get()),
            time => format!("{time:.decimals$} ms"),
        }
    }
}

fn tick_label(at: f64, step: f64) -> String {
    if at >= 1e9 {
        return format!("{at:.0e} ms");
    }
    let decimals = match step {
        step if step < 0.01 => 3,
        step if step < 0.1 => 2,
        step if step < 1.0 => 1,
        _ => 0,
    };
    format!("{at:.decimals$} ms")
}

#[expect(clippy::cast_precision_loss, reason = "a column, or a few digits")]
fn millis(time: Micros) -> f64 {
    time.get() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::sample::ms;

    #[test]
    fn adjacent_bars_meet() {
        let axis = Axis::new(ms(1000), 61);
        for at in 0..=1000 {
            let before = axis.span(ms(at / 2), ms(at));
            let behind = axis.span(ms(at), ms(1000));
            assert_eq!(before.end, behind.start, "at {at} ms");
        }
        assert_eq!(axis.span(ms(900), ms(5000)), 55..61);
        assert_eq!(axis.point(Micros::MAX), 60);
    }

    #[test]
    fn ticks_are_round_and_apart() {
        for end in [1, 7, 50, 99, 100, 503, 1000, 86_400_000, u64::MAX / 1000] {
            for columns in [1, 10, 40, 61, 200] {
                let ticks = Axis::new(ms(end), columns).ticks();
                assert!(!ticks.is_empty() && ticks[0].column == 0);
                for pair in ticks.windows(2) {
                    let room = pair[1].column - pair[0].column;
                    assert!(room > pair[0].label.len(), "{end} ms in {columns} columns");
                }
            }
        }
    }

    #[test]
    fn times_are_written_in_the_axis_precision() {
        assert_eq!(Axis::new(ms(500), 60).time(ms(41)), "41.0 ms");
        assert_eq!(Axis::new(ms(5), 60).time(Micros::new(41)), "0.041 ms");
        assert_eq!(Axis::new(ms(50_000), 60).time(ms(41)), "41 ms");
        assert_eq!(Axis::new(ms(500), 60).time(Micros::new(41)), "41 us");
        assert_eq!(Axis::new(ms(500), 60).time(Micros::ZERO), "0 us");
        assert_eq!(Axis::new(ms(50_000), 60).time(ms(4)), "4000 us");
        assert_eq!(Axis::new(ms(0), 60).time(Micros::MAX), "1.84e16 ms");
    }
}
