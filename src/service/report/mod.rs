//! Writes what happened in a call as the `tributary.Report` of its reply.
//!
//! Straight to bytes: a report has about a hundred small fields, and a value for each would cost more than
//! the rest of the reply. Which field goes where is settled once, by name and type, so that an operator's own
//! copy of the standard include gets what it declares ([`ReportLayout`]). Of a lookup that went well, which is
//! nearly every one, only the times differ from call to call: in binary, where times have one length, all else is
//! copied from a [`ReportTemplate`]. [`Timeline::from_report`] is the way back.

mod template;
mod writing;

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;

use crate::idl::{Field, Schema, StructId, Type};
use crate::plan::Plan;
use crate::thrift::{Appendix, Codec as _, Protocol, ProtocolWriter as _, with_codec};
use crate::timeline::{Analysis, Micros, Timeline, Track};
pub(super) use template::ReportTemplate;
use writing::Writing;

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

    /// What the reports of each plan share, by the plan's index.
    pub(super) fn templates<'a>(
        &self,
        plans: impl ExactSizeIterator<Item = &'a Arc<Plan>>,
    ) -> Vec<Vec<ReportTemplate>> {
        let mut templates: Vec<_> = (0..plans.len()).map(|_| Vec::new()).collect();
        for plan in plans {
            let of_lookup = |at| ReportTemplate::new(self, &plan.lanes, at);
            templates[plan.index] = (0..plan.lanes.len()).map(of_lookup).collect();
        }
        templates
    }
}

/// One call's report, for the end of its reply.
pub(super) struct Report<'a> {
    pub(super) layout: &'a ReportLayout,
    /// One per lookup, or none at all.
    pub(super) templates: &'a [ReportTemplate],
    pub(super) protocol: Protocol,
    pub(super) timeline: &'a Timeline,
}

impl Appendix for Report<'_> {
    fn append(&self, out: &mut BytesMut) {
        let analysis = Analysis::of(self.timeline);
        let writing = Writing {
            layout: self.layout,
            timeline: self.timeline,
            analysis: &analysis,
        };
        with_codec!(self.protocol, C => {
            writing.report(&mut C::writer(out), |out, at| {
                let (track, slack) = (&self.timeline.tracks[at], analysis.slack[at]);
                let stencil = self.stencils.get(at);
                let filled = |out| stencil.is_some_and(|stencil| stencil.fill(out, track, slack));
                if !out.binary_buffer().is_some_and(filled) {
                    writing.lookup(out, at);
                });
            }
            Protocol::Binary | Protocol::BinaryOld => {
                writing.report(&mut BinaryOutput::new(out, true), |out, at| {
                    let (track, slack) = (&self.timeline.tracks[at], analysis.slack[at]);
                    let template = self.templates.get(at);
                    if !template.is_some_and(|template| template.fill(out.buffer(), track, slack)) {
                        writing.lookup(out, at);
                    }
                });
            }
        }
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report").field(self.timeline).finish()
    }
}

/// The fields of a struct that tell what their names say; others are left unset.
fn fields(
    schema: &Schema,
    of: StructId,
    known: &[(&str, Part)],
    lookup: StructId,
) -> Vec<(Part, i16)> {
    let field = |field: &Field| {
        let (_, part) = known.iter().find(|(name, _)| *name == &*field.name)?;
        part.has_type(&field.ty, lookup)
            .then_some((*part, field.id))
    };
    schema.get(of).fields.iter().filter_map(field).collect()
}

impl Part {
    /// What it tells of a lookup, if that is a time and there is one.
    fn time(self, track: &Track, slack: Micros) -> Option<Micros> {
        match self {
            Part::Planned => Some(track.planned),
            Part::Started => track.started,
            Part::FirstAnswer => track.first_answer,
            Part::Done => Some(track.done),
            Part::Slack => Some(slack),
            _ => None,
        }
    }

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

#[cfg(test)]
mod tests;
