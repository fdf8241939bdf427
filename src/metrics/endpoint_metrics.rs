//! Shows what endpoints do. Their addresses come and go, so each has a series only as long as it is in use, and of each backend
//! only so many have one of their own.

use std::collections::BTreeMap;
use std::fmt;
#[expect(
    clippy::disallowed_types,
    reason = "taken at start and by scrapes, never by a call"
)]
use std::sync::Mutex;
use std::sync::PoisonError;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::backend::{Board, Discovery, EndpointOutcome, Hedged, Retried, Shown};

/// More endpoints of a backend share the label `other`.
const SHOWN_MAX: usize = 64;
const OTHER: &str = "other";

/// The boards of all backends with endpoints, on all loops.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    #[expect(
        clippy::disallowed_types,
        reason = "taken at start and by scrapes, never by a call"
    )]
    boards: Mutex<Vec<(String, Board)>>,
}

/// What all loops know of one endpoint.
#[derive(Debug)]
struct Sum {
    outcomes: [u64; EndpointOutcome::ALL.len()],
    ejected: u64,
    /// Loops that do not ask it.
    shunned: u64,
}

/// What all loops know of one backend.
#[derive(Debug, Default)]
struct OfBackend {
    endpoints: BTreeMap<String, Sum>,
    discovery: [u64; Discovery::ALL.len()],
    retries: [u64; Retried::ALL.len()],
    hedges: [u64; Hedged::ALL.len()],
    /// The age of the oldest answer, in seconds.
    age: f64,
}

impl Endpoints {
    /// Shows a board for as long as somebody counts there.
    pub(super) fn show(&self, backend: &str, board: &Board) {
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|(_, board)| !board.is_abandoned());
        boards.push((backend.to_owned(), board.clone()));
    }

    fn sums(&self) -> BTreeMap<String, OfBackend> {
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|(_, board)| !board.is_abandoned());
        let mut sums: BTreeMap<String, OfBackend> = BTreeMap::new();
        for (backend, board) in &*boards {
            sums.entry(backend.clone()).or_default().add(board);
        }
        sums
    }

    /// Of each endpoint: its backend, its address, whether it is asked, and how many questions it answered and did not.
    pub(super) fn now(&self) -> Vec<(String, String, bool, [u64; 2])> {
        let backends = self.sums().into_iter();
        let all = backends.flat_map(|(backend, of)| {
            of.endpoints.into_iter().map(move |(endpoint, sum)| {
                let [ok, failed, late, _other] = sum.outcomes;
                (
                    backend.clone(),
                    endpoint,
                    sum.shunned == 0,
                    [ok, failed + late],
                )
            })
        });
        all.collect()
    }

    /// Writes every series.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sums = self.sums();
        for (name, help, kind, series) in FAMILIES {
            let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, number) in sums.iter().flat_map(|(backend, of)| series(backend, of)) {
                let mut metric = metric.encode_family(&labels)?;
                match number {
                    Number::Count(count) => {
                        metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
                    }
                    Number::State(is) => metric.encode_gauge(&i64::from(is))?,
                    Number::Seconds(seconds) => metric.encode_gauge(&seconds)?,
                }
            }
        }
        Ok(())
    }
}

/// Name, help, kind, and how the series of a backend are made.
type FamilyOf = (
    &'static str,
    &'static str,
    MetricType,
    fn(&str, &OfBackend) -> Vec<Series>,
);

