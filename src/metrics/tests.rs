//! What a scrape shows, and that reloads lose no counts.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;

fn metrics() -> Arc<Metrics> {
    Metrics::new(1, CancellationToken::new())
}

#[track_caller]
fn assert_shows(metrics: &Arc<Metrics>, line: &str) {
    let text = metrics.scrape();
    assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
}

#[test]
fn each_code_is_at_the_index_of_its_number() {
    for (at, fate) in Fate::ALL.into_iter().enumerate() {
        assert_eq!(fate as usize, at);
    }
    for (at, source) in Source::ALL.into_iter().enumerate() {
        assert_eq!(source as usize, at);
    }
    for (at, code) in Code::ALL.iter().enumerate() {
        assert_eq!(*code as usize, at);
        assert_eq!(outcomes()[at + 3].0, code.as_str());
    }
}

#[test]
fn a_scrape_adds_up_loops_and_keeps_the_counts_from_before_a_reload() {
    let metrics = metrics();
    let counts = || metrics.families.planned.counts(&["get"]);
    let (one, two) = (counts(), counts());
    one.add(0, 3);
    two.add(0, 4);
    assert_shows(
        &metrics,
        r#"tributary_lookups_planned_total{method="get"} 7"#,
    );
    drop(one);
    assert_shows(
        &metrics,
        r#"tributary_lookups_planned_total{method="get"} 7"#,
    );
    counts().count_one();
    assert_shows(
        &metrics,
        r#"tributary_lookups_planned_total{method="get"} 8"#,
    );
}

#[test]
fn a_gauge_ends_with_its_owner_and_may_be_negative() {
    let metrics = metrics();
    let gauge = metrics.families.calls_in_flight.gauge(&[]);
    gauge.down();
    assert_shows(&metrics, "tributary_calls_in_flight -1");
    gauge.set(5);
    gauge.up();
    assert_eq!(gauge.get(), 6);
    assert_shows(&metrics, "tributary_calls_in_flight 6");
    drop(gauge);
    assert_shows(&metrics, "tributary_calls_in_flight 0");
}

#[test]
fn a_bound_belongs_to_its_bucket_and_the_last_bucket_is_unbounded() {
    let metrics = metrics();
    let histogram = metrics.families.call_duration.histogram(&["get"]);
    for micros in [500, 501, 60_000_000] {
        histogram.observe_time(Duration::from_micros(micros));
    }
    let line = |text: &str| format!("tributary_call_duration_seconds_{text}");
    for text in [
        r#"bucket{le="0.0005",method="get"} 1"#,
        r#"bucket{le="0.001",method="get"} 2"#,
        r#"bucket{le="5.0",method="get"} 2"#,
        r#"bucket{le="+Inf",method="get"} 3"#,
        r#"count{method="get"} 3"#,
        r#"sum{method="get"} 60.001001"#,
    ] {
        assert_shows(&metrics, &line(text));
    }
}

#[test]
fn a_configured_name_cannot_break_a_line() {
    let metrics = metrics();
    let _counts = metrics.families.planned.counts(&["a\"} 1\nb"]);
    let line = r#"tributary_lookups_planned_total{method="a\"} 1\nb"} 0"#;
    assert_shows(&metrics, line);
}

#[test]
fn codes_of_other_areas_are_shown_once_they_occur() {
    let metrics = metrics();
    let counts = metrics.families.wire_errors.counts(&[]);
    assert_shows(
        &metrics,
        r#"tributary_wire_errors_total{code="wire.invalid"} 0"#,
    );
    assert!(!metrics.scrape().contains("code=\"call.deadline\""));
    counts.count(Code::CallDeadline as usize);
    assert_shows(
        &metrics,
        r#"tributary_wire_errors_total{code="call.deadline"} 1"#,
    );
}

#[test]
fn calls_beyond_the_limits_of_their_caller_are_no_refusals() {
    let metrics = metrics();
    let of_loop = LoopMetrics::new(&metrics, 0);
    let calls = metrics.families.calls.counts(&["get"]);
    let ended = |ended| calls.count(program_metrics::outcome(ended));
    for _ in 0..3 {
        ended(Err(Code::CallRateLimited));
        ended(Ok(Served::Whole));
    }
    ended(Err(Code::ServerOverloaded));
    of_loop.overloaded(Overloaded::Waiting);
    of_loop.overloaded(Overloaded::CallsMax);
    // One connection that holds too much, for example.
    of_loop.overloaded(Overloaded::Memory);
    let expected = Refusals {
        calls: 4,
        refused: 2,
    };
    assert_eq!(metrics.refusals(), expected);
}
