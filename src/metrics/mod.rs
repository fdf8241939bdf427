//! Every metric: its name, its labels and what it says.
//!
//! In: handles that are resolved at start ([`LoopMetrics`], [`ProgramMetrics`]), so that a call looks nothing up
//! by label. Out: the text of a scrape ([`Metrics::scrape`]) and what the probes ask ([`Health`]). Labels
//! take their values from the configuration and from closed sets, never from clients. README's table
//! is compared with a scrape by a test.

mod family;
mod loop_metrics;
mod program_metrics;
mod health;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::error::Code;
use crate::timeline::{Fate, Source};
use family::{Family, Kind};

pub use family::{Counts, Gauge, Histogram};
pub use health::{Health, Heart, LIVE_WITHIN};
pub use loop_metrics::{Closed, LoopMetrics, Reloaded};
pub use program_metrics::{BackendMetrics, Load, ProgramMetrics, StepMetrics, ViewMetrics};

/// Bounds of calls and lookups, in nanoseconds: 250 microseconds to 5 seconds.
const TIMES: &[u64] = &[
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
];
/// Bounds of how late a loop is: 1 millisecond, what its timer can tell, to 10 seconds.
const LAGS: &[u64] = &[
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    10_000_000_000,
];
/// Bounds of batches, in lookups.
const BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128];

macro_rules! families {
    ($($field:ident $kind:expr, $name:literal [$($label:literal),*] $help:literal;)*) => {
        #[derive(Debug)]
        struct Families { $($field: Family,)* }

        impl Families {
            fn new() -> Self {
                Families {
                    $($field: Family {
                        name: $name,
                        help: $help,
                        labels: &[$($label),*],
                        kind: $kind,
                        series: BTreeMap::new().into(),
                    },)*
                }
            }

            fn all(&self) -> Vec<&Family> {
                vec![$(&self.$field,)*]
            }
        }
    };
}

families! {
    calls Kind::CounterOf(outcomes()), "tributary_calls_total" ["method", "outcome"]
        "Calls that ended: ok, hung_up (the client went first), or the code of the exception";
    call_duration Kind::HistogramOfTime(TIMES), "tributary_call_duration_seconds" ["method"]
        "From a call's last byte to its reply";
    calls_in_flight Kind::Gauge, "tributary_calls_in_flight" []
        "Calls without their reply";
    planned Kind::Counter, "tributary_lookups_planned_total" ["method"]
        "Lookups of calls that began";
    lookups Kind::CounterOf(fates()), "tributary_lookups_total" ["method", "lookup", "fate"]
        "Lookups of a view by their one fate";
    answers Kind::CounterOf(sources()), "tributary_lookup_answers_total" ["backend", "source"]
        "Lookups by where their answer came from";
    lookup_duration Kind::HistogramOfTime(TIMES), "tributary_lookup_duration_seconds" ["backend", "lookup"]
        "From a lookup's start to its fate, for those that were sent on their way";
    batches Kind::Histogram(BATCHES), "tributary_batch_lookups" ["backend"]
        "Lookups that travelled as one question";
    backend_in_flight Kind::Gauge, "tributary_backend_in_flight_lookups" ["backend"]
        "Lookups on their way to a backend";
    backend_waiting Kind::Gauge, "tributary_backend_waiting_lookups" ["backend"]
        "Lookups that wait for their turn";
    connections_open Kind::Gauge, "tributary_connections_open" []
        "Connections of clients";
    buffered_bytes Kind::Gauge, "tributary_buffered_bytes" []
        "What clients take up: bytes read, parameters, and replies that wait to be taken";
    reads_held Kind::Counter, "tributary_reads_held_total" []
        "Times a connection was not read because clients took up too much";
    connections_accepted Kind::Counter, "tributary_connections_accepted_total" []
        "Connections taken from the port";
    connections_closed Kind::CounterOf(Closed::words()), "tributary_connections_closed_total" ["reason"]
        "Connections that ended";
    accept_errors Kind::Counter, "tributary_accept_errors_total" []
        "Connections that could not be taken from the port";
    wire_errors Kind::CounterOf(codes(&["wire"])), "tributary_wire_errors_total" ["code"]
        "Connections closed for what their client sent, or did not";
    received Kind::Counter, "tributary_received_bytes_total" []
        "Bytes read from clients";
    sent Kind::Counter, "tributary_sent_bytes_total" []
        "Bytes written to clients";
    loop_lag Kind::HistogramOfTime(LAGS), "tributary_loop_lag_seconds" ["loop"]
        "How late a loop's timers fire, looked at twenty times a second";
    loop_lag_last Kind::GaugeOfTime, "tributary_loop_lag_last_seconds" ["loop"]
        "How late the loop's last timer fired";
    loop_lag_max Kind::GaugeOfTime, "tributary_loop_lag_max_seconds" ["loop"]
        "The most of the last half minute to minute";
    reloads Kind::CounterOf(Reloaded::words()), "tributary_config_reloads_total" ["outcome"]
        "Reloads of the configuration";
}

