//! Writes a report field by field, in any protocol.

use thrift::protocol::TType;

use super::layout::{Part, ReportLayout};
use crate::error::Code;
use crate::thrift::ProtocolWriter;
use crate::timeline::{Analysis, Source, Timeline};

/// The fields of one report.
pub(super) struct Fields<'a> {
    pub(super) layout: &'a ReportLayout,
    pub(super) timeline: &'a Timeline,
    pub(super) analysis: &'a Analysis,
}

impl Fields<'_> {
    /// The whole report; `lookups` writes the structs of all lookups.
    pub(super) fn report<O: ProtocolWriter>(&self, out: &mut O, lookups: impl Fn(&mut O)) {
        let mut last = 0;
        for &(part, id) in &self.layout.report {
            match part {
                Part::Complete => out.bool_field(last, id, self.timeline.complete()),
                Part::Mode => {
                    out.field(TType::I32, last, id);
                    out.i32(i32::try_from(self.timeline.mode.number()).unwrap_or_default());
                }
                Part::Lookups => {
                    out.field(TType::List, last, id);
                    out.list(TType::Struct, count(self.timeline.tracks.len()));
                    lookups(out);
                }
                Part::CriticalPath => {
                    out.field(TType::List, last, id);
                    self.names(out, &self.analysis.critical_path);
                }
                Part::Elapsed => out.i64_field(last, id, self.timeline.elapsed.to_i64()),
                Part::Serial => out.i64_field(last, id, self.analysis.serial.to_i64()),
                Part::Bound => {
                    out.field(TType::Double, last, id);
                    out.double(self.analysis.bound);
                }
                _ => continue,
            }
            last = id;
        }
        out.stop();
    }

    /// One lookup's struct.
    pub(super) fn lookup<O: ProtocolWriter>(&self, out: &mut O, at: usize) {
        let (track, lane) = (&self.timeline.tracks[at], &self.timeline.lanes[at]);
        let fallback = lane.answered_by(track);
        let backend = fallback.map_or(&lane.backend, |fallback| &fallback.backend);
        let mut last = 0;
        for &(part, id) in &self.layout.lookup {
            match part {
                Part::Name => text(out, last, id, &lane.name),
                Part::Backend => text(out, last, id, backend),
                Part::Fate => text(out, last, id, track.fate.as_str()),
                Part::Source => text(out, last, id, track.source.as_str()),
                Part::Code | Part::FirstCode => match part.code(track) {
                    Some(code) => text(out, last, id, Code::as_str(code)),
                    None => continue,
                },
                Part::AnsweredBy => match fallback {
                    Some(fallback) => text(out, last, id, &fallback.name),
                    None => continue,
                },
                Part::After => {
                    out.field(TType::List, last, id);
                    self.names(out, &lane.after);
                }
                Part::Attempts => match self.timeline.several_endpoints(at) {
                    Some(asked) => {
                        out.field(TType::I32, last, id);
                        out.i32(asked.attempts.into());
                    }
                    None => continue,
                },
                Part::Hedged => match self.timeline.several_endpoints(at) {
                    Some(asked) if asked.hedged => out.bool_field(last, id, true),
                    _ => continue,
                },
                Part::HedgedAt => {
                    let asked = self.timeline.several_endpoints(at);
                    match asked.and_then(|asked| asked.hedged_at) {
                        Some(time) => out.i64_field(last, id, time.to_i64()),
                        None => continue,
                    }
                }
                Part::Mates if track.source == Source::Batched => {
                    out.field(TType::I32, last, id);
                    out.i32(track.mates.into());
                }
                part => match part.time(track, self.analysis.slack[at]) {
                    Some(time) => out.i64_field(last, id, time.to_i64()),
                    None => continue,
                },
            }
            last = id;
        }
        out.stop();
    }

    fn names<O: ProtocolWriter>(&self, out: &mut O, tracks: &[usize]) {
        out.list(TType::String, count(tracks.len()));
        for &at in tracks {
            let name = &self.timeline.lanes[at].name;
            out.bytes(name.as_bytes(), count(name.len()));
        }
    }
}

fn text<O: ProtocolWriter>(out: &mut O, last: i16, id: i16, text: &str) {
    out.bytes_field(last, id, text.as_bytes(), count(text.len()));
}

/// Names come from a configuration and lookups from a plan, so neither comes near the limit.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or_default()
}
