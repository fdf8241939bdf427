//! The bytes of the lookups of a report in the binary protocols, with the offsets of what differs between calls.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use super::fields::Fields;
use super::layout::{Part, ReportLayout};
use crate::context::Mode;
use crate::thrift::BinaryWriter;
use crate::timeline::{Analysis, Fate, Lane, Micros, Source, Timeline, Track};

/// How many bytes an `i64` takes in binary.
const I64_BYTES: usize = 8;
/// The length of the words for where the answers of nearly all successful lookups come from: `backend` and `batched`.
const SOURCE_BYTES: usize = Source::Backend.as_str().len();

/// The times of a lookup.
const TIMES: [Part; 5] = [
    Part::Planned,
    Part::Started,
    Part::FirstAnswer,
    Part::Done,
    Part::Slack,
];

/// The templates of the lookups of a plan.
#[derive(Debug)]
pub(in crate::service) struct ReportTemplate {
    /// For lookups of which it is known when their answers began to arrive.
    timed: LookupsTemplate,
    untimed: LookupsTemplate,
}

/// The lookups of a plan, one after the other, as if all had succeeded.
#[derive(Debug)]
struct LookupsTemplate {
    bytes: Vec<u8>,
    lookups: Vec<LookupTemplate>,
}

/// One lookup in a template. Its offsets count from its own start; there is none for a field that is not written.
#[derive(Debug)]
struct LookupTemplate {
    /// Where it starts in the template.
    start: usize,
    length: usize,
    /// In the order of [`TIMES`].
    times: [Option<usize>; TIMES.len()],
    source: Option<usize>,
}

impl ReportTemplate {
    /// The templates of the lookups of a plan with these lanes.
    pub(super) fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>) -> Self {
        ReportTemplate {
            timed: LookupsTemplate::new(layout, lanes, Some(Micros::ZERO)),
            untimed: LookupsTemplate::new(layout, lanes, None),
        }
    }

    /// Appends the structs of the lookups from `at` on, as far as all of them match the same template. Returns their number.
    #[inline]
    pub(super) fn fill(
        &self,
        out: &mut BytesMut,
        at: usize,
        tracks: &[Track],
        slack: &[Micros],
    ) -> usize {
        let is_timed = tracks[at].first_answer.is_some();
        let template = if is_timed { &self.timed } else { &self.untimed };
        let matching = tracks[at..]
            .iter()
            .take_while(|track| track.first_answer.is_some() == is_timed && source(track).is_some())
            .count();
        template.fill(out, at..at + matching, tracks, slack);
        matching
    }
}

/// The source of a lookup that matches a template.
#[inline]
fn source(track: &Track) -> Option<&'static [u8; SOURCE_BYTES]> {
    let has_succeeded = matches!(
        (track.fate, track.code, track.started),
        (Fate::Ok, None, Some(_))
    );
    let source = track.source.as_str().as_bytes().try_into().ok();
    source.filter(|_| has_succeeded)
}

impl LookupsTemplate {
    fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>, first_answer: Option<Micros>) -> Self {
        let mut bytes = Vec::new();
        let of_lookup = |at| LookupTemplate::append(&mut bytes, layout, (lanes, at), first_answer);
        let lookups = (0..lanes.len()).map(of_lookup).collect();
        LookupsTemplate { bytes, lookups }
    }

    /// Appends the structs of some lookups, all of which match.
    #[inline]
    fn fill(&self, out: &mut BytesMut, at: Range<usize>, tracks: &[Track], slack: &[Micros]) {
        let lookups = &self.lookups[at.clone()];
        let (Some(first), Some(last)) = (lookups.first(), lookups.last()) else {
            return;
        };
        let written = out.len();
        out.extend_from_slice(&self.bytes[first.start..last.start + last.length]);
        let mut rest = &mut out[written..];
        let differing = tracks[at.clone()].iter().zip(&slack[at]);
        for (lookup, (track, slack)) in lookups.iter().zip(differing) {
            let own;
            (own, rest) = rest.split_at_mut(lookup.length);
            lookup.fill(own, track, *slack);
        }
    }
}

impl LookupTemplate {
    /// Appends the lookup at `at` to `template`. It is written again and again, each time with one more field, so that the
    /// offset of a field that differs between calls is known when it is the last one.
    fn append(
        template: &mut Vec<u8>,
        layout: &ReportLayout,
        (lanes, at): (&Arc<[Lane]>, usize),
        first_answer: Option<Micros>,
    ) -> Self {
        let track = Track {
            planned: Micros::ZERO,
            started: Some(Micros::ZERO),
            first_answer,
            done: Micros::ZERO,
            fate: Fate::Ok,
            code: None,
            source: Source::Backend,
        };
        let timeline = Timeline {
            mode: Mode::Evented,
            lanes: Arc::clone(lanes),
            tracks: vec![track; lanes.len()],
            elapsed: Micros::ZERO,
        };
        let analysis = Analysis::of(&timeline);
        let mut bytes = BytesMut::new();
        let (mut times, mut source) = ([None; TIMES.len()], None);
        for until in 0..=layout.lookup.len() {
            let first = &layout.lookup[..until];
            let begun = ReportLayout {
                report: Vec::new(),
                lookup: first.to_vec(),
            };
            let fields = Fields {
                layout: &begun,
                timeline: &timeline,
                analysis: &analysis,
            };
            bytes.clear();
            fields.lookup(&mut BinaryWriter::new(&mut bytes, true), at);
            // After the last field, one byte ends the struct.
            let end = bytes.len() - 1;
            match first.last() {
                Some((Part::Source, _)) => source = Some(end - SOURCE_BYTES),
                Some((part, _)) if part.time(&track, Micros::ZERO).is_some() => {
                    let which = TIMES.iter().position(|time| time == part);
                    if let Some(which) = which {
                        times[which] = Some(end - I64_BYTES);
                    }
                }
                _ => {}
            }
        }
        let start = template.len();
        template.extend_from_slice(&bytes);
        LookupTemplate {
            start,
            length: bytes.len(),
            times,
            source,
        }
    }

    /// Overwrites what differs between calls in the bytes of this lookup.
    #[inline]
    fn fill(&self, bytes: &mut [u8], track: &Track, slack: Micros) {
        // In the order of `TIMES`.
        let times = [
            track.planned,
            track.started.unwrap_or_default(),
            track.first_answer.unwrap_or_default(),
            track.done,
            slack,
        ];
        for (offset, time) in self.times.iter().zip(times) {
            if let Some(offset) = *offset {
                let time = time.to_i64().to_be_bytes();
                bytes[offset..offset + I64_BYTES].copy_from_slice(&time);
            }
        }
        if let (Some(offset), Some(source)) = (self.source, source(track)) {
            bytes[offset..offset + SOURCE_BYTES].copy_from_slice(source);
        }
    }
}
