//! Turns a timeline into the `tributary.Report` of a reply, and a report back into a timeline.
//!
//! Out: a [`Value`] with the fields of the IDL's own struct, in its order, filled by name; so an IDL with a
//! shorter or reordered copy of the standard include gets what it declares. Back: by name as well, from a
//! record or a map, so that a report survives the trip through JSON. Nothing here reads a clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Analysis, Fate, Source, Timeline, Track};
use crate::context::Mode;
use crate::error::Code;
use crate::idl::Schema;
use crate::value::{Names, Record, Value};

impl Timeline {
    /// The report of this call; `None` when the IDL does not include the standard types.
    pub fn to_report(&self, analysis: &Analysis, schema: &Schema) -> Option<Value> {
        let report = &schema.get(schema.standard.report?).names;
        let lookup = &schema.get(schema.standard.lookup_report?).names;
        Some(record(report, |field| match field {
            "complete" => Value::Bool(self.complete()),
            "mode" => Value::I64(mode_number(self.mode)),
            "lookups" => (0..self.tracks.len())
                .map(|at| self.lookup_report(at, analysis.slack[at], lookup))
                .collect::<Vec<Value>>()
                .into(),
            "critical_path" => self.names_of(&analysis.critical_path),
            "elapsed_us" => micros(self.elapsed),
            "serial_us" => micros(analysis.serial),
            "bound" => Value::Double(analysis.bound),
            _ => Value::Null,
        }))
    }

    fn lookup_report(&self, at: usize, slack: Duration, names: &Names) -> Value {
        let track = &self.tracks[at];
        record(names, |field| match field {
            "name" => Value::from(&*track.name),
            "backend" => Value::from(&*track.backend),
            "fate" => Value::from(track.fate.as_str()),
            "code" => track.code.map(Code::as_str).into(),
            "source" => Value::from(track.source.as_str()),
            "planned_us" => micros(track.planned),
            "started_us" => track.started.map_or(Value::Null, micros),
            "first_answer_us" => track.first_answer.map_or(Value::Null, micros),
            "done_us" => micros(track.done),
            "after" => self.names_of(&track.after),
            "slack_us" => micros(slack),
            _ => Value::Null,
        })
    }

    fn names_of(&self, tracks: &[usize]) -> Value {
        let names = tracks.iter().filter_map(|&at| self.tracks.get(at));
        Value::List(names.map(|track| Value::from(&*track.name)).collect())
    }

    /// The timeline that a reply's report tells of; `None` when `report` is not one. Fields that the IDL calls
    /// optional may be missing.
    pub fn from_report(report: &Value) -> Option<Timeline> {
        let Value::List(lookups) = report.get("lookups")? else {
            return None;
        };
        let mut tracks = Vec::with_capacity(lookups.len());
        let mut known: HashMap<&str, usize> = HashMap::with_capacity(lookups.len());
        for (at, lookup) in lookups.iter().enumerate() {
            tracks.push(track(lookup, &known)?);
            known.insert(lookup.get("name")?.as_str()?, at);
        }
        Some(Timeline {
            mode: mode(report.get("mode")?)?,
            tracks,
            elapsed: duration(report.get("elapsed_us")?)?,
        })
    }
}

/// One `LookupReport`; `known` holds the lookups before it, the only ones it can have waited for.
fn track(lookup: &Value, known: &HashMap<&str, usize>) -> Option<Track> {
    let text = |field| lookup.get(field).and_then(Value::as_str);
    let time = |field| lookup.get(field).and_then(duration);
    let after = match lookup.get("after") {
        Some(Value::List(names)) => names
            .iter()
            .filter_map(|name| known.get(name.as_str()?).copied())
            .collect(),
        _ => Arc::from([]),
    };
    Some(Track {
        name: Arc::from(text("name")?),
        backend: Arc::from(text("backend").unwrap_or_default()),
        after,
        planned: time("planned_us").unwrap_or_default(),
        started: time("started_us"),
        first_answer: time("first_answer_us"),
        done: time("done_us")?,
        fate: Fate::parse(text("fate")?)?,
        code: text("code").and_then(Code::parse),
        source: text("source")
            .and_then(Source::parse)
            .unwrap_or(Source::None),
    })
}

fn record(names: &Names, value: impl Fn(&str) -> Value) -> Value {
    Value::Record(Record {
        names: names.clone(),
        values: names.iter().map(|name| value(name)).collect(),
    })
}

/// The number of `tributary.Mode`.
fn mode_number(mode: Mode) -> i64 {
    match mode {
        Mode::Evented => 0,
        Mode::Serial => 1,
    }
}

/// By number, or by name as JSON has it.
fn mode(value: &Value) -> Option<Mode> {
    [Mode::Evented, Mode::Serial]
        .into_iter()
        .find(|&mode| match value {
            Value::I64(number) => *number == mode_number(mode),
            other => other.as_str() == Some(mode.as_str()),
        })
}

