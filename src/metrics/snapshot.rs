//! The present numbers of all loops, for what shows them live: a few of the metrics, without the text of a scrape.

use super::family::Family;
use super::{Metrics, Overloaded, Reloaded};
use crate::timeline::Fate;

/// The present numbers. Counts count from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Each method.
    pub methods: Vec<MethodNow>,
    /// Each backend.
    pub backends: Vec<BackendNow>,
    /// Each endpoint of backends that have several.
    pub endpoints: Vec<EndpointNow>,
    /// Each loop.
    pub loops: Vec<LoopNow>,
    /// What was refused or left out, by reason.
    pub refused: Vec<(String, u64)>,
    /// Calls without a reply.
    pub calls_in_flight: u64,
    /// Open connections.
    pub connections: u64,
    /// Reloads of the configuration that were refused.
    pub reloads_refused: u64,
}

/// One method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodNow {
    /// Its name in metrics.
    pub name: String,
    /// Calls with a complete reply.
    pub ok: u64,
    /// Calls with a partial reply.
    pub partial: u64,
    /// Calls that failed, or whose client was gone.
    pub failed: u64,
    /// How many calls took how long, by [`BOUNDS`]; the last number is of all slower ones.
    pub durations: Vec<u64>,
}

/// One backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendNow {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub up: bool,
    /// Lookups in progress.
    pub in_flight: u64,
    /// Lookups that wait.
    pub waiting: u64,
    /// Loops whose breaker is open; `None` if it has none.
    pub open: Option<u64>,
    /// Lookups by the source of their answer, in the order of [`crate::timeline::Source::ALL`].
    pub answers: Vec<u64>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointNow {
    /// The backend's name.
    pub backend: String,
    /// Its address.
    pub endpoint: String,
    /// Whether it is asked.
    pub up: bool,
    /// Questions that it answered.
    pub ok: u64,
    /// Questions that it did not answer, or not in time.
    pub failed: u64,
}

/// One loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopNow {
    /// Its number.
    pub at: String,
    /// How late its last timer fired, in nanoseconds.
    pub lag: u64,
    /// The largest lag of the last 30 to 60 seconds, in nanoseconds.
    pub lag_max: u64,
    /// How long it has been working since the start, in nanoseconds.
    pub busy: u64,
}

/// The bounds of durations in nanoseconds.
pub const BOUNDS: &[u64] = super::TIMES;

impl Metrics {
    /// The present numbers.
    pub fn snapshot(&self) -> Snapshot {
        let of = &self.families;
        let sum = |family: &Family| family.read().iter().filter_map(|(_, of)| of.first()).sum();
        Snapshot {
            methods: self.methods_now(),
            backends: self.backends_now(),
            endpoints: (self.endpoints.now().into_iter())
                .map(|(backend, endpoint, up, [ok, failed])| EndpointNow {
                    backend,
                    endpoint,
                    up,
                    ok,
                    failed,
                })
                .collect(),
            loops: {
                let lags = of.loop_lag_last.read().into_iter();
                let most = of.loop_lag_max.read();
                let busy = of.loop_busy.read();
                let each = lags.zip(most).zip(busy);
                let each = each.map(|(((name, lag), (_, most)), (_, busy))| LoopNow {
                    at: name.concat(),
                    lag: first(&lag),
                    lag_max: first(&most),
                    busy: first(&busy),
                });
                each.collect()
            },
            refused: self.refused_now(),
            calls_in_flight: sum(&of.calls_in_flight),
            connections: sum(&of.connections_open),
            reloads_refused: of
                .reloads
                .totals()
                .get(Reloaded::Refused as usize)
                .copied()
                .unwrap_or(0),
        }
    }

    /// The names of all methods, as in the metrics.
    pub fn methods(&self) -> Vec<String> {
        let calls = self.families.calls.read().into_iter();
        calls.map(|(name, _)| name.concat()).collect()
    }

    fn methods_now(&self) -> Vec<MethodNow> {
        let durations = self.families.call_duration.read();
        let calls = self.families.calls.read().into_iter();
        let each = calls.map(|(name, counts)| {
            let name = name.concat();
            let of = durations.iter().find(|(of, _)| of.concat() == name);
            let [ok, partial] = [0, 1].map(|at| counts.get(at).copied().unwrap_or(0));
            let all: u64 = counts.iter().sum();
            MethodNow {
                ok,
                partial,
                failed: all - ok - partial,
                // The last number is the sum of all durations.
                durations: of.map_or_else(Vec::new, |(_, of)| of[..of.len() - 1].to_vec()),
                name,
            }
        });
        each.collect()
    }

    fn backends_now(&self) -> Vec<BackendNow> {
        let of = &self.families;
        let [up, flying, waiting, open] = [
            &of.backend_up,
            &of.backend_in_flight,
            &of.backend_waiting,
            &of.breakers_open,
        ]
        .map(Family::read);
        let number = |of: &[(Vec<String>, Vec<u64>)], name: &str| {
            let found = of.iter().find(|(of, _)| of.concat() == *name);
            found.map(|(_, numbers)| first(numbers))
        };
        let answers = of.answers.read().into_iter();
        let each = answers.map(|(name, answers)| {
            let name = name.concat();
            BackendNow {
                up: number(&up, &name) != Some(0),
                in_flight: number(&flying, &name).unwrap_or(0),
                waiting: number(&waiting, &name).unwrap_or(0),
                open: number(&open, &name),
                answers,
                name,
            }
        });
        each.collect()
    }

    /// Calls and lookups that were refused or left out.
    fn refused_now(&self) -> Vec<(String, u64)> {
        let of = &self.families;
        let by_word = |family: &Family, words: &[(&'static str, bool)]| {
            let mut sums = vec![0; words.len()];
            for (_, counts) in family.read() {
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
            let sums: Vec<(&'static str, u64)> =
                words.iter().map(|(word, _)| *word).zip(sums).collect();
            sums
        };
        let overloaded = by_word(&of.calls_overloaded, &Overloaded::words());
        let callers = by_word(&of.caller_calls, &super::OfCaller::words());
        let fates: Vec<_> = Fate::ALL.iter().map(|fate| (fate.as_str(), true)).collect();
        let fates = by_word(&of.lookups, &fates).into_iter();
        let fates = fates.filter(|(word, _)| ["shed", "breaker_open"].contains(word));
        let named = |what: &'static str| move |(word, count)| (format!("{what}: {word}"), count);
        (overloaded.into_iter().map(named("overloaded")))
            .chain(callers.into_iter().skip(1).map(named("caller")))
            .chain(fates.map(named("lookup")))
            .collect()
    }
}

fn first(numbers: &[u64]) -> u64 {
    numbers.first().copied().unwrap_or(0)
}
