//! Compares the breaker with a naive model that remembers everything, and plays single stories.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// What happens to a breaker.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many milliseconds pass.
    Pass(u64),
    /// A question wants to be asked; whether it is the last server that could answer it.
    Ask(bool),
    /// A question ends that began so many milliseconds ago; whether it succeeds.
    End(u64, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (1..2500_u64).prop_map(Act::Pass),
        3 => any::<bool>().prop_map(Act::Ask),
        6 => (prop_oneof![4 => Just(0), 1 => 1..4000_u64], prop::bool::weighted(0.6))
            .prop_map(|(ago, ok)| Act::End(ago, ok)),
    ]
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
            panic!("it is closed");
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

    fn asks(&mut self, admission: Admission, now: Instant, is_last: bool) {
        if !matches!(self.state, Naive::Open { .. }) {
            assert_eq!(admission, Admission::Pass);
            return;
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

    fn ends(&mut self, began: Instant, now: Instant, ok: bool) -> Option<Change> {
        match self.state {
            Naive::Open { first, .. } => {
                if first.is_none_or(|first| began < first) {
                    return None;
                }
                if !ok {
                    self.open(now);
                    return None;
                }
                (self.state, self.since) = (Naive::Rising(now), Some(began));
                return Some(Change::Closed);
            }
            Naive::Rising(_) if self.since.is_some_and(|since| began < since) => return None,
            Naive::Rising(closed) if now >= closed + RISE => {
                (self.state, self.since, self.opened) = (Naive::Closed, None, 0);
            }
            Naive::Rising(_) | Naive::Closed => {}
        }
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
                let change = if ok {
                    breaker.succeeded(began, now)
                } else {
                    breaker.failed(began, now)
                };
                assert_eq!(change, model.ends(began, now, ok), "{act:?}");
            }
        }
        assert_eq!(
            breaker.is_open(),
            matches!(model.state, Naive::Open { .. }),
            "{act:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_naive_model_agrees(
        acts in prop::collection::vec(act(), 1..300),
        consecutive in 2..8_u32,
        calls_min in 2..25_u32,
        seed: u64,
    ) {
        let settings = Settings { consecutive, calls_min, ..Settings::default() };
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
    assert_eq!(end(&mut breaker, true), Some(Change::Closed));
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
