//! Records what happened when in one call, and computes pictures and figures from it.
//!
//! A run fills a [`Timeline`]: plain data, with times that count from the call's arrival. The report in the reply, the
//! waterfall in the terminal, the critical path and each lookup's slack are made from it.

mod analysis;
mod gain;
mod micros;
mod report;
mod waterfall;
#[cfg(test)]
pub(crate) mod sample;

use std::sync::Arc;

use crate::context::Mode;
use crate::error::Code;

pub use analysis::Analysis;
pub use micros::Micros;
pub use waterfall::{Look, render, render_together};

/// The one final outcome of a planned lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Answered with a value that fits.
    Ok,
    /// The store has no value.
    Empty,
    /// The configured default is used.
    Default,
    /// Its `when` does not hold.
    Skipped,
    /// A lookup it needs has no value.
    SkippedDependency,
    /// Took longer than its timeout or the call's deadline.
    Timeout,
    /// Was not sent in time.
    TimeoutPool,
    /// Failed; the code says why.
    Error,
    /// Its backend failed too often recently.
    BreakerOpen,
    /// Too many lookups are waiting for its backend.
    Shed,
    /// The call ended first.
    Cancelled,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Fate; 11] = [
        Fate::Ok,
        Fate::Empty,
        Fate::Default,
        Fate::Skipped,
        Fate::SkippedDependency,
        Fate::Timeout,
        Fate::TimeoutPool,
        Fate::Error,
        Fate::BreakerOpen,
        Fate::Shed,
        Fate::Cancelled,
    ];

    /// The word in reports, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Ok => "ok",
            Fate::Empty => "empty",
            Fate::Default => "default",
            Fate::Skipped => "skipped",
            Fate::SkippedDependency => "skipped_dependency",
            Fate::Timeout => "timeout",
            Fate::TimeoutPool => "timeout_pool",
            Fate::Error => "error",
            Fate::BreakerOpen => "breaker_open",
            Fate::Shed => "shed",
            Fate::Cancelled => "cancelled",
        }
    }

    /// The fate called `word`.
    pub fn parse(word: &str) -> Option<Fate> {
        Fate::ALL.into_iter().find(|fate| fate.as_str() == word)
    }

    /// Whether the reply has everything that this lookup can give.
    pub fn is_complete(self) -> bool {
        match self {
            // A lookup whose dependency has no value adds nothing: if the dependency failed, the dependency's own fate says so.
            Fate::Ok | Fate::Empty | Fate::Skipped | Fate::SkippedDependency => true,
            Fate::Default
            | Fate::Timeout
            | Fate::TimeoutPool
            | Fate::Error
            | Fate::BreakerOpen
            | Fate::Shed
            | Fate::Cancelled => false,
        }
    }

    /// Whether there is a value to merge.
    pub fn has_value(self) -> bool {
        matches!(self, Fate::Ok | Fate::Default)
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// There is no answer.
    None,
    /// The store was asked for this call alone.
    Backend,
    /// A fresh cached value.
    Cache,
    /// A cached value that has expired.
    Stale,
    /// The question of another call that was already under way.
    Coalesced,
    /// One question for several calls.
    Batched,
    /// A second endpoint of the store, because the first was slow.
    Hedged,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 7] = [
        Source::None,
        Source::Backend,
        Source::Cache,
        Source::Stale,
        Source::Coalesced,
        Source::Batched,
        Source::Hedged,
    ];

    /// The word in reports, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::None => "none",
            Source::Backend => "backend",
            Source::Cache => "cache",
            Source::Stale => "stale",
            Source::Coalesced => "coalesced",
            Source::Batched => "batched",
            Source::Hedged => "hedged",
        }
    }

    /// The source of a whole whose parts came from both: an old part makes the whole old, and a part for which the store was
    /// asked means that it was asked.
    #[must_use]
    pub fn with(self, other: Source) -> Source {
        let rank = |source| match source {
            Source::None => 0,
            Source::Cache => 1,
            Source::Coalesced => 2,
            Source::Batched => 3,
            Source::Backend => 4,
            Source::Hedged => 5,
            Source::Stale => 6,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }

    /// The source called `word`.
    pub fn parse(word: &str) -> Option<Source> {
        Source::ALL
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

/// The part of a lookup that is known before any call.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Its name in the view.
    pub name: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// The lookups whose values it needs, as indices into [`Timeline::tracks`]; always smaller than its own.
    pub after: Vec<usize>,
    /// What is asked instead if it fails, in this order.
    pub fallbacks: Vec<FallbackLane>,
}

/// What is asked instead of a lookup.
#[derive(Clone, Debug, PartialEq)]
pub struct FallbackLane {
    /// Its name in `else`.
    pub name: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
}

/// One lookup of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// When its inputs were known.
    pub planned: Micros,
    /// When it was started; `None` if it never was.
    pub started: Option<Micros>,
    /// When the first byte of its answer arrived.
    pub first_answer: Option<Micros>,
    /// When its fate was known.
    pub done: Micros,
    /// Its fate.
    pub fate: Fate,
    /// Its code, if it has one.
    pub code: Option<Code>,
    /// Where its value came from.
    pub source: Source,
    /// How old its value is, if it was kept for a while.
    pub age: Option<Micros>,
    /// How many other lookups travelled in the same question; 0 of a `foreach`, of which it is not known.
    pub mates: u16,
    /// Which of [`Lane::fallbacks`] was asked last, and so gave it its fate; `None` if none was asked.
    pub fallback: Option<u8>,
    /// Why the lookup itself failed, if another one was asked instead.
    pub first_code: Option<Code>,
}