/// Shown beside the families, as of the scrape.
const HEARTBEAT_AGE: &str = "tributary_loop_heartbeat_age_seconds";
const DRAINING: &str = "tributary_draining";
const BUILD_INFO: &str = "tributary_build_info";

/// The words of `outcome`; a call ends in codes of other areas only by a mistake of ours.
fn outcomes() -> Vec<(&'static str, bool)> {
    let first = [("ok", true), ("hung_up", true)];
    first
        .into_iter()
        .chain(codes(&["call", "merge", "server"]))
        .collect()
}

/// Every code, so that a code's number is its place; those of `areas` always show.
fn codes(areas: &[&str]) -> Vec<(&'static str, bool)> {
    let code = |code: &Code| {
        let area = code.as_str().split_once('.').map(|(area, _)| area);
        (
            code.as_str(),
            area.is_some_and(|area| areas.contains(&area)),
        )
    };
    Code::ALL.iter().map(code).collect()
}

fn fates() -> Vec<(&'static str, bool)> {
    Fate::ALL.iter().map(|fate| (fate.as_str(), true)).collect()
}

fn sources() -> Vec<(&'static str, bool)> {
    Source::ALL
        .iter()
        .map(|source| (source.as_str(), true))
        .collect()
}

/// What all loops of a process count, and how they are.
#[derive(Debug)]
pub struct Metrics {
    families: Families,
    health: Health,
}

impl Metrics {
    /// For `loops` loops that end with `shutdown`.
    pub fn new(loops: usize, shutdown: CancellationToken) -> Arc<Self> {
        Arc::new(Metrics {
            families: Families::new(),
            health: Health::new(loops, shutdown),
        })
    }

    /// How the loops are.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Everything, in the text format of `OpenMetrics` 1.0.
    pub fn scrape(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scraped(Arc::clone(self))));
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("a string takes what is written to it");
        out
    }
}

/// The library's view of it all.
#[derive(Debug)]
struct Scraped(Arc<Metrics>);

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.families.all() {
            family.encode(&mut encoder)?;
        }
        let help = "Since the loop last looked at its timers";
        let mut metric = encoder.encode_descriptor(HEARTBEAT_AGE, help, None, MetricType::Gauge)?;
        for (at, age) in self.0.health.ages() {
            let labels = [("loop", at.to_string())];
            metric
                .encode_family(&labels)?
                .encode_gauge(&age.as_secs_f64())?;
        }
        let draining = i64::from(self.0.health.is_draining());
        encoder
            .encode_descriptor(
                DRAINING,
                "1 while the server stops",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&draining)?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor(BUILD_INFO, "Always 1; the version", None, MetricType::Gauge)?
            .encode_family(&labels)?
            .encode_gauge(&1_i64)
    }
}

#[cfg(test)]
mod tests;
