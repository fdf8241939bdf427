//! Any sequence of questions, outages and pauses, compared with a model that does not share the cache's code.
//!
//! All times are multiples of 20 seconds. The limits of the cache are chosen so that they and their jitter of 5 % lie between
//! these.

use proptest::prelude::*;

use super::*;

const KEYS: &str = "cache = { ttl = '90s', stale = '100s', stale_if_error = '100s', \
                    negative_ttl = '30s', entries = 1000 }";
const STEP: u64 = 20;

#[derive(Clone, Copy, Debug)]
enum Event {
    Call(i64),
    Pause(u64),
    Up,
    Down,
    /// The store has nothing from now on.
    Empties,
    Purge(Option<i64>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_i64).prop_map(Event::Call),
        4 => (1..8_u64).prop_map(Event::Pause),
        2 => Just(Event::Up),
        1 => Just(Event::Down),
        1 => Just(Event::Empties),
        1 => proptest::option::of(0..3_i64).prop_map(Event::Purge),
    ]
}

/// What a call gets: the value and the source, or an error.
type Outcome = Option<(Option<i64>, Source)>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Up,
    Down,
    Empty,
}

/// The naive model: when each answer was asked, in seconds, and what it was.
struct Model {
    now: u64,
    state: State,
    version: i64,
    kept: std::collections::HashMap<i64, (u64, Option<i64>)>,
    /// When the store failed last for a key of which there was an answer.
    failed: std::collections::HashMap<i64, u64>,
    asked: usize,
}

impl Model {
    fn ask(&mut self, key: i64) -> Outcome {
        self.asked += 1;
        self.version += 1;
        match self.state {
            State::Up => {
                self.kept.insert(key, (self.now, Some(self.version)));
                Some((Some(self.version), Source::Backend))
            }
            State::Empty => {
                self.kept.insert(key, (self.now, None));
                Some((None, Source::Backend))
            }
            State::Down => None,
        }
    }

    fn call(&mut self, key: i64) -> Outcome {
        let (age, value) = match self.kept.get(&key) {
            Some((asked, value)) => (self.now - asked, *value),
            None => return self.ask(key),
        };
        if value.is_none() {
            return if age < 30 {
                Some((None, Source::Cache))
            } else {
                self.ask(key)
            };
        }
        let has_failed = self.failed.get(&key) == Some(&self.now);
        let stale = Some((value, Source::Stale));
        let outcome = match age {
            0..90 => return Some((value, Source::Cache)),
            90..290 if has_failed => return stale,
            90..190 => {
                if self.ask(key).is_none() {
                    self.failed.insert(key, self.now);
                }
                return stale;
            }
            _ => self.ask(key),
        };
        match (outcome, age) {
            (None, 190..290) => {
                self.failed.insert(key, self.now);
                stale
            }
            (outcome, _) => outcome,
        }
    }
}

async fn compare(events: Vec<Event>) {
    let test = Test::new(KEYS);
    let mut model = Model {
        now: 0,
        state: State::Up,
        version: 0,
        kept: std::collections::HashMap::new(),
        failed: std::collections::HashMap::new(),
        asked: 0,
    };
    for event in events {
        let next = model.version + 1;
        test.store.always(match model.state {
            State::Up => value(next),
            State::Down => Reply::Fails(Code::LookupUnavailable),
            State::Empty => Reply::Value(Value::Null, Duration::ZERO),
        });
        match event {
            Event::Call(key) => {
                let expected = model.call(key);
                let got = test.call(key).await.ok().map(|answer| {
                    let value = match answer.value {
                        Value::I64(number) => Some(number),
                        _ => None,
                    };
                    (value, answer.source)
                });
                settle().await;
                assert_eq!(got, expected, "{event:?} at {}", model.now);
                assert_eq!(
                    test.store.asked(),
                    model.asked,
                    "{event:?} at {}",
                    model.now
                );
            }
            Event::Pause(steps) => {
                model.now += steps * STEP;
                advance(Duration::from_secs(steps * STEP)).await;
            }
            Event::Up => model.state = State::Up,
            Event::Down => model.state = State::Down,
            Event::Empties => model.state = State::Empty,
            Event::Purge(key) => {
                let is_asked = |params: &[Value]| match key {
                    Some(key) => *params == [Value::I64(key)],
                    None => true,
                };
                test.cache.purge(None, is_asked);
                model
                    .kept
                    .retain(|kept, _| key.is_some_and(|key| key != *kept));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_sequence_of_events_is_as_in_the_model(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("a runtime");
        runtime.block_on(compare(events));
    }
}