fn micros(duration: Duration) -> Value {
    Value::I64(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::I64(number) => u64::try_from(*number).ok().map(Duration::from_micros),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, evented, ms, serial, timeline};
    use super::*;
    use crate::idl::{Kind, Standard, StructId, StructType};

    const REPORT: [&str; 7] = [
        "complete",
        "mode",
        "lookups",
        "critical_path",
        "elapsed_us",
        "serial_us",
        "bound",
    ];
    const LOOKUP: [&str; 11] = [
        "name",
        "backend",
        "fate",
        "code",
        "source",
        "planned_us",
        "started_us",
        "first_answer_us",
        "done_us",
        "after",
        "slack_us",
    ];

    fn struct_type(name: &str, names: &[&str]) -> StructType {
        StructType {
            name: Arc::from(name),
            kind: Kind::Struct,
            fields: Vec::new(),
            names: Names::new(names.iter().copied()),
            doc: None,
        }
    }

    /// As much of the standard include as a report needs.
    fn schema() -> Schema {
        Schema {
            structs: vec![
                struct_type("tributary.LookupReport", &LOOKUP),
                struct_type("tributary.Report", &REPORT),
            ],
            standard: Standard {
                report: Some(StructId(1)),
                lookup_report: Some(StructId(0)),
                ..Standard::default()
            },
            ..Schema::default()
        }
    }

    fn report(timeline: &Timeline) -> Value {
        timeline
            .to_report(&Analysis::of(timeline), &schema())
            .expect("the schema has the types")
    }

    #[test]
    fn the_names_are_the_ones_of_the_standard_include() {
        let idl = include_str!("../../idl/tributary.thrift");
        let fields = |name: &str| -> Vec<&str> {
            let body = idl.split(&format!("struct {name} {{")).nth(1).unwrap();
            let body = body.split('}').next().unwrap();
            let fields = body.lines().filter(|line| line.contains(": required "));
            let optional = body.lines().filter(|line| line.contains(": optional "));
            let mut lines: Vec<&str> = fields.chain(optional).collect();
            lines.sort_by_key(|line| {
                line.trim()
                    .split(':')
                    .next()
                    .unwrap()
                    .parse::<u32>()
                    .unwrap()
            });
            let last_word = |line: &'static str| line.split_whitespace().last().unwrap();
            lines.into_iter().map(last_word).collect()
        };
        assert_eq!(fields("Report"), REPORT);
        assert_eq!(fields("LookupReport"), LOOKUP);
    }

    #[test]
    fn a_report_has_the_structs_shape_and_figures() {
        let report = report(&evented());
        assert_eq!(report.get("complete"), Some(&Value::Bool(true)));
        assert_eq!(report.get("mode"), Some(&Value::I64(0)));
        assert_eq!(report.get("elapsed_us"), Some(&Value::I64(503_000)));
        assert_eq!(report.get("serial_us"), Some(&Value::I64(1_010_000)));
        let path = Value::from(vec!["flight", "plane"]);
        assert_eq!(report.get("critical_path"), Some(&path));
        let Some(Value::List(lookups)) = report.get("lookups") else {
            panic!("lookups");
        };
        let plane = &lookups[1];
        assert_eq!(plane.get("started_us"), Some(&Value::I64(281_000)));
        assert_eq!(plane.get("first_answer_us"), Some(&Value::Null));
        assert_eq!(plane.get("after"), Some(&Value::from(vec!["flight"])));
        assert_eq!(plane.get("code"), Some(&Value::Null));
        assert_eq!(lookups[2].get("slack_us"), Some(&Value::I64(461_000)));
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
        for timeline in [evented(), serial(), failed] {
            assert_eq!(Timeline::from_report(&report(&timeline)), Some(timeline));
        }
    }

    #[test]
    fn json_without_optional_fields_is_still_a_report() {
        let pairs = |pairs: Vec<(&str, Value)>| {
            let pairs = pairs.into_iter();
            Value::Map(pairs.map(|(key, value)| (key.into(), value)).collect())
        };
        let lookup = pairs(vec![
            ("name", "a".into()),
            ("fate", "skipped".into()),
            ("done_us", 4000.into()),
            ("after", vec!["a", "later"].into()),
        ]);
        let report = pairs(vec![
            ("mode", "SERIAL".into()),
            ("lookups", Value::List(vec![lookup])),
            ("elapsed_us", 4000.into()),
        ]);
        let back = Timeline::from_report(&report).expect("a report");
        assert_eq!((back.mode, back.elapsed), (Mode::Serial, ms(4)));
        assert_eq!(back.tracks[0].started, None);
        assert!(back.tracks[0].after.is_empty());
    }

    #[test]
    fn what_is_no_report_is_none() {
        assert_eq!(Timeline::from_report(&Value::Null), None);
        assert_eq!(
            Timeline::from_report(&report(&evented()).get("mode").unwrap().clone()),
            None
        );
        let none = Schema::default();
        let timeline = evented();
        assert_eq!(timeline.to_report(&Analysis::of(&timeline), &none), None);
    }
}
