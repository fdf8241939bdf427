//! Reports of timelines, read back.

use std::cell::RefCell;

use bytes::Bytes;

use super::layout::{LOOKUP, Part, REPORT};
use super::*;
use crate::context::Mode;
use crate::error::Code;
use crate::idl::{self, Schema};
use crate::thrift::{Limits, decode_struct};
use crate::timeline::sample::{Sample, evented, serial, timeline};
use crate::timeline::{AskedEndpoints, Endpoints, Fate, Micros, Source};
use crate::value::Value;

fn standard() -> Schema {
    let text = |_: &str| Some(include_str!("../../../idl/tributary.thrift").to_owned());
    idl::load_from("tributary.thrift", &text).expect("the standard include")
}

fn bytes(
    layout: &ReportLayout,
    template: Option<&ReportTemplate>,
    protocol: Protocol,
    timeline: &Timeline,
) -> Bytes {
    let report = Report {
        layout,
        template,
        protocol,
        timeline,
        analysis: &RefCell::default(),
    };
    let mut out = BytesMut::new();
    report.append(&mut out);
    let bytes = out.freeze();
    if template.is_some() {
        let plainly = self::bytes(layout, None, protocol, timeline);
        assert_eq!(bytes, plainly, "with the template and without");
    }
    bytes
}

fn read(schema: &Schema, protocol: Protocol, timeline: &Timeline) -> Value {
    let layout = ReportLayout::of(schema).expect("the standard types");
    let template = ReportTemplate::new(&layout, &timeline.lanes);
    let bytes = bytes(&layout, Some(&template), protocol, timeline);
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
    // Each matches the template, the second one in a batch.
    let mut mixed = timeline(
        Mode::Evented,
        vec![
            Sample::new("a").ran(0, 7).first_answer(5),
            Sample::new("b").after(&[0]).ran(7, 9).first_answer(9),
        ],
        10,
    );
    mixed.tracks[1].source = Source::Batched;
    mixed.tracks[1].mates = 3;
    // Both match it alike.
    let mut batched = mixed.clone();
    batched.tracks[0].source = Source::Batched;
    batched.tracks[0].mates = u16::MAX;
    // One part of the second one was kept for a while, which no template has.
    let mut aged = batched.clone();
    aged.tracks[1].age = Some(Micros::new(3));
    // Two endpoints were asked for the second one, which no template has either.
    let mut hedged = batched.clone();
    let mut endpoints = Endpoints::default();
    endpoints.note(
        1,
        AskedEndpoints {
            last: None,
            attempts: 2,
            hedged: true,
            hedged_at: Some(Micros::new(8_500)),
        },
    );
    hedged.endpoints = Some(Box::new(endpoints));
    let schema = standard();
    for timeline in [evented(), serial(), failed, mixed, batched, aged, hedged] {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            let report = read(&schema, protocol, &timeline);
            assert_eq!(Timeline::from_report(&report).as_ref(), Some(&timeline));
        }
    }
}

#[test]
fn a_report_has_the_figures_of_the_call() {
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
fn the_number_of_endpoints_is_left_out_if_it_is_one() {
    let mut timeline = evented();
    let mut endpoints = Endpoints::default();
    endpoints.note(0, AskedEndpoints::one("10.0.0.1:1".into()));
    let several = AskedEndpoints {
        attempts: 3,
        ..AskedEndpoints::one("10.0.0.2:1".into())
    };
    endpoints.note(1, several);
    timeline.endpoints = Some(Box::new(endpoints));
    let report = read(&standard(), Protocol::Binary, &timeline);
    let Some(Value::List(lookups)) = report.get("lookups") else {
        panic!("lookups")
    };
    let said = |at: usize| ["attempts", "hedged"].map(|name| lookups[at].get(name).cloned());
    assert_eq!(said(0), [Some(Value::Null), Some(Value::Null)]);
    assert_eq!(said(1), [Some(Value::I64(3)), Some(Value::Null)]);
}

#[test]
fn an_operators_copy_of_the_include_gets_the_fields_it_declares() {
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
