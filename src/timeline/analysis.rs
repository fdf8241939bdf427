//! Finds the lookups that decided how long a call took, and how much slower the others could have been without effect.
//!
//! In: a [`Timeline`]. Out: one [`Analysis`], in one pass forwards and one backwards over lookups and their
//! dependencies; no clock, no I/O. A lookup only ever depends on earlier ones ([`Lane::after`](super::Lane::after)), so plan
//! order is an order of dependencies and nothing has to be sorted. A timeline may come from the report of another
//! program; dependencies that break the rule are ignored.

use super::{Fate, Micros, Timeline, Track};
use crate::context::Mode;

/// The result of analysing a timeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// The lookups that decided the end, first to last, as indices into [`Timeline::tracks`]: each started because the
    /// one before it ended. In a serial call these are all lookups that ran.
    pub critical_path: Vec<usize>,
    /// Per lookup, how much later it could have ended without the last one ending later. Zero for a lookup
    /// that never ran.
    pub slack: Vec<Micros>,
    /// How long the same lookups take one after the other: the sum of their run times.
    pub serial: Micros,
    /// The largest sum of run times along dependencies: no schedule is faster.
    pub longest_chain: Micros,
    /// The most that concurrency can gain: `serial` over `longest_chain`; 1 if nothing ran.
    pub bound: f64,
    /// What concurrency did gain: `serial` over the call's elapsed time; 1 if nothing ran.
    pub ratio: f64,
}

impl Analysis {
    /// Analyses `timeline`.
    pub fn of(timeline: &Timeline) -> Self {
        let mut analysis = Analysis::default();
        analysis.renew(timeline);
        analysis
    }

    /// Analyses `timeline` instead of the one before it, in the same memory.
    pub fn renew(&mut self, timeline: &Timeline) {
        if timeline.mode == Mode::Evented && timeline.lanes.iter().all(|lane| lane.after.is_empty())
        {
            return self.renew_independent(timeline);
        }
        self.serial = timeline
            .tracks
            .iter()
            .map(Track::run_time)
            .fold(Micros::ZERO, Micros::plus);
        self.longest_chain = longest_chain(timeline);
        (self.critical_path, self.slack) = match timeline.mode {
            Mode::Evented => evented(timeline),
            Mode::Serial => serially(&timeline.tracks),
        };
        self.compare(timeline);
    }

    /// The same result, computed faster, for lookups that do not depend on each other, as in most calls.
    fn renew_independent(&mut self, timeline: &Timeline) {
        let tracks = &timeline.tracks;
        let (mut serial, mut longest) = (Micros::ZERO, Micros::ZERO);
        // As in `last`: a cancelled lookup only counts if all are.
        let mut last: Option<(usize, bool, Micros)> = None;
        for (at, track) in tracks.iter().enumerate() {
            if track.started.is_none() {
                continue;
            }
            let run_time = track.run_time();
            serial = serial.plus(run_time);
            longest = longest.max(run_time);
            let counts = track.fate != Fate::Cancelled;
            if last.is_none_or(|(_, before, end)| (before, end) < (counts, track.done)) {
                last = Some((at, counts, track.done));
            }
        }
        let end = last.map_or(Micros::ZERO, |(_, _, end)| end);
        let slack = tracks.iter().map(|track| match track.started {
            Some(_) => end.minus(track.done),
            None => Micros::ZERO,
        });
        self.slack.clear();
        self.slack.extend(slack);
        self.critical_path.clear();
        self.critical_path.extend(last.map(|(at, ..)| at));
        (self.serial, self.longest_chain) = (serial, longest);
        self.compare(timeline);
    }

    /// Computes what concurrency can gain, and what it did gain.
    fn compare(&mut self, timeline: &Timeline) {
        self.bound = self.serial.over(self.longest_chain);
        self.ratio = self.serial.over(timeline.elapsed);
    }
}

impl Timeline {
    /// Whether the reply has everything: each store that was asked has answered, and no default replaced an answer.
    pub fn complete(&self) -> bool {
        self.tracks.iter().all(|track| track.fate.is_complete())
    }

    /// Whether a lookup failed, so that its part is missing or a default. A default instead of an empty answer is no failure.
    pub fn is_partial(&self) -> bool {
        let failed = |track: &Track| {
            let is_default_of_empty = track.fate == Fate::Default && track.code.is_none();
            !track.fate.is_complete() && !is_default_of_empty
        };
        self.tracks.iter().any(failed)
    }

