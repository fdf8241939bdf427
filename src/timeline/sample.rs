//! Timelines for tests, in readable form: `Sample::new("plane").after(&[0]).ran(281, 502)`.

use std::sync::Arc;

use super::{Fate, Lane, Micros, Source, Timeline, Track};
use crate::context::Mode;
use crate::error::Code;

pub(crate) fn ms(milliseconds: u64) -> Micros {
    Micros::new(milliseconds.saturating_mul(1000))
}

/// A track under construction.
pub(crate) struct Sample(Track, Lane);

impl Sample {
    /// A lookup that was never started.
    pub(crate) fn new(name: &str) -> Self {
        let track = Track {
            planned: Micros::ZERO,
            started: None,
            first_answer: None,
            done: Micros::ZERO,
            fate: Fate::Skipped,
            code: None,
            source: Source::None,
            age: None,
            mates: 0,
            fallback: None,
            first_code: None,
        };
        let lane = Lane {
            name: Arc::from(name),
            backend: Arc::from("ops"),
            after: Vec::new(),
            fallbacks: Vec::new(),
        };
        Sample(track, lane)
    }

    pub(crate) fn after(mut self, needs: &[usize]) -> Self {
        self.1.after = needs.to_vec();
        self
    }

    /// Ran from one millisecond to another, and succeeded.
    pub(crate) fn ran(mut self, from: u64, to: u64) -> Self {
        self.0.planned = ms(from);
        self.0.started = Some(ms(from));
        self.0.done = ms(to);
        self.0.fate = Fate::Ok;
        self.0.source = Source::Backend;
        self
    }

    /// Its inputs were known before it was started.
    pub(crate) fn planned(mut self, at: u64) -> Self {
        self.0.planned = ms(at);
        self
    }

    pub(crate) fn first_answer(mut self, at: u64) -> Self {
        self.0.first_answer = Some(ms(at));
        self
    }

    pub(crate) fn fate(mut self, fate: Fate, code: Option<Code>) -> Self {
        self.0.fate = fate;
        self.0.code = code;
        if !fate.has_value() {
            self.0.source = Source::None;
        }
        self
    }

    pub(crate) fn source(mut self, source: Source) -> Self {
        self.0.source = source;
        self
    }

    /// The lookup ended at `at` without having been started.
    pub(crate) fn ended(mut self, at: u64, fate: Fate) -> Self {
        self.0.planned = ms(at);
        self.0.done = ms(at);
        self.0.fate = fate;
        self
    }
}

pub(crate) fn timeline(mode: Mode, samples: Vec<Sample>, elapsed: u64) -> Timeline {
    Timeline {
        mode,
        lanes: samples.iter().map(|sample| sample.1.clone()).collect(),
        tracks: samples.into_iter().map(|sample| sample.0).collect(),
        elapsed: ms(elapsed),
        endpoints: None,
    }
}

/// The demo's call, everything started as soon as it could be.
pub(crate) fn evented() -> Timeline {
    let tracks = vec![
        Sample::new("flight").ran(0, 281).first_answer(281),
        Sample::new("plane").after(&[0]).ran(281, 502),
        Sample::new("airline").ran(0, 41),
        Sample::new("origin").ran(0, 61),
        Sample::new("destination").ran(0, 61).source(Source::Cache),
        Sample::new("weather").ran(0, 162).first_answer(110),
        Sample::new("punctuality").ran(0, 91),
        Sample::new("alternatives").ran(0, 92),
    ];
    timeline(Mode::Evented, tracks, 503)
}

/// The same call one lookup at a time.
pub(crate) fn serial() -> Timeline {
    let mut at = 0;
    let evented = evented();
    let tracks = evented
        .tracks
        .into_iter()
        .zip(&*evented.lanes)
        .map(|(mut track, lane)| {
            let run: u64 = track.run_time().get() / 1000;
            track.planned = if lane.after.is_empty() { ms(0) } else { ms(at) };
            track.started = Some(ms(at));
            track.first_answer = None;
            at += run;
            track.done = ms(at);
            Sample(track, lane.clone())
        })
        .collect();
    timeline(Mode::Serial, tracks, 1012)
}
