//! Pictures as a person reads them.

use super::super::sample::{Sample, evented, ms, serial, timeline};
use super::super::{AskedEndpoints, Endpoints, Fate, Micros, Source, Timeline};
use super::ink::Ink;
use super::{Look, render, render_together};
use crate::context::Mode;
use crate::error::Code;

fn look(width: usize) -> Look {
    Look {
        width,
        ..Look::default()
    }
}

/// A call in which much went wrong.
fn troubled() -> Timeline {
    let tracks = vec![
        Sample::new("flight").ran(0, 40),
        Sample::new("a_lookup_whose_name_is_far_too_long").ran(0, 60),
        Sample::new("plane").after(&[0]).ran(55, 90).planned(40),
        Sample::new("weather")
            .ran(0, 100)
            .fate(Fate::Timeout, Some(Code::LookupTimeout)),
        Sample::new("news")
            .ran(3, 9)
            .fate(Fate::Error, Some(Code::LookupUnavailable)),
        Sample::new("both").after(&[1, 2]).ran(90, 95),
        Sample::new("engine")
            .after(&[3])
            .ended(100, Fate::SkippedDependency),
        Sample::new("extras").ended(0, Fate::Skipped),
        Sample::new("ping").ran(20, 20).fate(Fate::Empty, None),
        Sample::new("gate")
            .ran(0, 1)
            .fate(Fate::Default, Some(Code::LookupUnavailable)),
    ];
    timeline(Mode::Evented, tracks, 101)
}