    /// When the last lookup that ran got its fate.
    pub fn last_done(&self) -> Micros {
        self.tracks
            .iter()
            .filter(|track| track.started.is_some())
            .map(|track| track.done)
            .max()
            .unwrap_or_default()
    }

    /// The dependency of the lookup at `at` that ended last: the one that it actually waited for.
    pub fn decider(&self, at: usize) -> Option<usize> {
        latest(&self.tracks, needs(self, at))
    }
}

/// The valid dependencies of the track at `at`.
fn needs(timeline: &Timeline, at: usize) -> impl Iterator<Item = usize> {
    timeline.lanes[at]
        .after
        .iter()
        .copied()
        .filter(move |&need| need < at)
}

/// The one that ended last; the first of several that ended together.
fn latest(tracks: &[Track], among: impl Iterator<Item = usize>) -> Option<usize> {
    among.reduce(|best, next| {
        if tracks[next].done > tracks[best].done {
            next
        } else {
            best
        }
    })
}

fn longest_chain(timeline: &Timeline) -> Micros {
    let tracks = &timeline.tracks;
    let mut chains: Vec<Micros> = Vec::with_capacity(tracks.len());
    for (at, track) in tracks.iter().enumerate() {
        let before = needs(timeline, at).map(|need| chains[need]).max();
        chains.push(before.unwrap_or_default().plus(track.run_time()));
    }
    chains.into_iter().max().unwrap_or_default()
}

fn evented(timeline: &Timeline) -> (Vec<usize>, Vec<Micros>) {
    let tracks = &timeline.tracks;
    let Some(last) = last(tracks) else {
        return (Vec::new(), vec![Micros::ZERO; tracks.len()]);
    };
    let mut path = Vec::new();
    let mut step = Some(last);
    while let Some(at) = step {
        if tracks[at].started.is_some() {
            path.push(at);
        }
        step = timeline.decider(at);
    }
    path.reverse();
    (path, slack(timeline, tracks[last].done))
}

/// The lookup whose end was the end: cancelled ones ended because the call did, so they only count when
/// there is nothing else.
fn last(tracks: &[Track]) -> Option<usize> {
    let ran = || (0..tracks.len()).filter(|&at| tracks[at].started.is_some());
    latest(
        tracks,
        ran().filter(|&at| tracks[at].fate != Fate::Cancelled),
    )
    .or_else(|| latest(tracks, ran()))
}

/// The latest harmless end of each lookup, from the last backwards: a dependent has to be ready early enough
/// for its own waiting and running, which are taken to be as long as they were.
fn slack(timeline: &Timeline, end: Micros) -> Vec<Micros> {
    let tracks = &timeline.tracks;
    let mut latest_end = vec![end; tracks.len()];
    for at in (0..tracks.len()).rev() {
        let track = &tracks[at];
        let own = match track.started {
            Some(_) => track.done.minus(track.planned),
            None => Micros::ZERO,
        };
        let ready = latest_end[at].minus(own);
        for need in needs(timeline, at) {
            latest_end[need] = latest_end[need].min(ready);
        }
    }
    tracks
        .iter()
        .zip(latest_end)
        .map(|(track, latest)| match track.started {
            Some(_) => latest.minus(track.done),
            None => Micros::ZERO,
        })
        .collect()
}

