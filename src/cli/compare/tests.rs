//! The pictures and the text of a comparison.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::cli::output::testing::captured;
use crate::timeline::{Fate, Lane, Micros, Source, Track};

fn run(mode: Mode, wall: u64) -> (Duration, Timeline) {
    let ms = |milliseconds: u64| Micros::new(1000 * milliseconds);
    let serial = mode == Mode::Serial;
    let lane = |name: &str| Lane {
        name: Arc::from(name),
        backend: Arc::from("ops"),
        after: Vec::new(),
        fallbacks: Vec::new(),
    };
    let track = |start, end| Track {
        planned: Micros::ZERO,
        started: Some(ms(start)),
        first_answer: None,
        done: ms(end),
        fate: Fate::Ok,
        code: None,
        source: Source::Backend,
        age: None,
        mates: 0,
        fallback: None,
        first_code: None,
    };
    let second = if serial { (20, 40) } else { (0, 20) };
    let timeline = Timeline {
        mode,
        lanes: [lane("origin"), lane("weather")].into(),
        tracks: vec![track(0, 20), track(second.0, second.1)],
        elapsed: ms(second.1),
        endpoints: None,
    };
    (Duration::from_millis(wall), timeline)
}

fn comparison(differing: Vec<String>) -> Comparison {
    let runs = |mode, walls: [u64; 3]| Runs(walls.map(|wall| run(mode, wall)).into());
    Comparison {
        serial: runs(Mode::Serial, [40, 41, 50]),
        evented: runs(Mode::Evented, [20, 21, 22]),
        differing,
    }
}

#[test]
fn both_modes_are_drawn_and_compared() {
    let (mut out, data, rest) = captured();
    let status = comparison(Vec::new()).show("getBoard", &mut out);
    assert_eq!((status, rest.text().as_str()), (ExitStatus::Done, ""));
    insta::assert_snapshot!(data.text(), @r#"
    getBoard, one lookup at a time
              0 ms      5 ms       10 ms     15 ms     20 ms     25 ms      30 ms     35 ms    40 ms
              ┬─────────┬──────────┬─────────┬─────────┬─────────┬──────────┬─────────┬────────┬
    * origin  █████████████████████████████████████████                                          20.0 ms
    * weather ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░█████████████████████████████████████████ 20.0 ms
      total 40.0 ms · serially 40.0 ms · 1.0x of at most 2.0x
    * critical path: every lookup that ran, one after the other

    getBoard, all at once
              0 ms      5 ms       10 ms     15 ms     20 ms     25 ms      30 ms     35 ms    40 ms
              ┬─────────┬──────────┬─────────┬─────────┬─────────┬──────────┬─────────┬────────┬
    * origin  █████████████████████████████████████████                                          20.0 ms
      weather █████████████████████████████████████████                                          20.0 ms
      total 20.0 ms · serially 40.0 ms · 2.0x of at most 2.0x
    * critical path: origin
      ░ waits to be started

    one lookup at a time:  median 41.0 ms, 40.0 ms to 50.0 ms in 3 calls
    all at once:           median 21.0 ms, 20.0 ms to 22.0 ms in 3 calls
    ratio 2.0x; starting lookups together can gain about 2.0x
    the replies are equal
    "#);
}

#[test]
fn a_single_call_has_no_range_and_short_times_are_not_zero() {
    let one = |micros| {
        Runs(vec![(
            Duration::from_micros(micros),
            run(Mode::Serial, 0).1,
        )])
    };
    assert_eq!(
        one(1_011_312).line("serial:"),
        "serial:                1011.3 ms"
    );
    assert_eq!(one(47).line("serial:"), "serial:                47 us");
    assert_eq!(one(1_250).line("serial:"), "serial:                1.25 ms");
}

#[test]
fn differing_replies_fail() {
    let (mut out, _, rest) = captured();
    let status = comparison(vec!["weather".into()]).show("getBoard", &mut out);
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        rest.text()
            .starts_with("error: the replies differ in `weather`\n")
    );
}

#[test]
fn differences_are_named_once_by_field() {
    let mut names = Vec::new();
    differences(
        &json!({"a": 1, "b": 2}),
        &json!({"a": 1, "b": 3, "c": 4}),
        &mut names,
    );
    differences(&json!({"b": 2}), &json!({"b": 3}), &mut names);
    assert_eq!(names, ["b", "c"]);
}
