//! Maps the fields of the IDL's report structs, by name and type, to what is written into them.
//!
//! An operator's own copy of the standard include may declare fewer fields, or others: it gets those that it declares.

use crate::error::Code;
use crate::idl::{Field, Schema, StructId, Type};
use crate::timeline::{Micros, Track};

/// The fields of the IDL's `Report` and `LookupReport`, with their ids, in declared order.
#[derive(Debug)]
pub(in crate::service) struct ReportLayout {
    pub(super) report: Vec<(Part, i16)>,
    pub(super) lookup: Vec<(Part, i16)>,
}

/// What a field contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
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
    Age,
    AnsweredBy,
    FirstCode,
    Attempts,
    Hedged,
    HedgedAt,
    Mates,
}

/// The fields of `Report`: name in the IDL and content.
pub(super) const REPORT: [(&str, Part); 7] = [
    ("complete", Part::Complete),
    ("mode", Part::Mode),
    ("lookups", Part::Lookups),
    ("critical_path", Part::CriticalPath),
    ("elapsed_us", Part::Elapsed),
    ("serial_us", Part::Serial),
    ("bound", Part::Bound),
];
/// The fields of `LookupReport`.
pub(super) const LOOKUP: [(&str, Part); 18] = [
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
    ("age_us", Part::Age),
    ("answered_by", Part::AnsweredBy),
    ("first_code", Part::FirstCode),
    ("attempts", Part::Attempts),
    ("hedged", Part::Hedged),
    ("hedged_us", Part::HedgedAt),
    ("mates", Part::Mates),
];

impl ReportLayout {
    /// `None` if the IDL does not include the standard types.
    pub(in crate::service) fn of(schema: &Schema) -> Option<Self> {
        let lookup = schema.standard.lookup_report?;
        Some(ReportLayout {
            report: fields(schema, schema.standard.report?, &REPORT, lookup),
            lookup: fields(schema, lookup, &LOOKUP, lookup),
        })
    }
}

impl Part {
    /// The lookup's time in this field, if the field is a time and the lookup has it.
    pub(super) fn time(self, track: &Track, slack: Micros) -> Option<Micros> {
        match self {
            Part::Planned => Some(track.planned),
            Part::Started => track.started,
            Part::FirstAnswer => track.first_answer,
            Part::Done => Some(track.done),
            Part::Slack => Some(slack),
            Part::Age => track.age,
            _ => None,
        }
    }

    /// The lookup's code in this field, if it has one.
    pub(super) fn code(self, track: &Track) -> Option<Code> {
        match self {
            Part::Code => track.code,
            Part::FirstCode => track.first_code,
            _ => None,
        }
    }

    fn has_type(self, ty: &Type, lookup: StructId) -> bool {
        match self {
            Part::Complete | Part::Hedged => *ty == Type::Bool,
            Part::Attempts | Part::Mates => *ty == Type::I32,
            Part::Mode => matches!(ty, Type::Enum(_) | Type::I32),
            Part::Lookups => *ty == Type::List(Box::new(Type::Struct(lookup))),
            Part::CriticalPath | Part::After => *ty == Type::List(Box::new(Type::String)),
            Part::Bound => *ty == Type::Double,
            Part::Name
            | Part::Backend
            | Part::Fate
            | Part::Code
            | Part::Source
            | Part::AnsweredBy
            | Part::FirstCode => *ty == Type::String,
            Part::Elapsed
            | Part::Serial
            | Part::Planned
            | Part::Started
            | Part::FirstAnswer
            | Part::Done
            | Part::Slack
            | Part::Age
            | Part::HedgedAt => *ty == Type::I64,
        }
    }
}

/// The fields of a struct whose names and types are known; others are left unset.
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
