//! Turns two samples into rates and percentiles of the time between them.

use serde_json::{Value as Json, json};

use super::sample::{Backend, Method, Sample};

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) version: String,
    pub(super) state: String,
    /// Calls that ended per second.
    pub(super) rate: f64,
    pub(super) calls_in_flight: u64,
    pub(super) connections: u64,
    pub(super) methods: Vec<MethodRow>,
    /// Each store, followed by its endpoints.
    pub(super) stores: Vec<StoreRow>,
    pub(super) loops: Vec<LoopRow>,
    /// What was refused or left out, per second; only what was.
    pub(super) refused: Vec<(String, f64)>,
}

/// A method. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MethodRow {
    pub(super) name: String,
    pub(super) rate: f64,
    pub(super) partial: f64,
    pub(super) failed: f64,
    /// In microseconds; `None` if there were no calls.
    pub(super) p50: Option<u64>,
    pub(super) p99: Option<u64>,
}

/// A store, or one of its endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StoreRow {
    /// The name of the backend, and for an endpoint its address.
    pub(super) backend: String,
    pub(super) endpoint: Option<String>,
    /// `up`, `down`, `breaker open`, and for endpoints `not asked`.
    pub(super) state: &'static str,
    pub(super) rate: f64,
    pub(super) failed: f64,
    /// Only of stores.
    pub(super) in_flight: Option<u64>,
    pub(super) waiting: Option<u64>,
    /// The share of answers that came from the cache; `None` if none did.
    pub(super) cached: Option<f64>,
}

/// An event loop.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LoopRow {
    pub(super) number: String,
    /// The share of the time in which it worked.
    pub(super) busy: f64,
    pub(super) lag_us: u64,
    pub(super) lag_max_us: u64,
}

