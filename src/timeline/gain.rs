//! Predicts how much sooner a call would have ended if one of its lookups had been faster.
//!
//! In: a [`Timeline`]. Out: the difference of its end. Every lookup is taken to wait as long after the last of those that
//! it needs, and to run as long, as it did; only the one in question runs for less time. No clock, no I/O.

use super::{Fate, Micros, Timeline, Track};
use crate::context::Mode;

impl Timeline {
    /// How much sooner the last lookup would have ended, if the one at `faster` had run for `by` less.
    pub fn gain(&self, faster: usize, by: Micros) -> Micros {
        let mut ends: Vec<Micros> = Vec::with_capacity(self.tracks.len());
        // In a serial call, each waits for the one that ran before it too.
        let (mut before, mut before_now) = (Micros::ZERO, Micros::ZERO);
        for (at, track) in self.tracks.iter().enumerate() {
            let needs = self.lanes[at].after.iter().filter(|need| **need < at);
            let (mut ready, mut ready_now) = needs.fold((before, before_now), |of, &need| {
                (of.0.max(self.tracks[need].done), of.1.max(ends[need]))
            });
            // What a report of another program says may be nonsense.
            ready = ready.min(track.done);
            ready_now = ready_now.min(ready);
            let saved = if at == faster {
                by.min(track.run_time())
            } else {
                Micros::ZERO
            };
            let end = ready_now.plus(track.done.minus(ready)).minus(saved);
            ends.push(end);
            if self.mode == Mode::Serial && track.started.is_some() {
                (before, before_now) = (track.done, end);
            }
        }
        let end_of = |of: &dyn Fn(usize) -> Micros| {
            let ran = |at: &usize| counts(&self.tracks[*at]);
            (0..ends.len()).filter(ran).map(of).max()
        };
        let end = end_of(&|at| self.tracks[at].done).unwrap_or_default();
        end.minus(end_of(&|at| ends[at]).unwrap_or_default())
    }
}

/// A cancelled lookup ended because the call did.
fn counts(track: &Track) -> bool {
    track.started.is_some() && track.fate != Fate::Cancelled
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, evented, ms, serial, timeline};
    use super::*;

    /// What 10 ms less would gain at each lookup.
    fn gains(timeline: &Timeline) -> Vec<u64> {
        let gain = |at| timeline.gain(at, ms(10)).get() / 1000;
        (0..timeline.tracks.len()).map(gain).collect()
    }

    #[test]
    fn only_the_critical_path_gains_and_serially_everything_does() {
        assert_eq!(gains(&evented()), [10, 10, 0, 0, 0, 0, 0, 0]);
        assert_eq!(gains(&serial()), [10; 8]);
    }

    #[test]
    fn another_lookup_may_be_nearly_as_slow() {
        let tracks = vec![
            Sample::new("a").ran(0, 50),
            Sample::new("b").ran(0, 47),
            Sample::new("quick").ran(0, 4),
        ];
        assert_eq!(gains(&timeline(Mode::Evented, tracks, 51)), [3, 0, 0]);
        let short = vec![Sample::new("a").ran(0, 4)];
        assert_eq!(gains(&timeline(Mode::Evented, short, 5)), [4]);
    }

    #[test]
    fn waiting_stays_as_long_as_it_was() {
        let tracks = vec![
            Sample::new("root").ran(0, 30),
            Sample::new("queued").after(&[0]).ran(40, 60).planned(30),
            Sample::new("never").after(&[0]).ended(30, Fate::Skipped),
            Sample::new("cut").ran(0, 61).fate(Fate::Cancelled, None),
        ];
        assert_eq!(gains(&timeline(Mode::Evented, tracks, 61)), [10, 10, 0, 0]);
    }

    #[test]
    fn nonsense_does_no_harm() {
        let tracks = vec![
            Sample::new("self").after(&[0, 1, 99]).ran(0, u64::MAX),
            Sample::new("back").after(&[0]).ran(50, 20),
        ];
        let _gains = gains(&timeline(Mode::Serial, tracks, 0));
    }
}
