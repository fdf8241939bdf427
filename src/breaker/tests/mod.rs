//! Compares the breaker with a naive model that remembers everything, and plays single stories.

use proptest::prelude::*;
use tokio::time::advance;

use super::half_open::HALF_OPEN_MAX;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// What happens to a breaker.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many milliseconds pass.
    Pass(u64),
    /// A question wants to be asked; whether it is the last server that could answer it.
    Ask(bool),
    /// A question ends that began so many milliseconds ago; whether it succeeds, if it tells that.
    End(u64, Option<bool>),
}

fn act(successes: f64) -> impl Strategy<Value = Act> {
    let tells = prop::bool::weighted(successes);
    prop_oneof![
        2 => prop_oneof![1..100_u64, 1..2500_u64].prop_map(Act::Pass),
        5 => any::<bool>().prop_map(Act::Ask),
        6 => (prop_oneof![4 => Just(0), 1 => 1..4000_u64], prop::option::weighted(0.9, tells))
            .prop_map(|(ago, ok)| Act::End(ago, ok)),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    (0.5..1.0).prop_flat_map(|successes| prop::collection::vec(act(successes), 1..300))
}

/// Every outcome since the last change, and when that was.
struct Model {
    settings: Settings,
    outcomes: Vec<(Instant, bool)>,
    since: Option<Instant>,
    state: Naive,
    opened: u32,
}

enum Naive {
    Closed,
    Open {
        at: Instant,
        nominal: Duration,
        first: Option<Instant>,
        last: Option<Instant>,
    },
    HalfOpen {
        succeeded: usize,
        /// What was let through and has no outcome.
        in_flight: Vec<Instant>,
        last: Instant,
        at: Instant,
    },
    Rising(Instant),
}

impl Model {
    fn new(settings: Settings) -> Self {
        Model {
            settings,
            outcomes: Vec::new(),
            since: None,
            state: Naive::Closed,
            opened: 0,
        }
    }

    fn open(&mut self, now: Instant) {
        let mut nominal = self.settings.open_min;
        for _ in 0..self.opened {
            nominal = (nominal * 2).min(self.settings.open_max);
        }
        self.opened += 1;
        self.since = None;
        self.outcomes.clear();
        self.state = Naive::Open {
            at: now,
            nominal,
            first: None,
            last: None,
        };
    }

    /// The earliest and the latest time at which a question becomes a probe.
    fn probe_within(&self, is_last: bool) -> (Instant, Instant) {
        let Naive::Open {
            at, nominal, last, ..
        } = self.state
        else {
            panic!("it is not open");
        };
        match last {
            Some(last) => (last + PROBE_EVERY / 2, last + PROBE_EVERY),
            None if is_last => (
                at + (nominal / 2).min(PROBE_EVERY / 2),
                at + nominal.min(PROBE_EVERY),
            ),
            None => (at + nominal / 2, at + nominal),
        }
    }

    /// How many successes in a row close it.
    fn successes(&self) -> usize {
        let of_share = match self.settings.success_min {
            0.0 => 4,
            0.5 => 8,
            _ => 20,
        };
        of_share.min(self.settings.calls_min as usize)
    }

    fn asks(&mut self, admission: Admission, now: Instant, is_last: bool) {
        let successes = self.successes();
        match &mut self.state {
            Naive::Closed | Naive::Rising(_) => {
                assert_eq!(admission, Admission::Pass);
                return;
            }
            Naive::HalfOpen {
                succeeded,
                in_flight,
                last,
                ..
            } => {
                // One after the probe, and two for each success after that.
                let let_through = *succeeded + in_flight.len();
                let has_room = let_through < (2 * *succeeded).min(successes);
                match admission {
                    Admission::Pass => panic!("it is half-open"),
                    Admission::Refuse => assert!(!has_room && now < *last + PROBE_EVERY),
                    Admission::Probe => {
                        assert!(has_room || now >= *last + PROBE_EVERY / 2);
                        in_flight.push(now);
                        *last = now;
                    }
                }
                return;
            }
            Naive::Open { .. } => {}
        }
        let (earliest, latest) = self.probe_within(is_last);
        match admission {
            Admission::Pass => panic!("it is open"),
            Admission::Refuse => assert!(now < latest, "a probe is overdue"),
            Admission::Probe => {
                assert!(now >= earliest, "a probe is early");
                if let Naive::Open { first, last, .. } = &mut self.state {
                    first.get_or_insert(now);
                    *last = Some(now);
                }
            }
        }
    }

    fn ends(&mut self, began: Instant, now: Instant, ok: Option<bool>) -> Option<Change> {
        let successes = self.successes();
        if self.since.is_some_and(|since| began < since) {
            return None;
        }
        match (&mut self.state, ok) {
            (Naive::Open { first, .. }, _) if first.is_none_or(|first| began < first) => {
                return None;
            }
            (Naive::Open { .. } | Naive::HalfOpen { .. }, Some(false)) => {
                self.open(now);
                return None;
            }
            (Naive::Open { .. }, Some(true)) => {
                self.since = Some(began);
                self.state = Naive::HalfOpen {
                    succeeded: 1,
                    in_flight: Vec::new(),
                    last: now,
                    at: now,
                };
            }
            (
                Naive::HalfOpen {
                    succeeded,
                    in_flight,
                    ..
                },
                ok,
            ) => {
                in_flight.pop();
                *succeeded += usize::from(ok.is_some());
            }
            (Naive::Rising(closed), Some(_)) if now >= *closed + RISE => {
                (self.state, self.since, self.opened) = (Naive::Closed, None, 0);
            }
            _ => {}
        }
        let ok = ok?;
        if let Naive::HalfOpen {
            succeeded,
            in_flight,
            at,
            ..
        } = &self.state
        {
            let is_long = now >= *at + HALF_OPEN_MAX && in_flight.is_empty();
            return (*succeeded >= successes || is_long).then(|| {
                self.state = Naive::Rising(now);
                Change::Closed
            });
        }
        self.ends_while_closed(now, ok)
    }

    fn ends_while_closed(&mut self, now: Instant, ok: bool) -> Option<Change> {
        self.outcomes.push((now, ok));
        let in_a_row = self.outcomes.iter().rev().take_while(|(_, ok)| !ok).count();
        let start = self.outcomes[0].0;
        let slot = |at: Instant| {
            at.duration_since(start).as_millis() * 10 / self.settings.window.as_millis()
        };
        let recent = self
            .outcomes
            .iter()
            .filter(|(at, _)| slot(*at) + 10 > slot(now));
        let recent: Vec<bool> = recent.map(|(_, ok)| *ok).collect();
        let succeeded = recent.iter().filter(|ok| **ok).count();
        #[expect(clippy::cast_precision_loss, reason = "a few outcomes")]
        let few = recent.len() >= self.settings.calls_min as usize
            && (succeeded as f64) < self.settings.success_min * recent.len() as f64;
        if ok || !few && in_a_row < self.settings.consecutive as usize {
            return None;
        }
        self.open(now);
        Some(Change::Opened)
    }
}

async fn agrees(acts: Vec<Act>, settings: Settings, seed: u64) {
    let mut breaker = Breaker::new(settings, seed);
    let mut model = Model::new(settings);
    advance(Duration::from_secs(10)).await;
    for act in acts {
        let now = Instant::now();
        match act {
            Act::Pass(millis) => advance(Duration::from_millis(millis)).await,
            Act::Ask(is_last) => model.asks(breaker.admit(now, now, is_last), now, is_last),
            Act::End(ago, ok) => {
                let began = now - Duration::from_millis(ago);
                let change = match ok {
                    Some(true) => breaker.succeeded(began, now),
                    Some(false) => breaker.failed(began, now),
                    None => {
                        breaker.told_nothing(began);
                        None
                    }
                };
                assert_eq!(change, model.ends(began, now, ok), "{act:?}");
            }
        }
        assert_eq!(
            breaker.is_open(),
            matches!(model.state, Naive::Open { .. } | Naive::HalfOpen { .. }),
            "{act:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_naive_model_agrees(
        acts in acts(),
        consecutive in 2..8_u32,
        calls_min in 1..25_u32,
        success_min in prop::sample::select(&[0.0, 0.5, 0.8, 1.0][..]),
        seed: u64,
    ) {
        let settings = Settings { consecutive, success_min, calls_min, ..Settings::default() };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(agrees(acts, settings, seed));
    }
}

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
