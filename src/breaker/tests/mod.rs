//! Plays single stories.

mod model; // any sequence of events, compared with a naive model

use tokio::time::advance;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn breaker() -> Breaker {
    Breaker::new(Settings::default(), 1)
}

/// A question that begins and ends now.
fn end(breaker: &mut Breaker, ok: bool) -> Option<Change> {
    let now = Instant::now();
    if ok {
        breaker.succeeded(now, now)
    } else {
        breaker.failed(now, now)
    }
}

fn ask(breaker: &mut Breaker, is_last: bool) -> Admission {
    let now = Instant::now();
    breaker.admit(now, now, is_last)
}

/// So many questions succeed one after the other, the last of which closes it.
#[track_caller]
fn close(breaker: &mut Breaker, questions: u32) {
    for left in (0..questions).rev() {
        assert!(breaker.is_open());
        assert_eq!(ask(breaker, false), Admission::Probe, "{left}");
        let closed = (left == 0).then_some(Change::Closed);
        assert_eq!(end(breaker, true), closed, "{left}");
    }
    assert_eq!(ask(breaker, false), Admission::Pass);
}

/// It has opened, and its first probe has succeeded.
async fn half_open() -> Breaker {
    let mut breaker = breaker();
    for _ in 0..5 {
        end(&mut breaker, false);
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&mut breaker, false), Admission::Probe);
    assert_eq!(end(&mut breaker, true), None);
    breaker
}

/// How many questions are let through at the same moment.
fn asked_at_once(breaker: &mut Breaker) -> usize {
    std::iter::repeat_with(|| ask(breaker, true))
        .take_while(|admission| *admission == Admission::Probe)
        .count()
}

