//! The bytes of a report's successful lookups in the binary protocols, with the offsets of their times.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use super::fields::Fields;
use super::layout::{Part, ReportLayout};
use crate::context::Mode;
use crate::thrift::BinaryWriter;
use crate::timeline::{Analysis, Fate, Lane, Micros, Source, Timeline, Track};

/// How many bytes an `i64` and an `i32` take in binary.
const I64_BYTES: usize = 8;
const I32_BYTES: usize = 4;
/// Where the answers of nearly all successful lookups come from.
const SOURCES: [Source; 2] = [Source::Backend, Source::Batched];

/// The times of a lookup.
const TIMES: [Part; 5] = [
    Part::Planned,
    Part::Started,
    Part::FirstAnswer,
    Part::Done,
    Part::Slack,
];

/// The template of a plan, for each of [`SOURCES`].
#[derive(Debug)]
pub(in crate::service) struct ReportTemplate([PlanBytes; SOURCES.len()]);

/// The structs of all lookups of a plan, one after the other.
#[derive(Debug)]
struct PlanBytes {
    bytes: Box<[u8]>,
    lookups: Box<[LookupBytes]>,
}

/// One of these structs.
#[derive(Debug)]
struct LookupBytes {
    range: Range<usize>,
    /// The offset of each of [`TIMES`] among the bytes of all, if the IDL has a field for it.
    offsets: [Option<u32>; TIMES.len()],
    /// The offset of the number of lookups in the same question, likewise; only in the template of batches.
    mates: Option<u32>,
}

impl ReportTemplate {
    /// The template of a plan with these lookups.
    pub(super) fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>) -> Self {
        ReportTemplate(SOURCES.map(|source| PlanBytes::new(layout, lanes, source)))
    }

    /// Appends the structs of all lookups, each with its slack. False if some lookup does not match the template, or if their
    /// sources differ; then nothing is written.
    pub(super) fn fill(&self, out: &mut BytesMut, tracks: &[Track], slack: &[Micros]) -> bool {
        let source = tracks.first().map_or(Source::None, |track| track.source);
        let Some(filled) = self.of(source) else {
            return false;
        };
        let start = out.len();
        out.extend_from_slice(&filled.bytes);
        let written = &mut out[start..];
        for ((lookup, track), slack) in filled.lookups.iter().zip(tracks).zip(slack) {
            match times(track, *slack) {
                Some(times) if track.source == source => {
                    lookup.put(written, 0, (times, track.mates));
                }
                _ => {
                    out.truncate(start);
                    return false;
                }
            }
        }
        true
    }

    /// Appends the struct of the lookup at `at`. False if the lookup does not match the template; then nothing is written.
    pub(super) fn fill_one(
        &self,
        out: &mut BytesMut,
        at: usize,
        (track, slack): (&Track, Micros),
    ) -> bool {
        let (Some(times), Some(filled)) = (times(track, slack), self.of(track.source)) else {
            return false;
        };
        let Some(lookup) = filled.lookups.get(at) else {
            return false;
        };
        let start = out.len();
        out.extend_from_slice(&filled.bytes[lookup.range.clone()]);
        lookup.put(&mut out[start..], lookup.range.start, (times, track.mates));
        true
    }

    fn of(&self, source: Source) -> Option<&PlanBytes> {
        let [of_backend, of_batch] = &self.0;
        match source {
            Source::Backend => Some(of_backend),
            Source::Batched => Some(of_batch),
            _ => None,
        }
    }
}

/// The times of a lookup in the order of [`TIMES`]; `None` if it has not succeeded, or has fields that no template has.
#[inline]
fn times(track: &Track, slack: Micros) -> Option<[Micros; TIMES.len()]> {
    match (track.fate, track.code, track.age, track.fallback) {
        (Fate::Ok, None, None, None) => Some([
            track.planned,
            track.started?,
            track.first_answer?,
            track.done,
            slack,
        ]),
        _ => None,
    }
}

impl PlanBytes {
    fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>, source: Source) -> Self {
        let mut bytes = BytesMut::new();
        let mut lookups = Vec::with_capacity(lanes.len());
        for at in 0..lanes.len() {
            let start = bytes.len();
            let (offsets, mates) = append_lookup(layout, lanes, (at, source), &mut bytes);
            let range = start..bytes.len();
            lookups.push(LookupBytes {
                range,
                offsets,
                mates,
            });
        }
        PlanBytes {
            bytes: bytes[..].into(),
            lookups: lookups.into(),
        }
    }
}

impl LookupBytes {
    /// Puts the times and the number of mates into the bytes, of which those before `from` are left out.
    #[inline]
    fn put(&self, bytes: &mut [u8], from: usize, (times, mates): ([Micros; TIMES.len()], u16)) {
        for (offset, time) in self.offsets.iter().zip(times) {
            if let Some(offset) = *offset
                && let Some(rest) = bytes.get_mut(offset as usize - from..)
                && let Some(slot) = rest.first_chunk_mut()
            {
                *slot = time.to_i64().to_be_bytes();
            }
        }
        if let Some(offset) = self.mates
            && let Some(rest) = bytes.get_mut(offset as usize - from..)
            && let Some(slot) = rest.first_chunk_mut()
        {
            *slot = i32::from(mates).to_be_bytes();
        }
    }
}

/// Appends the struct of the lookup at `at`, and returns the offset of each of [`TIMES`], and that of the number of mates.
/// The struct is written again and again, each time with one more field. If that field is one of these, its offset is recorded.
fn append_lookup(
    layout: &ReportLayout,
    lanes: &Arc<[Lane]>,
    (at, source): (usize, Source),
    bytes: &mut BytesMut,
) -> ([Option<u32>; TIMES.len()], Option<u32>) {
    let track = Track {
        planned: Micros::ZERO,
        started: Some(Micros::ZERO),
        first_answer: Some(Micros::ZERO),
        done: Micros::ZERO,
        fate: Fate::Ok,
        code: None,
        source,
        age: None,
        mates: 0,
        fallback: None,
        first_code: None,
    };
    let timeline = Timeline {
        mode: Mode::Evented,
        lanes: Arc::clone(lanes),
        tracks: vec![track; lanes.len()],
        elapsed: Micros::ZERO,
        endpoints: None,
    };
    let analysis = Analysis::of(&timeline);
    let start = bytes.len();
    let (mut offsets, mut mates) = ([None; TIMES.len()], None);
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
        bytes.truncate(start);
        fields.lookup(&mut BinaryWriter::new(bytes, true), at);
        let last = first.last().map(|(part, _)| part);
        // One byte after the last field ends the struct.
        for (offset, time) in offsets.iter_mut().zip(TIMES) {
            if last == Some(&time) {
                *offset = u32::try_from(bytes.len() - 1 - I64_BYTES).ok();
            }
        }
        if last == Some(&Part::Mates) && source == Source::Batched {
            mates = u32::try_from(bytes.len() - 1 - I32_BYTES).ok();
        }
    }
    (offsets, mates)
}
