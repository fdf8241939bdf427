//! The bytes of a successful lookup's report in the binary protocols, with the offsets of its times.

use std::sync::Arc;

use bytes::BytesMut;

use super::fields::Fields;
use super::layout::{Part, ReportLayout};
use crate::context::Mode;
use crate::plan::Plan;
use crate::thrift::BinaryWriter;
use crate::timeline::{Analysis, Fate, Lane, Micros, Source, Timeline, Track};

/// How many bytes an `i64` takes in binary.
const I64_BYTES: usize = 8;
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

/// The template of one lookup, for each of [`SOURCES`].
#[derive(Debug)]
pub(in crate::service) struct ReportTemplate([TemplateBytes; SOURCES.len()]);

#[derive(Debug)]
struct TemplateBytes {
    bytes: Box<[u8]>,
    /// The offset of each of [`TIMES`], if the IDL has a field for it.
    offsets: [Option<u32>; TIMES.len()],
}

impl ReportTemplate {
    /// The templates of a plan's lookups.
    pub(super) fn of_plan(layout: &ReportLayout, plan: &Plan) -> Vec<Self> {
        let of_lookup = |at| ReportTemplate::new(layout, &plan.lanes, at);
        (0..plan.lanes.len()).map(of_lookup).collect()
    }

    /// The template of the lookup at `at`.
    pub(super) fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>, at: usize) -> Self {
        ReportTemplate(SOURCES.map(|source| TemplateBytes::new(layout, lanes, at, source)))
    }

    /// Appends the lookup's struct. False if the lookup does not match the template; then nothing is written.
    #[inline]
    pub(super) fn fill(&self, out: &mut BytesMut, track: &Track, slack: Micros) -> bool {
        let (Fate::Ok, None, Some(started), Some(first_answer)) =
            (track.fate, track.code, track.started, track.first_answer)
        else {
            return false;
        };
        let [of_backend, of_batch] = &self.0;
        let filled = match track.source {
            Source::Backend => of_backend,
            Source::Batched => of_batch,
            _ => return false,
        };
        // In the order of `TIMES`.
        let times = [track.planned, started, first_answer, track.done, slack];
        let start = out.len();
        out.extend_from_slice(&filled.bytes);
        let written = &mut out[start..];
        for (offset, time) in filled.offsets.iter().zip(times) {
            if let Some(offset) = *offset
                && let Some(rest) = written.get_mut(offset as usize..)
                && let Some(slot) = rest.first_chunk_mut()
            {
                *slot = time.to_i64().to_be_bytes();
            }
        }
        true
    }
}

impl TemplateBytes {
    /// Writes the lookup again and again, each time with one more field. If that field is a time, its offset is recorded.
    fn new(layout: &ReportLayout, lanes: &Arc<[Lane]>, at: usize, source: Source) -> Self {
        let track = Track {
            planned: Micros::ZERO,
            started: Some(Micros::ZERO),
            first_answer: Some(Micros::ZERO),
            done: Micros::ZERO,
            fate: Fate::Ok,
            code: None,
            source,
            age: None,
        };
        let timeline = Timeline {
            mode: Mode::Evented,
            lanes: Arc::clone(lanes),
            tracks: vec![track; lanes.len()],
            elapsed: Micros::ZERO,
        };
        let analysis = Analysis::of(&timeline);
        let mut bytes = BytesMut::new();
        let mut offsets = [None; TIMES.len()];
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
            let last = first.last().map(|(part, _)| part);
            // If the last field is a time, one byte after it ends the struct.
            for (offset, time) in offsets.iter_mut().zip(TIMES) {
                if last == Some(&time) {
                    *offset = u32::try_from(bytes.len() - 1 - I64_BYTES).ok();
                }
            }
        }
        TemplateBytes {
            bytes: bytes[..].into(),
            offsets,
        }
    }
}
