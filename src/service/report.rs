//! Writes what happened in a call as the `tributary.Report` of its reply.
//!
//! Straight to bytes: a report has about a hundred small fields, and a value for each would cost more than
//! the rest of the reply. Which field goes where is settled once, by name and type, so that an operator's own
//! copy of the standard include gets what it declares. [`Timeline::from_report`] is the way back.

use std::time::Duration;

use bytes::BytesMut;
use thrift::protocol::TType;

use crate::error::Code;
use crate::idl::{Schema, StructId, Type};
use crate::thrift::{BinaryOutput, CompactOutput, Output, Protocol};
use crate::timeline::{Analysis, Timeline};

/// The fields of the IDL's `Report` and `LookupReport`, with their ids, in declared order.
#[derive(Debug)]
pub(super) struct ReportLayout {
    report: Vec<(Part, i16)>,
    lookup: Vec<(Part, i16)>,
}

/// What a field tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Complete,
    Mode,
    Lookups,
    CriticalPath,
    Elapsed,
    Serial,
    Bound,
    Name,
    Backend,
    Fate,
    Code,
    Source,
    Planned,
    Started,
    FirstAnswer,
    Done,
    After,
    Slack,
}

/// Name in the IDL, and what it tells.
const REPORT: [(&str, Part); 7] = [
    ("complete", Part::Complete),
    ("mode", Part::Mode),
    ("lookups", Part::Lookups),
    ("critical_path", Part::CriticalPath),
    ("elapsed_us", Part::Elapsed),
    ("serial_us", Part::Serial),
    ("bound", Part::Bound),
];
const LOOKUP: [(&str, Part); 11] = [
    ("name", Part::Name),
    ("backend", Part::Backend),
    ("fate", Part::Fate),
    ("code", Part::Code),
    ("source", Part::Source),
    ("planned_us", Part::Planned),
    ("started_us", Part::Started),
    ("first_answer_us", Part::FirstAnswer),
    ("done_us", Part::Done),
    ("after", Part::After),
    ("slack_us", Part::Slack),
];

impl ReportLayout {
    /// `None` when the IDL does not include the standard types.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let lookup = schema.standard.lookup_report?;
        Some(ReportLayout {
            report: fields(schema, schema.standard.report?, &REPORT, lookup),
            lookup: fields(schema, lookup, &LOOKUP, lookup),
        })
    }

    /// The report's bytes.
    pub(super) fn write(&self, protocol: Protocol, timeline: &Timeline) -> BytesMut {
        let analysis = Analysis::of(timeline);
        let writing = Writing {
            layout: self,
            timeline,
            analysis: &analysis,
        };
        let mut out = BytesMut::with_capacity(128 + 192 * timeline.tracks.len());
        match protocol {
            Protocol::Compact => writing.report(&mut CompactOutput::new(&mut out)),
            Protocol::Binary | Protocol::BinaryOld => {
                writing.report(&mut BinaryOutput::new(&mut out, true));
            }
        }
        out
    }
}

/// The fields of a struct that tell what their names say; others are left unset.
fn fields(
    schema: &Schema,
    of: StructId,
    known: &[(&str, Part)],
    lookup: StructId,
) -> Vec<(Part, i16)> {
    let field = |field: &crate::idl::Field| {
        let (_, part) = known.iter().find(|(name, _)| *name == &*field.name)?;
        part.has_type(&field.ty, lookup)
            .then_some((*part, field.id))
    };
    schema.get(of).fields.iter().filter_map(field).collect()
}

impl Part {
    fn has_type(self, ty: &Type, lookup: StructId) -> bool {
        match self {
            Part::Complete => *ty == Type::Bool,
            Part::Mode => matches!(ty, Type::Enum(_) | Type::I32),
            Part::Lookups => *ty == Type::List(Box::new(Type::Struct(lookup))),
            Part::CriticalPath | Part::After => *ty == Type::List(Box::new(Type::String)),
            Part::Bound => *ty == Type::Double,
            Part::Name | Part::Backend | Part::Fate | Part::Code | Part::Source => {
                *ty == Type::String
            }
            Part::Elapsed
            | Part::Serial
            | Part::Planned
            | Part::Started
            | Part::FirstAnswer
            | Part::Done
            | Part::Slack => *ty == Type::I64,
        }
    }
}

struct Writing<'a> {
    layout: &'a ReportLayout,
    timeline: &'a Timeline,
    analysis: &'a Analysis,
}