impl Lane {
    /// What gave the lookup of `track` its fate, if that was another one.
    pub fn answered_by(&self, track: &Track) -> Option<&FallbackLane> {
        self.fallbacks.get(usize::from(track.fallback?))
    }
}

impl Track {
    /// How long it ran; zero if it never started.
    pub fn run_time(&self) -> Micros {
        self.started
            .map_or(Micros::ZERO, |started| self.done.minus(started))
    }
}

/// What happened when in one call. Times count from the call's arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// How lookups were started.
    pub mode: Mode,
    /// One per track. All calls of a plan share them.
    pub lanes: Arc<[Lane]>,
    /// In plan order: a lookup comes after those it needs.
    pub tracks: Vec<Track>,
    /// When the reply was merged.
    pub elapsed: Micros,
    /// Which endpoint answered a lookup, or was asked last for it, by the index of its track; only of backends with endpoints.
    pub endpoints: Option<Box<Endpoints>>,
}

/// Which endpoints were asked for which lookup. Few calls have some, so they are kept apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints(Vec<(usize, AskedEndpoints)>);

/// Which endpoints were asked for one lookup. A backend says when by its clock, a timeline from the call's arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedEndpoints<T = Micros> {
    /// The one that answered, or was asked last; `None` in a report, which does not name it.
    pub last: Option<Arc<str>>,
    /// How many were asked, one after the other or at the same time.
    pub attempts: u8,
    /// Two were asked at the same time, because the first was slow.
    pub hedged: bool,
    /// When the second of these two was asked.
    pub hedged_at: Option<T>,
}

impl<T> AskedEndpoints<T> {
    /// Only this one was asked.
    pub fn one(endpoint: Arc<str>) -> Self {
        AskedEndpoints {
            last: Some(endpoint),
            attempts: 1,
            hedged: false,
            hedged_at: None,
        }
    }

    /// The same, with times as `to` converts them.
    pub fn converted<U>(&self, to: impl FnOnce(&T) -> U) -> AskedEndpoints<U> {
        AskedEndpoints {
            last: self.last.clone(),
            attempts: self.attempts,
            hedged: self.hedged,
            hedged_at: self.hedged_at.as_ref().map(to),
        }
    }

    /// More than one was asked.
    pub fn are_several(&self) -> bool {
        self.attempts > 1
    }
}

impl Endpoints {
    /// Notes those of the lookup at `at`.
    pub fn note(&mut self, at: usize, asked: AskedEndpoints) {
        self.forget(at);
        self.0.push((at, asked));
    }

    /// The lookup at `at` has none any more.
    pub fn forget(&mut self, at: usize) {
        self.0.retain(|(of, _)| *of != at);
    }
}

impl Timeline {
    /// The endpoint that answered the lookup at `at`, or was asked last for it.
    pub fn endpoint(&self, at: usize) -> Option<&str> {
        self.asked_endpoints(at)?.last.as_deref()
    }

    /// The endpoints that were asked for the lookup at `at`, if its backend has some.
    pub fn asked_endpoints(&self, at: usize) -> Option<&AskedEndpoints> {
        let mut all = self.endpoints.as_ref()?.0.iter();
        all.find_map(|(of, asked)| (*of == at).then_some(asked))
    }

    /// The same if there were several, which is rare.
    pub fn several_endpoints(&self, at: usize) -> Option<&AskedEndpoints> {
        self.asked_endpoints(at).filter(|asked| asked.are_several())
    }

    /// Whether several endpoints were asked for some lookup.
    #[inline]
    pub fn asked_again(&self) -> bool {
        let all = self.endpoints.as_ref();
        all.is_some_and(|all| all.0.iter().any(|(_, asked)| asked.are_several()))
    }
}