/// One at a time, every lookup delays all later ones: all of them are critical, none has slack.
fn serially(tracks: &[Track]) -> (Vec<usize>, Vec<Micros>) {
    let path = (0..tracks.len())
        .filter(|&at| tracks[at].started.is_some())
        .collect();
    (path, vec![Micros::ZERO; tracks.len()])
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, evented, ms, serial, timeline};
    use super::*;
    use crate::error::Code;

    #[track_caller]
    fn check(timeline: &Timeline, path: &str, slack: &[u64]) -> Analysis {
        let analysis = Analysis::of(timeline);
        let names: Vec<&str> = analysis
            .critical_path
            .iter()
            .map(|&at| &*timeline.lanes[at].name)
            .collect();
        assert_eq!(names.join(" "), path);
        let have: Vec<u64> = analysis
            .slack
            .iter()
            .map(|slack| slack.get() / 1000)
            .collect();
        assert_eq!(have, slack, "slack");
        analysis
    }

    #[test]
    fn the_path_walks_back_from_the_last_end() {
        let slack = [0, 0, 461, 441, 441, 340, 411, 410];
        let analysis = check(&evented(), "flight plane", &slack);
        assert_eq!(analysis.serial, ms(1010));
        assert_eq!(analysis.longest_chain, ms(502));
        assert!((analysis.bound - 1010.0 / 502.0).abs() < 1e-9);
        assert!((analysis.ratio - 1010.0 / 503.0).abs() < 1e-9);
    }

    #[test]
    fn one_at_a_time_everything_that_ran_is_critical() {
        let path = "flight plane airline origin destination weather punctuality alternatives";
        let analysis = check(&serial(), path, &[0; 8]);
        // The bound is a property of the plan, not of the order it was run in.
        assert_eq!(analysis.longest_chain, ms(502));
    }

    #[test]
    fn a_diamond_waits_for_its_slower_side() {
        let tracks = vec![
            Sample::new("root").ran(0, 10),
            Sample::new("quick").after(&[0]).ran(10, 20),
            Sample::new("slow").after(&[0]).ran(10, 50),
            Sample::new("tip").after(&[1, 2]).planned(50).ran(50, 60),
            Sample::new("loner").ran(0, 25),
        ];
        let analysis = check(
            &timeline(Mode::Evented, tracks, 60),
            "root slow tip",
            &[0, 30, 0, 0, 35],
        );
        assert_eq!(analysis.longest_chain, ms(60));
    }

    #[test]
    fn waiting_for_a_connection_is_part_of_a_dependents_time() {
        let tracks = vec![
            Sample::new("root").ran(0, 10),
            Sample::new("queued").after(&[0]).ran(40, 60).planned(10),
            Sample::new("last").ran(0, 70),
        ];
        check(&timeline(Mode::Evented, tracks, 70), "last", &[10, 10, 0]);
    }

    #[test]
    fn lookups_that_never_ran_are_not_on_the_path_but_pass_it_on() {
        let tracks = vec![
            Sample::new("kind").ran(0, 30),
            Sample::new("skipped").after(&[0]).ended(30, Fate::Skipped),
            Sample::new("tip").after(&[1]).ran(30, 40),
            Sample::new("dropped").ended(90, Fate::Shed),
        ];
        check(
            &timeline(Mode::Evented, tracks, 41),
            "kind tip",
            &[0, 0, 0, 0],
        );
    }

    #[test]
    fn a_cancelled_lookup_did_not_decide_the_end() {
        let failed = Some(Code::LookupFailed);
        let tracks = vec![
            Sample::new("required").ran(0, 30).fate(Fate::Error, failed),
            Sample::new("other").ran(0, 31).fate(Fate::Cancelled, None),
        ];
        check(&timeline(Mode::Evented, tracks, 31), "required", &[0, 0]);
    }

    #[test]
    fn independent_lookups_are_analysed_like_any_others() {
        let mut quick = timeline(
            Mode::Evented,
            vec![
                Sample::new("a").ran(1, 30),
                Sample::new("b").ran(0, 50),
                Sample::new("c").ran(20, 50),
                Sample::new("d").ended(60, Fate::Skipped),
                Sample::new("e").ran(0, 70).fate(Fate::Cancelled, None),
            ],
            61,
        );
        let analysis = check(&quick, "b", &[20, 0, 0, 0, 0]);
        // An impossible dependency is ignored, but the general algorithm runs.
        let mut lanes = quick.lanes.to_vec();
        lanes[0].after = vec![99];
        quick.lanes = lanes.into();
        assert_eq!(Analysis::of(&quick), analysis);
    }

    #[test]
    fn the_bound_of_an_empty_call_is_one() {
        let analysis = check(&timeline(Mode::Evented, Vec::new(), 0), "", &[]);
        assert_eq!((analysis.bound, analysis.ratio), (1.0, 1.0));
        let idle = vec![Sample::new("skipped")];
        check(&timeline(Mode::Serial, idle, 5), "", &[0]);
    }

    #[test]
    fn nonsense_from_a_foreign_report_does_no_harm() {
        let tracks = vec![
            Sample::new("self").after(&[0, 1, 99]).ran(0, u64::MAX),
            Sample::new("back").after(&[1]).ran(50, 20),
        ];
        check(
            &timeline(Mode::Evented, tracks, 0),
            "self",
            &[0, u64::MAX / 1000 - 20],
        );
    }

    #[test]
    fn complete_means_every_store_answered() {
        let complete = |fate| {
            let lookup = Sample::new("a").ran(0, 1).fate(fate, None);
            timeline(Mode::Evented, vec![lookup], 1).complete()
        };
        let fates = Fate::ALL.into_iter().filter(|&fate| complete(fate));
        let words: Vec<&str> = fates.map(Fate::as_str).collect();
        assert_eq!(words, ["ok", "empty", "skipped", "skipped_dependency"]);
    }
}