#[tokio::test(start_paused = true)]
async fn the_fifth_failure_in_a_row_opens_it_and_a_success_between_does_not() {
    let mut breaker = breaker();
    for ok in [false, false, false, false, true, false, false, false, false] {
        assert_eq!(end(&mut breaker, ok), None);
    }
    assert_eq!(ask(&mut breaker, true), Admission::Pass);
    assert_eq!(end(&mut breaker, false), Some(Change::Opened));
    assert_eq!(ask(&mut breaker, true), Admission::Refuse);
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_failures_is_borne_and_more_opens_it_unless_they_are_old() {
    let mut breaker = breaker();
    for round in 0..100 {
        assert_eq!(end(&mut breaker, round % 5 < 4), None, "80 % succeed");
        advance(100 * MS).await;
    }
    // The failures of the last ten seconds count for thirty.
    advance(Duration::from_secs(31)).await;
    for _ in 0..14 {
        assert_eq!(end(&mut breaker, true), None);
    }
    for _ in 0..4 {
        assert_eq!(end(&mut breaker, false), None);
    }
    assert_eq!(end(&mut breaker, true), None);
    assert_eq!(end(&mut breaker, false), Some(Change::Opened), "15 of 20");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_probed_after_one_second_then_two_up_to_thirty() {
    let mut breaker = breaker();
    let mut waits = Vec::new();
    for _ in 0..5 {
        end(&mut breaker, false);
    }
    for _ in 0..8 {
        let opened = Instant::now();
        while ask(&mut breaker, false) == Admission::Refuse {
            advance(MS).await;
        }
        waits.push(opened.elapsed());
        assert_eq!(ask(&mut breaker, false), Admission::Refuse, "one probe");
        assert_eq!(end(&mut breaker, false), None, "it stays open");
    }
    for (wait, nominal) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
        let nominal = Duration::from_secs(nominal);
        assert!((nominal / 2..=nominal + MS).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_server_is_probed_every_second_however_often_probes_fail_or_hang() {
    let mut breaker = breaker();
    for _ in 0..5 {
        end(&mut breaker, false);
    }
    let begun = Instant::now();
    let (mut probes, mut refused) = (0, 0);
    while begun.elapsed() < Duration::from_mins(1) {
        match ask(&mut breaker, true) {
            Admission::Probe if probes % 2 == 0 => probes += 1,
            Admission::Probe => {
                probes += 1;
                end(&mut breaker, false);
            }
            Admission::Refuse => refused += 1,
            Admission::Pass => panic!("it is open"),
        }
        advance(10 * MS).await;
    }
    assert!((60..=120).contains(&probes), "{probes} in a minute");
    assert!(refused > 5000, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_began_before_it_opened_or_closed_changes_nothing() {
    let mut breaker = breaker();
    let old = Instant::now();
    advance(MS).await;
    for _ in 0..5 {
        end(&mut breaker, false);
    }
    assert_eq!(breaker.succeeded(old, Instant::now()), None);
    assert!(breaker.is_open(), "a late answer to an early question");
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&mut breaker, true), Admission::Probe);
    assert_eq!(end(&mut breaker, true), None);
    for _ in 0..9 {
        assert_eq!(breaker.failed(old, Instant::now()), None);
        assert_eq!(breaker.succeeded(old, Instant::now()), None);
    }
    close(&mut breaker, 19);
    for _ in 0..9 {
        assert_eq!(breaker.failed(old, Instant::now()), None);
    }
    assert_eq!(ask(&mut breaker, true), Admission::Pass);
}

#[tokio::test(start_paused = true)]
async fn its_share_rises_within_ten_seconds_and_the_next_time_it_opens_longer() {
    let mut breaker = breaker();
    assert!((breaker.share(Instant::now()) - 1.0).abs() < 1e-9 && breaker.is_calm());
    for _ in 0..5 {
        end(&mut breaker, false);
    }
    assert!(breaker.share(Instant::now()).abs() < 1e-9);
    advance(Duration::from_secs(1)).await;
    ask(&mut breaker, false);
    end(&mut breaker, true);
    assert!(breaker.share(Instant::now()).abs() < 1e-9, "half-open");
    close(&mut breaker, 19);
    let mut shares = Vec::new();
    for _ in 0..4 {
        #[expect(clippy::cast_possible_truncation, reason = "a percentage")]
        shares.push((breaker.share(Instant::now()) * 100.0).round() as i32);
        advance(RISE / 2).await;
    }
    assert_eq!(shares, [10, 55, 100, 100]);
    end(&mut breaker, true);
    assert!(breaker.is_calm(), "it has forgotten that it was open");
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_the_traffic_doubles_with_each_round_trip_until_it_closes() {
    let mut breaker = half_open().await;
    let mut rounds = Vec::new();
    while breaker.is_open() {
        rounds.push(asked_at_once(&mut breaker));
        advance(MS).await;
        for _ in 0..rounds[rounds.len() - 1] {
            let closes = end(&mut breaker, true).is_some();
            assert_eq!(closes, !breaker.is_open());
        }
    }
    assert_eq!(rounds, [1, 2, 4, 8, 4], "20 with the probe");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_once_and_then_hangs_gets_one_question_before_it_opens_for_longer() {
    let mut breaker = half_open().await;
    let began = Instant::now();
    let mut asked = 0;
    for _ in 0..40 {
        asked += asked_at_once(&mut breaker);
        advance(10 * MS).await;
    }
    assert_eq!(asked, 1);
    assert_eq!(breaker.failed(began, Instant::now()), None);
    assert!(breaker.is_open(), "it was not closed between");
    let opened = Instant::now();
    while ask(&mut breaker, false) == Admission::Refuse {
        advance(MS).await;
    }
    assert!(opened.elapsed() >= Duration::from_secs(1), "two, or half");
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_known_late_do_not_let_it_close() {
    let mut breaker = half_open().await;
    let (mut asked, mut hung) = (0, Vec::new());
    // One of five hangs, and the others succeed within a millisecond.
    for _ in 0..400 {
        for _ in 0..asked_at_once(&mut breaker) {
            asked += 1;
            if asked % 5 == 0 {
                hung.push(Instant::now());
            } else {
                assert_eq!(end(&mut breaker, true), None);
            }
        }
        advance(MS).await;
    }
    assert_eq!((asked, hung.len()), (19, 3), "20 with the probe");
    assert_eq!(breaker.failed(hung[0], Instant::now()), None);
    assert_eq!(asked_at_once(&mut breaker), 0, "it is open");
    assert_eq!(breaker.succeeded(hung[1], Instant::now()), None);
    assert_eq!(asked_at_once(&mut breaker), 0, "it stays open");
}

#[tokio::test(start_paused = true)]
async fn one_question_a_second_is_never_refused_although_those_before_never_end() {
    let mut breaker = half_open().await;
    for _ in 0..60 {
        advance(PROBE_EVERY).await;
        assert_eq!(ask(&mut breaker, false), Admission::Probe);
    }
    for left in (0..19).rev() {
        advance(PROBE_EVERY).await;
        assert_eq!(ask(&mut breaker, false), Admission::Probe);
        assert_eq!(end(&mut breaker, true).is_some(), left == 0);
    }
    assert!(!breaker.is_open());
}

#[tokio::test(start_paused = true)]
async fn with_little_traffic_it_closes_after_ten_seconds() {
    let mut breaker = half_open().await;
    let begun = Instant::now();
    loop {
        advance(3 * PROBE_EVERY).await;
        assert_eq!(ask(&mut breaker, false), Admission::Probe);
        if end(&mut breaker, true).is_some() {
            break;
        }
    }
    assert_eq!(begun.elapsed(), 12 * PROBE_EVERY);
}

#[tokio::test(start_paused = true)]
async fn another_question_has_the_place_of_one_that_told_nothing() {
    let mut breaker = half_open().await;
    let old = Instant::now();
    advance(MS).await;
    let mut asked = 0;
    for _ in 0..1000 {
        asked += asked_at_once(&mut breaker);
        breaker.told_nothing(Instant::now());
    }
    assert_eq!(asked, 1000);
    assert_eq!(asked_at_once(&mut breaker), 1);
    breaker.told_nothing(old - PROBE_EVERY);
    assert_eq!(asked_at_once(&mut breaker), 0, "it began before the probe");
    assert_eq!(end(&mut breaker, true), None);
    assert_eq!(asked_at_once(&mut breaker), 2);
}

#[test]
fn the_fewer_successes_are_enough_the_fewer_close_it() {
    for (success_min, calls_min, successes) in [
        (0.8, 20, 20),
        (0.95, 1000, 20),
        (1.0, 1000, 20),
        (0.5, 20, 8),
        (0.0, 20, 4),
        (0.8, 6, 6),
        (0.5, 1, 1),
    ] {
        let of = format!("{success_min} of {calls_min}");
        assert_eq!(enough(success_min, calls_min), successes, "{of}");
    }
}
