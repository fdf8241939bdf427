//! Divides the columns of a waterfall between names, bars, times and notes.
//!
//! Pictures that are drawn together share one [`Layout`], so that equal lengths mean equal times in all of them.

use super::axis::Axis;
use super::ink::Alphabet;
use super::look::Look;
use crate::error::Code;
use crate::timeline::{Fate, Lane, Micros, Source, Timeline, Track};

/// A narrower terminal can't hold a name and a bar.
const WIDTH_MIN: usize = 56;
/// A bar with fewer columns shows nothing.
const BAR_MIN: usize = 10;
/// Deeper branches would leave no room for names.
const DEPTH_MAX: usize = 4;

/// How many columns each part gets.
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) label: usize,
    pub(super) time: usize,
    pub(super) note: usize,
    pub(super) axis: Axis,
}

/// The text of one row.
pub(super) struct RowText {
    /// The name, with the branch that leads to it.
    pub(super) label: String,
    /// Anything unusual about the lookup.
    pub(super) note: String,
}

impl Layout {
    /// The layout that fits each of `timelines` with its texts.
    pub(super) fn new(timelines: &[(&Timeline, &[RowText])], look: &Look) -> Self {
        let width = look.width.max(WIDTH_MIN);
        let end = look.axis.unwrap_or_else(|| {
            let ends = timelines.iter();
            let ends = ends.map(|(timeline, _)| timeline.elapsed.max(timeline.last_done()));
            ends.max().unwrap_or_default()
        });
        let words = || timelines.iter().flat_map(|(_, words)| words.iter());
        let label = widest(words().map(|words| count(&words.label))).min(width / 4);
        let note = widest(words().map(|words| count(&words.note))).min(width / 3);
        let tracks = timelines.iter().flat_map(|(timeline, _)| &timeline.tracks);
        let precision = Axis::new(end, 1);
        let time = widest(tracks.map(|track| count(&precision.time(track.run_time()))));
        // Two columns for the mark, one after the name, one before the time, two before the note.
        let note_room = if note == 0 { 0 } else { note + 2 };
        let taken = 2 + label + 1 + 1 + time + note_room;
        Layout {
            width,
            label,
            time,
            note,
            axis: Axis::new(end, width.saturating_sub(taken).max(BAR_MIN)),
        }
    }
}

fn widest(widths: impl Iterator<Item = usize>) -> usize {
    widths.max().unwrap_or(0)
}

/// The text of each row. A branch connects a lookup to the one above it that it waited for. If other rows are between
/// them, or if it waited for several, its note says so.
pub(super) fn words(timeline: &Timeline, alphabet: &Alphabet) -> Vec<RowText> {
    let mut above: Vec<usize> = Vec::new();
    let mut rows = Vec::with_capacity(timeline.tracks.len());
    for (at, (track, lane)) in timeline.tracks.iter().zip(&*timeline.lanes).enumerate() {
        let parent = timeline.decider(at);
        let hangs = parent.and_then(|parent| above.iter().position(|&up| up == parent));
        above.truncate(hangs.map_or(0, |position| position + 1));
        let depth = above.len().max(usize::from(parent.is_some()));
        let label = match depth.min(DEPTH_MAX) {
            0 => lane.name.to_string(),
            depth => "  ".repeat(depth - 1) + alphabet.branch + &lane.name,
        };
        above.push(at);
        let untold = (parent.is_some() && hangs.is_none()) || lane.after.len() > 1;
        let after = untold.then(|| &lane.after[..]);
        let note = note(timeline, (at, track, lane), after.unwrap_or_default());
        rows.push(RowText { label, note });
    }
    rows
}

fn note(timeline: &Timeline, (at, track, lane): (usize, &Track, &Lane), after: &[usize]) -> String {
    let mut words = Vec::new();
    match (track.fate, track.code.map(Code::as_str)) {
        (Fate::Ok, _) => {}
        // The code says more than the fate.
        (Fate::Error, Some(code)) => words.push(code.to_owned()),
        // Why there is no answer that the default stands in for.
        (Fate::Default, Some(code)) => words.push(format!("default for {code}")),
        (fate, _) => words.push(fate.as_str().to_owned()),
    }
    let hedged = hedged_after(timeline, at, track);
    if !matches!(track.source, Source::Backend | Source::None) {
        let source = track.source.as_str();
        words.push(match (track.age, track.source, &hedged) {
            (Some(age), _, _) => format!("{source} of {}", old(age)),
            (_, Source::Batched, _) if track.mates > 0 => format!("{source} with {}", track.mates),
            (_, Source::Hedged, Some(after)) => format!("{source} after {after}"),
            _ => source.to_owned(),
        });
    }
    if let Some(asked) = timeline.several_endpoints(at) {
        let untold = match &hedged {
            Some(after) if track.source != Source::Hedged => {
                words.push(format!("2nd endpoint after {after}"));
                2
            }
            Some(_) => 2,
            None => 1,
        };
        if asked.attempts > untold {
            words.push(format!("asked {} endpoints", asked.attempts));
        }
    }
    if let Some(fallback) = lane.answered_by(track) {
        words.push(match track.first_code {
            Some(code) => format!("asked {} after {code}", fallback.name),
            None => format!("asked {}", fallback.name),
        });
    }
    if !after.is_empty() {
        let needs = after.iter().filter_map(|&at| timeline.lanes.get(at));
        let names: Vec<&str> = needs.map(|need| &*need.name).collect();
        words.push(format!("after {}", names.join(", ")));
    }
    words.join(", ")
}

/// How long after the start of the lookup its second endpoint was asked.
fn hedged_after(timeline: &Timeline, at: usize, track: &Track) -> Option<String> {
    let asked = timeline.several_endpoints(at)?.hedged_at?;
    let after = asked.minus(track.started.unwrap_or_default());
    let ends = timeline.elapsed.max(timeline.last_done());
    Some(Axis::new(ends, 1).time(after))
}

/// An age in the largest unit that it fills: `340ms`, `12s`, `3m`.
fn old(age: Micros) -> String {
    let seconds = age.get() / 1_000_000;
    match seconds {
        0 => format!("{}ms", age.get() / 1000),
        1..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

/// The number of columns that `text` takes.
pub(super) fn count(text: &str) -> usize {
    text.chars().count()
}