#[test]
fn serial_and_evented_on_one_axis() {
    let (serial, evented) = (serial(), evented());
    let pictures = [
        ("getDeparture, one lookup at a time", &serial),
        ("getDeparture, all at once", &evented),
    ];
    insta::assert_snapshot!(render_together(&pictures, &look(90)), @r"
    getDeparture, one lookup at a time
                   0 ms        200 ms     400 ms      600 ms      800 ms     1000 ms
                   ┬───────────┬──────────┬───────────┬───────────┬──────────┬
    * flight       ████████████████                                            281.0 ms
    * └ plane      ················█████████████                               221.0 ms
    * airline      ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░███                             41.0 ms
    * origin       ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░███                          61.0 ms
    * destination  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░████                      61.0 ms  cache
    * weather      ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░█████████            162.0 ms
    * punctuality  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░██████       91.0 ms
    * alternatives ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░█████  92.0 ms
      total 1012.0 ms · serially 1010.0 ms · 1.0x of at most 2.0x
    * critical path: every lookup that ran, one after the other

    getDeparture, all at once
                   0 ms        200 ms     400 ms      600 ms      800 ms     1000 ms
                   ┬───────────┬──────────┬───────────┬───────────┬──────────┬
    * flight       ████████████████                                            281.0 ms
    * └ plane      ················█████████████                               221.0 ms
      airline      ██                                                           41.0 ms
      origin       ████                                                         61.0 ms
      destination  ████                                                         61.0 ms  cache
      weather      ██████▓▓▓                                                   162.0 ms
      punctuality  █████                                                        91.0 ms
      alternatives █████                                                        92.0 ms
      total 503.0 ms · serially 1010.0 ms · 2.0x of at most 2.0x
    * critical path: flight → plane
      · waits for its inputs   ░ waits to be started   ▓ its answer arrives
    ");
}

#[test]
fn trouble_is_explained() {
    insta::assert_snapshot!(render(&troubled(), &look(90)), @r"
                             0 ms        50 ms      100 ms
                             ┬───────────┬──────────┬
      flight                 ██████████                40.0 ms
      a_lookup_whose_name_i… ██████████████            60.0 ms
      └ plane                ··········░░░████████     35.0 ms  after flight
    * weather                ████████████████████████ 100.0 ms  timeout
      news                   ·█                         6.0 ms  lookup.unavailable
      └ both                 ·····················██    5.0 ms  after a_lookup_whose_name_is_…
      └ engine               ·······················×           skipped_dependency, after wea…
      extras                 ×                                  skipped
      ping                   ·····▏                       0 us  empty
      gate                   ▏                          1.0 ms  default for lookup.unavailable
      total 101.0 ms · serially 247.0 ms · 2.4x of at most 2.5x
    * critical path: weather
      · waits for its inputs   ░ waits to be started   ▏ less than half a column
      × never started
    ");
}

#[test]
fn a_call_that_waits_for_no_lookup_has_no_critical_path() {
    let tracks = vec![Sample::new("plane").ended(0, Fate::Ok)];
    let picture = render(&timeline(Mode::Evented, tracks, 1), &look(80));
    let path = "* critical path: none, nothing had to be waited for";
    assert!(picture.contains(path), "{picture}");
}

#[test]
fn ascii_and_narrow() {
    let look = Look {
        ascii: true,
        ..look(60)
    };
    insta::assert_snapshot!(render(&troubled(), &look), @r"
                      0 ms      100 ms
                      +---------+
      flight          ####         40.0 ms
      a_lookup_whose~ #######      60.0 ms
      `-plane         ....::####   35.0 ms  after flight
    * weather         ########### 100.0 ms  timeout
      news            #             6.0 ms  lookup.unavailable
      `-both          ..........|   5.0 ms  after a_lookup_whos~
      `-engine        ..........x           skipped_dependency,~
      extras          x                     skipped
      ping            ..|             0 us  empty
      gate            |             1.0 ms  default for lookup.~
      total 101.0 ms | serially 247.0 ms | 2.4x of at most 2.5x
    * critical path: weather
      . waits for its inputs   : waits to be started
      | less than half a column   x never started
    ");
}

#[test]
fn without_colour_nothing_is_lost() {
    for timeline in [evented(), troubled()] {
        let plain = render(&timeline, &look(100));
        let mut colored = render(
            &timeline,
            &Look {
                color: true,
                ..look(100)
            },
        );
        assert!(colored.contains("\x1b[33m"), "the critical path stands out");
        while let Some(start) = colored.find('\x1b') {
            let end = start + colored[start..].find('m').unwrap();
            colored.replace_range(start..=end, "");
        }
        assert_eq!(colored, plain);
    }
}

#[test]
fn lines_keep_to_the_width() {
    for width in [56, 60, 80, 100, 200] {
        let picture = render(&troubled(), &look(width));
        let longest = picture.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() <= width, "{width} columns:\n{picture}");
    }
}

#[test]
fn text_of_another_program_cannot_control_the_terminal() {
    let tracks = vec![Sample::new("\x1b[2Jgone\n").ran(0, 1)];
    let picture = render(&timeline(Mode::Evented, tracks, 1), &look(80));
    assert!(!picture.contains('\x1b'));
    assert_eq!(picture.lines().count(), 5, "{picture}");
}

#[test]
fn extreme_times_can_be_drawn() {
    let nonsense = vec![
        Sample::new("").after(&[0, 7]).ran(u64::MAX, 0),
        Sample::new("late").ran(0, u64::MAX).first_answer(u64::MAX),
        Sample::new("never").ended(u64::MAX, Fate::Shed),
    ];
    let timelines = [
        timeline(Mode::Evented, Vec::new(), 0),
        timeline(Mode::Serial, vec![Sample::new("a").ran(0, 0)], 0),
        timeline(Mode::Evented, nonsense, u64::MAX),
        Timeline {
            elapsed: Micros::MAX,
            ..troubled()
        },
    ];
    for timeline in timelines {
        for axis in [None, Some(Micros::ZERO), Some(ms(1)), Some(Micros::MAX)] {
            for width in [0, 1, 56, 100, 1000] {
                let look = Look {
                    axis,
                    ..look(width)
                };
                let lines = render(&timeline, &look).lines().count();
                let legend = lines - (timeline.tracks.len() + 4);
                assert!(legend <= Ink::EXPLAINED.len());
            }
        }
    }
}

#[test]
fn a_batch_has_its_size_and_a_hedge_its_time() {
    let mut call = timeline(
        Mode::Evented,
        vec![
            Sample::new("plane").ran(0, 9).source(Source::Batched),
            Sample::new("weather").ran(10, 40).source(Source::Hedged),
            Sample::new("sea").ran(10, 35),
            Sample::new("crew").ran(0, 30),
        ],
        41,
    );
    call.tracks[0].mates = 3;
    let asked = |attempts, hedged_at: Option<u64>| AskedEndpoints {
        attempts,
        hedged: hedged_at.is_some(),
        hedged_at: hedged_at.map(ms),
        ..AskedEndpoints::one("10.0.0.1:1".into())
    };
    let mut endpoints = Endpoints::default();
    endpoints.note(1, asked(2, Some(30)));
    endpoints.note(2, asked(3, Some(15)));
    endpoints.note(3, asked(2, None));
    call.endpoints = Some(Box::new(endpoints));
    let picture = render(&call, &look(140));
    let notes = |name: &str| {
        let row = picture.lines().find(|line| line.contains(name));
        let (_, note) = row
            .and_then(|row| row.rsplit_once(" ms  "))
            .expect("a note");
        note.to_owned()
    };
    assert_eq!(notes("plane "), "batched with 3");
    assert_eq!(notes("weather "), "hedged after 20.0 ms");
    assert_eq!(
        notes("sea "),
        "2nd endpoint after 5.0 ms, asked 3 endpoints"
    );
    assert_eq!(notes("crew "), "asked 2 endpoints");
}