impl Writing<'_> {
    fn report<O: Output>(&self, out: &mut O) {
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
                    for at in 0..self.timeline.tracks.len() {
                        self.lookup(out, at);
                    }
                }
                Part::CriticalPath => {
                    out.field(TType::List, last, id);
                    self.names(out, &self.analysis.critical_path);
                }
                Part::Elapsed => micros(out, last, id, self.timeline.elapsed),
                Part::Serial => micros(out, last, id, self.analysis.serial),
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

    fn lookup<O: Output>(&self, out: &mut O, at: usize) {
        let (track, lane) = (&self.timeline.tracks[at], &self.timeline.lanes[at]);
        let mut last = 0;
        for &(part, id) in &self.layout.lookup {
            match part {
                Part::Name => text(out, last, id, &lane.name),
                Part::Backend => text(out, last, id, &lane.backend),
                Part::Fate => text(out, last, id, track.fate.as_str()),
                Part::Source => text(out, last, id, track.source.as_str()),
                Part::Code => match track.code {
                    Some(code) => text(out, last, id, Code::as_str(code)),
                    None => continue,
                },
                Part::Planned => micros(out, last, id, track.planned),
                Part::Done => micros(out, last, id, track.done),
                Part::Slack => micros(out, last, id, self.analysis.slack[at]),
                Part::Started => match track.started {
                    Some(started) => micros(out, last, id, started),
                    None => continue,
                },
                Part::FirstAnswer => match track.first_answer {
                    Some(first) => micros(out, last, id, first),
                    None => continue,
                },
                Part::After => {
                    out.field(TType::List, last, id);
                    self.names(out, &lane.after);
                }
                _ => continue,
            }
            last = id;
        }
        out.stop();
    }

    fn names<O: Output>(&self, out: &mut O, tracks: &[usize]) {
        out.list(TType::String, count(tracks.len()));
        for &at in tracks {
            let name = &self.timeline.lanes[at].name;
            out.bytes(name.as_bytes(), count(name.len()));
        }
    }
}

fn text<O: Output>(out: &mut O, last: i16, id: i16, text: &str) {
    out.bytes_field(last, id, text.as_bytes(), count(text.len()));
}

fn micros<O: Output>(out: &mut O, last: i16, id: i16, time: Duration) {
    out.i64_field(
        last,
        id,
        i64::try_from(time.as_micros()).unwrap_or(i64::MAX),
    );
}

/// Names come from a configuration and lookups from a plan: neither is anywhere near the limit.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::context::Mode;
    use crate::idl;
    use crate::thrift::{Limits, decode_struct};
    use crate::timeline::Fate;
    use crate::timeline::sample::{Sample, evented, serial, timeline};
    use crate::value::Value;

    fn standard() -> Schema {
        let text = |_: &str| Some(include_str!("../../idl/tributary.thrift").to_owned());
        idl::load_from("tributary.thrift", &text).expect("the standard include")
    }

    fn read(schema: &Schema, protocol: Protocol, timeline: &Timeline) -> Value {
        let layout = ReportLayout::of(schema).expect("the standard types");
        let bytes: Bytes = layout.write(protocol, timeline).freeze();
        let report = schema.standard.report.expect("the standard types");
        decode_struct(schema, report, protocol, &bytes, &Limits::default()).expect("a report")
    }

    #[test]
    fn every_field_of_the_standard_include_is_known() {
        let schema = standard();
        let layout = ReportLayout::of(&schema).expect("the standard types");
        assert_eq!(
            (layout.report.len(), layout.lookup.len()),
            (REPORT.len(), LOOKUP.len())
        );
        assert_eq!(layout.report[2], (Part::Lookups, 3));
        assert_eq!(layout.lookup[10], (Part::Slack, 11));
    }

    #[test]
    fn a_timeline_survives_the_trip() {
        let failed = timeline(
            Mode::Serial,
            vec![
                Sample::new("a").ran(0, 7).first_answer(5),
                Sample::new("b")
                    .ran(7, 9)
                    .fate(Fate::Error, Some(Code::LookupFailed)),
                Sample::new("c")
                    .after(&[0, 1])
                    .ended(9, Fate::SkippedDependency),
            ],
            10,
        );
        let schema = standard();
        for timeline in [evented(), serial(), failed] {
            for protocol in [Protocol::Binary, Protocol::Compact] {
                let report = read(&schema, protocol, &timeline);
                assert_eq!(Timeline::from_report(&report).as_ref(), Some(&timeline));
            }
        }
    }

    #[test]
    fn a_report_has_the_calls_figures() {
        let report = read(&standard(), Protocol::Compact, &evented());
        assert_eq!(report.get("complete"), Some(&Value::Bool(true)));
        assert_eq!(report.get("elapsed_us"), Some(&Value::I64(503_000)));
        assert_eq!(report.get("serial_us"), Some(&Value::I64(1_010_000)));
        let path = Value::from(vec!["flight", "plane"]);
        assert_eq!(report.get("critical_path"), Some(&path));
        let Some(Value::List(lookups)) = report.get("lookups") else {
            panic!("lookups")
        };
        assert_eq!(lookups[1].get("started_us"), Some(&Value::I64(281_000)));
        assert_eq!(lookups[1].get("code"), Some(&Value::Null));
        assert_eq!(lookups[2].get("slack_us"), Some(&Value::I64(461_000)));
    }

    #[test]
    fn an_own_copy_of_the_include_gets_what_it_declares() {
        let text = |_: &str| {
            Some(
                "struct LookupReport { 3: string fate, 1: i64 done_us, 2: string done }
                 struct Report { 9: list<LookupReport> lookups, 1: string bound }"
                    .to_owned(),
            )
        };
        let schema = idl::load_from("tributary.thrift", &text).expect("an own copy");
        let report = read(&schema, Protocol::Compact, &evented());
        let Some(Value::List(lookups)) = report.get("lookups") else {
            panic!("lookups")
        };
        assert_eq!(lookups[0].get("fate"), Some(&Value::from("ok")));
        assert_eq!(report.get("bound"), Some(&Value::Null));
    }
}
