//! Turns the `tributary.Report` of a reply back into a timeline.
//!
//! In: a report as a record or a map; fields are found by name, so that a report survives the trip through
//! JSON and an operator's own copy of the standard include. [`crate::service`] writes reports.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AskedEndpoints, Endpoints, FallbackLane, Fate, Lane, Micros, Source, Timeline, Track};
use crate::context::Mode;
use crate::error::Code;
use crate::value::Value;

impl Timeline {
    /// The timeline that a report describes; `None` if `report` is not one. Fields that the IDL calls
    /// optional may be missing.
    pub fn from_report(report: &Value) -> Option<Timeline> {
        let Value::List(lookups) = report.get("lookups")? else {
            return None;
        };
        let mut lanes = Vec::with_capacity(lookups.len());
        let mut tracks = Vec::with_capacity(lookups.len());
        let mut endpoints: Option<Box<Endpoints>> = None;
        let mut known: HashMap<&str, usize> = HashMap::with_capacity(lookups.len());
        for (at, lookup) in lookups.iter().enumerate() {
            lanes.push(lane(lookup, &known)?);
            if let Some(asked) = asked_endpoints(lookup) {
                endpoints.get_or_insert_default().note(at, asked);
            }
            tracks.push(track(lookup)?);
            known.insert(lookup.get("name")?.as_str()?, at);
        }
        Some(Timeline {
            mode: mode(report.get("mode")?)?,
            lanes: lanes.into(),
            tracks,
            elapsed: micros(report.get("elapsed_us")?)?,
            endpoints,
        })
    }
}

/// The lane of a `LookupReport`. `known` holds the lookups before it, the only ones that it can have waited for.
fn lane(lookup: &Value, known: &HashMap<&str, usize>) -> Option<Lane> {
    let text = |field| lookup.get(field).and_then(Value::as_str);
    let after = match lookup.get("after") {
        Some(Value::List(names)) => names
            .iter()
            .filter_map(|name| known.get(name.as_str()?).copied())
            .collect(),
        _ => Vec::new(),
    };
    let fallbacks = text("answered_by").into_iter().map(|name| FallbackLane {
        name: Arc::from(name),
        backend: Arc::from(text("backend").unwrap_or_default()),
    });
    Some(Lane {
        name: Arc::from(text("name")?),
        backend: Arc::from(text("backend").unwrap_or_default()),
        after,
        fallbacks: fallbacks.collect(),
    })
}

/// The track of a `LookupReport`.
fn track(lookup: &Value) -> Option<Track> {
    let text = |field| lookup.get(field).and_then(Value::as_str);
    let time = |field| lookup.get(field).and_then(micros);
    Some(Track {
        planned: time("planned_us").unwrap_or_default(),
        started: time("started_us"),
        first_answer: time("first_answer_us"),
        done: time("done_us")?,
        fate: Fate::parse(text("fate")?)?,
        code: text("code").and_then(Code::parse),
        source: text("source")
            .and_then(Source::parse)
            .unwrap_or(Source::None),
        age: time("age_us"),
        mates: lookup.get("mates").and_then(mates).unwrap_or_default(),
        // The report names only the one that was asked last.
        fallback: text("answered_by").map(|_| 0),
        first_code: text("first_code").and_then(Code::parse),
    })
}

/// The endpoints of a `LookupReport`, which says something about them only if there were several.
fn asked_endpoints(lookup: &Value) -> Option<AskedEndpoints> {
    let Some(Value::I64(attempts)) = lookup.get("attempts") else {
        return None;
    };
    Some(AskedEndpoints {
        last: None,
        attempts: u8::try_from(*attempts).ok()?,
        hedged: lookup.get("hedged") == Some(&Value::Bool(true)),
        hedged_at: lookup.get("hedged_us").and_then(micros),
    })
}

/// The mode by number, or by name as in JSON.
fn mode(value: &Value) -> Option<Mode> {
    [Mode::Evented, Mode::Serial]
        .into_iter()
        .find(|&mode| match value {
            Value::I64(number) => *number == mode.number(),
            other => other.as_str() == Some(mode.as_str()),
        })
}

fn micros(value: &Value) -> Option<Micros> {
    match value {
        Value::I64(number) => u64::try_from(*number).ok().map(Micros::new),
        _ => None,
    }
}

fn mates(value: &Value) -> Option<u16> {
    match value {
        Value::I64(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::ms;
    use super::*;

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
        assert!(back.lanes[0].after.is_empty());
    }

    #[test]
    fn a_value_that_is_not_a_report_is_refused() {
        assert_eq!(Timeline::from_report(&Value::Null), None);
        assert_eq!(Timeline::from_report(&Value::I64(0)), None);
    }
}