/// The text form adds `_total` to the names of counters.
const FAMILIES: &[FamilyOf] = &[
    (
        "tributary_endpoint_up",
        "1 if the endpoint is asked, 0 if some loop can't reach it or has ejected it",
        MetricType::Gauge,
        |backend, of| of.each(backend, |sum| Number::State(sum.shunned == 0)),
    ),
    (
        "tributary_endpoint_lookups",
        "Questions to an endpoint by outcome, retries and hedges included",
        MetricType::Counter,
        |backend, of| of.each_outcome(backend),
    ),
    (
        "tributary_endpoint_ejections",
        "Times that an endpoint was ejected because it failed too often",
        MetricType::Counter,
        |backend, of| of.each(backend, |sum| Number::Count(sum.ejected)),
    ),
    (
        "tributary_endpoint_discoveries",
        "Questions to the sources of endpoints by outcome; only ok changes the endpoints",
        MetricType::Counter,
        |backend, of| words(backend, &Discovery::ALL, &of.discovery),
    ),
    (
        "tributary_endpoint_discovery_age_seconds",
        "Time since a source last named endpoints",
        MetricType::Gauge,
        |backend, of| {
            vec![(
                vec![("backend".into(), backend.into())],
                Number::Seconds(of.age),
            )]
        },
    ),
    (
        "tributary_endpoint_retries",
        "Questions that failed and could be asked again, by what was done",
        MetricType::Counter,
        |backend, of| words(backend, &Retried::ALL, &of.retries),
    ),
    (
        "tributary_endpoint_hedges",
        "Questions that were slow and could be asked of a second endpoint, by what was done",
        MetricType::Counter,
        |backend, of| words(backend, &Hedged::ALL, &of.hedges),
    ),
];

/// A series: its labels and its number.
type Series = (Vec<(String, String)>, Number);

/// The number of a series.
#[derive(Clone, Copy, Debug)]
enum Number {
    Count(u64),
    State(bool),
    Seconds(f64),
}

impl OfBackend {
    fn add(&mut self, board: &Board) {
        for shown in board.endpoints() {
            self.endpoint(&shown);
        }
        for (sum, more) in self.discovery.iter_mut().zip(board.discovery()) {
            *sum += more;
        }
        for (sum, more) in self.retries.iter_mut().zip(board.retries()) {
            *sum += more;
        }
        for (sum, more) in self.hedges.iter_mut().zip(board.hedges()) {
            *sum += more;
        }
        self.age = self.age.max(board.age().as_secs_f64());
    }

    /// A series per endpoint.
    fn each(&self, backend: &str, number: fn(&Sum) -> Number) -> Vec<Series> {
        let each = self.endpoints.iter();
        each.map(|(endpoint, sum)| (labels(backend, "endpoint", endpoint), number(sum)))
            .collect()
    }

    /// A series per endpoint and outcome.
    fn each_outcome(&self, backend: &str) -> Vec<Series> {
        let each = self.endpoints.iter().flat_map(|(endpoint, sum)| {
            let outcomes = EndpointOutcome::ALL.iter().zip(sum.outcomes);
            outcomes.map(move |(outcome, count)| {
                let mut labels = labels(backend, "endpoint", endpoint);
                labels.push(("outcome".into(), (*outcome).into()));
                (labels, Number::Count(count))
            })
        });
        each.collect()
    }

    fn endpoint(&mut self, shown: &Shown) {
        let is_known = self.endpoints.contains_key(&*shown.endpoint);
        let label = if is_known || self.endpoints.len() < SHOWN_MAX {
            &*shown.endpoint
        } else {
            OTHER
        };
        let sum = self.endpoints.entry(label.to_owned()).or_insert(Sum {
            outcomes: Default::default(),
            ejected: 0,
            shunned: 0,
        });
        for (sum, more) in sum.outcomes.iter_mut().zip(shown.outcomes) {
            *sum += more;
        }
        sum.ejected += shown.ejected;
        sum.shunned += u64::from(!shown.up);
    }
}

fn labels(backend: &str, label: &str, value: &str) -> Vec<(String, String)> {
    vec![
        ("backend".into(), backend.into()),
        (label.into(), value.into()),
    ]
}

/// A series per outcome, from a closed set.
fn words(backend: &str, words: &[&str], counts: &[u64]) -> Vec<Series> {
    let each = words.iter().zip(counts);
    each.map(|(word, count)| (labels(backend, "outcome", word), Number::Count(*count)))
        .collect()
}