impl Figures {
    pub(super) fn between(before: &Sample, now: &Sample) -> Self {
        let over = Over::new(before, now);
        let methods = now.methods.iter().filter(|of| !of.is_idle_built_in());
        let methods: Vec<MethodRow> = methods.map(|of| over.method(of)).collect();
        let refused = now.refused.iter().filter_map(|(reason, count)| {
            let rate = over.rate(*count, before.refused.get(reason).copied());
            (rate > 0.0).then(|| (reason.clone(), rate))
        });
        Figures {
            version: now.version.clone(),
            state: now.state.clone(),
            rate: methods.iter().map(|of| of.rate).sum(),
            calls_in_flight: now.calls_in_flight,
            connections: now.connections,
            methods,
            stores: (now.backends.iter().filter(|of| !of.is_idle_built_in()))
                .flat_map(|of| over.store(of))
                .collect(),
            loops: now
                .loops
                .iter()
                .map(|of| {
                    let then = before.loops.iter().find(|then| then.number == of.number);
                    LoopRow {
                        number: of.number.clone(),
                        busy: (over.rate(of.busy_us, then.map(|then| then.busy_us)) / 1e6).min(1.0),
                        lag_us: of.lag_us,
                        lag_max_us: of.lag_max_us,
                    }
                })
                .collect(),
            refused: refused.collect(),
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Json {
        json!({
            "version": self.version, "state": self.state, "calls_per_second": self.rate,
            "calls_in_flight": self.calls_in_flight, "connections": self.connections,
            "methods": self.methods.iter().map(|of| json!({
                "method": of.name, "calls_per_second": of.rate,
                "partial_per_second": of.partial, "failed_per_second": of.failed,
                "p50_us": of.p50, "p99_us": of.p99,
            })).collect::<Vec<Json>>(),
            "stores": self.stores.iter().map(|of| json!({
                "backend": of.backend, "endpoint": of.endpoint, "state": of.state,
                "lookups_per_second": of.rate, "failed_per_second": of.failed,
                "in_flight": of.in_flight, "waiting": of.waiting, "cached": of.cached,
            })).collect::<Vec<Json>>(),
            "loops": self.loops.iter().map(|of| json!({
                "loop": of.number, "busy": of.busy, "lag_us": of.lag_us, "lag_max_us": of.lag_max_us,
            })).collect::<Vec<Json>>(),
            "refused_per_second": self.refused.iter().cloned()
                .map(|(reason, rate)| (reason, Json::from(rate)))
                .collect::<serde_json::Map<String, Json>>(),
        })
    }
}

impl Method {
    /// Not a method of the configuration, as calls to unknown methods, and never called.
    fn is_idle_built_in(&self) -> bool {
        self.name.starts_with('_') && self.ok + self.partial + self.failed == 0
    }
}

impl Backend {
    /// The registered closures, if there are none or none was asked.
    fn is_idle_built_in(&self) -> bool {
        self.name == "code" && self.answers.values().sum::<u64>() == 0
    }
}

/// The time between two samples.
struct Over<'s> {
    before: &'s Sample,
    now: &'s Sample,
    seconds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
impl<'s> Over<'s> {
    fn new(before: &'s Sample, now: &'s Sample) -> Self {
        let millis = now.at_ms.saturating_sub(before.at_ms).max(1);
        Over {
            before,
            now,
            seconds: millis as f64 / 1000.0,
        }
    }

    /// The growth of a count per second. What was not there before counted from zero.
    fn rate(&self, now: u64, before: Option<u64>) -> f64 {
        now.saturating_sub(before.unwrap_or(0)) as f64 / self.seconds
    }

    fn method(&self, now: &Method) -> MethodRow {
        let none = Method::default();
        let then = self
            .before
            .methods
            .iter()
            .find(|then| then.name == now.name);
        let then = then.unwrap_or(&none);
        let [ok, partial, failed] = [
            (now.ok, then.ok),
            (now.partial, then.partial),
            (now.failed, then.failed),
        ]
        .map(|(now, then)| self.rate(now, Some(then)));
        let counts = now.durations.iter().enumerate();
        let counts = counts
            .map(|(at, count)| count.saturating_sub(then.durations.get(at).copied().unwrap_or(0)));
        let counts: Vec<u64> = counts.collect();
        MethodRow {
            name: now.name.clone(),
            rate: ok + partial + failed,
            partial,
            failed,
            p50: quantile(&counts, &self.now.bounds_us, 0.5),
            p99: quantile(&counts, &self.now.bounds_us, 0.99),
        }
    }

    fn store(&self, now: &Backend) -> Vec<StoreRow> {
        let then = self
            .before
            .backends
            .iter()
            .find(|then| then.name == now.name);
        let count = |source: &str| {
            let then = then.and_then(|then| then.answers.get(source).copied());
            self.rate(now.answers.get(source).copied().unwrap_or(0), then)
        };
        let all: f64 = now.answers.keys().map(|source| count(source)).sum();
        let cached = count("cache") + count("stale");
        let mut rows = vec![StoreRow {
            backend: now.name.clone(),
            endpoint: None,
            state: match (now.up, now.breakers_open) {
                (_, Some(1..)) => "breaker open",
                (false, _) => "down",
                (true, _) => "up",
            },
            rate: all,
            failed: count("none"),
            in_flight: Some(now.in_flight),
            waiting: Some(now.waiting),
            cached: (cached > 0.0).then(|| cached / all),
        }];
        let own = self
            .now
            .endpoints
            .iter()
            .filter(|of| of.backend == now.name);
        rows.extend(own.map(|of| {
            let mut before = self.before.endpoints.iter();
            let then = before.find(|then| then.backend == of.backend && then.address == of.address);
            let failed = self.rate(of.failed, then.map(|then| then.failed));
            StoreRow {
                backend: of.backend.clone(),
                endpoint: Some(of.address.clone()),
                state: if of.up { "up" } else { "not asked" },
                rate: failed + self.rate(of.ok, then.map(|then| then.ok)),
                failed,
                ..StoreRow::default()
            }
        }));
        rows
    }
}

/// The quantile of durations by their counts in buckets, in microseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate between two bounds"
)]
fn quantile(counts: &[u64], bounds: &[u64], share: f64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    let mut rank = all as f64 * share;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = *count as f64;
        if rank <= count {
            let from = at.checked_sub(1).and_then(|before| bounds.get(before));
            let from = from.copied().unwrap_or(0) as f64;
            let to = bounds.get(at).or(bounds.last()).copied().unwrap_or(0) as f64;
            return Some((from + (to - from).max(0.0) * (rank / count)) as u64);
        }
        rank -= count;
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample::{Endpoint, EventLoop};
    use super::*;

    /// A server `half` half seconds after its start: three methods, two stores, one of them with two endpoints.
    pub(in super::super) fn sample(half: u64) -> Sample {
        let method = |name: &str, ok: u64, partial: u64, failed: u64, at: usize| {
            let mut durations = vec![0; 4];
            durations[at] = (ok + partial + failed) * half;
            Method {
                name: name.into(),
                ok: ok * half,
                partial: partial * half,
                failed: failed * half,
                durations,
            }
        };
        let backend = |name: &str, up, open, none: u64, cache: u64| Backend {
            name: name.into(),
            up,
            in_flight: 3,
            waiting: 0,
            breakers_open: open,
            answers: [("backend", 300), ("cache", cache), ("none", none)]
                .map(|(source, count)| (source.to_owned(), count * half))
                .into(),
        };
        let endpoint = |address: &str, up, failed| Endpoint {
            backend: "weather".into(),
            address: address.into(),
            up,
            ok: 150 * half,
            failed: failed * half,
        };
        Sample {
            at_ms: 1_000_000 + 500 * half,
            version: "0.1.0".into(),
            state: "ready".into(),
            calls_in_flight: 12,
            connections: 4,
            bounds_us: vec![1_000, 10_000, 100_000],
            methods: vec![
                method("getAirport", 400, 0, 0, 0),
                method("getBoard", 90, 10, 0, 2),
                method("getDeparture", 50, 0, 5, 1),
                method("neverCalled", 0, 0, 0, 0),
                method("_OTHER", 0, 0, 0, 0),
                method("_TRIBUTARY", 0, 0, 0, 0),
            ],
            backends: vec![
                backend("ops", true, None, 0, 900),
                backend("weather", false, Some(0), 10, 0),
                Backend {
                    name: "code".into(),
                    up: true,
                    ..Backend::default()
                },
            ],
            endpoints: vec![
                endpoint("10.0.0.1:80", true, 0),
                endpoint("10.0.0.2:80", false, 10),
            ],
            loops: vec![EventLoop {
                number: "0".into(),
                lag_us: 120,
                lag_max_us: 4_300,
                busy_us: 210_000 * half,
            }],
            refused: [
                ("overloaded: waiting".to_owned(), 7 * half),
                ("caller: rate".to_owned(), 0),
            ]
            .into(),
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these are computed without loss")]
    fn counts_become_rates_and_buckets_percentiles() {
        let figures = Figures::between(&sample(4), &sample(6));
        assert_eq!(figures.rate, 1110.0);
        let board = &figures.methods[1];
        assert_eq!(
            (board.rate, board.partial, board.failed),
            (200.0, 20.0, 0.0)
        );
        assert_eq!(board.p50, Some(55_000));
        assert_eq!(figures.methods[3].p99, None);
        let states: Vec<_> = figures.stores.iter().map(|of| of.state).collect();
        assert_eq!(states, ["up", "down", "up", "not asked"]);
        assert_eq!(figures.stores[0].cached, Some(0.75));
        assert_eq!(figures.stores[3].failed, 20.0);
        assert_eq!(figures.loops[0].busy, 0.42);
        assert_eq!(figures.refused, [("overloaded: waiting".to_owned(), 14.0)]);
    }
}
