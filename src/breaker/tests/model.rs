//! Compares the breaker with a naive model that remembers everything.

use proptest::prelude::*;
use tokio::time::advance;

use super::super::half_open::HALF_OPEN_MAX;
use super::super::*;

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
