//! Defines every metric: its name, its labels and its meaning.
//!
//! In: handles that are resolved at start ([`LoopMetrics`], [`ProgramMetrics`]), so that a call looks nothing up by label.
//! Out: the text of a scrape ([`Metrics::scrape`]) and the answers to probes ([`Health`]). The values of labels come from
//! the configuration and from closed sets, never from clients. A test compares the manual's table with a
//! scrape.
//!
//! A loop measures itself here too: its heartbeats show how late it is ([`Beat`]).

mod family;
mod handles; // by which a loop counts
mod loop_metrics;
mod accept_metrics;
mod breaker_metrics;
mod endpoint_metrics;
mod program_metrics;
mod fallback_metrics;
mod cache_metrics;
mod health;
mod gain_metrics;
mod trace_metrics;
mod log_metrics;
mod activity;
mod snapshot;
mod process;
mod served_config;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::backend::{Cancelled, Changed, TableReload};
use crate::config::{CertificateExpiry, Effective};
use crate::error::Code;
use crate::offload::offloaded;
use crate::recorder::{Recorder, Sinks};
use crate::timeline::{Fate, Source};
use family::{Family, SeriesKind};
use served_config::ServedConfig;

pub use accept_metrics::AcceptMetrics;
pub use activity::Phase;
pub use breaker_metrics::{BreakerEvent, BreakerMetrics};
pub use cache_metrics::{CacheLookup, CacheMetrics, Refreshed};
use fallback_metrics::FallbackOutcome;
pub use handles::{Counts, Gauge, Histogram};
pub use health::{Health, Heartbeat, LIVE_WITHIN, Readiness, Watched};
pub use loop_metrics::{Beat, Closed, LoopMetrics, OfCaller, Overloaded, Reloaded, processor_time};
pub use program_metrics::{
    BackendMetrics, Load, ProgramMetrics, Refusals, Served, StepMetrics, ViewMetrics,
};
pub use snapshot::{BOUNDS, BackendNow, EndpointNow, LoopNow, MethodNow, Snapshot};

/// Bucket bounds for calls and lookups in nanoseconds: 500 microseconds to 5 seconds. Each bound is a line for every
/// method and every lookup.
const TIMES: &[u64] = &[
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
];
/// Bucket bounds for the lag of a loop: 1 millisecond, the resolution of its timer, to 10 seconds.
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
/// Bucket bounds for batches, in lookups.
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
    calls SeriesKind::CounterOf(outcomes()), "tributary_calls_total" ["method", "outcome"]
        "Calls that ended: ok, partial (a lookup failed), hung_up (the connection ended before the reply), or the code of the exception";
    calls_overloaded SeriesKind::CounterOf(Overloaded::words()), "tributary_calls_overloaded_total" ["reason"]
        "Calls that ended in server.overloaded, by what was exhausted";
    overload_measured SeriesKind::Counter, "tributary_calls_overload_measured_total" []
        "Calls that were served, and would have been refused because the loop has more work than it can do: overload has mode measure";
    brownout_quality SeriesKind::LeastShare, "tributary_brownout_quality_ratio" ["method"]
        "How well a view with brownout keeps to its target: optional lookups are left out when it falls. The least of all loops";
    brownout_lookups SeriesKind::CounterOf(vec![("dropped", true), ("measured", true)]), "tributary_brownout_lookups_total" ["method", "outcome"]
        "Optional lookups that were left out because calls take too long, or with mode measure would have been";
    caller_calls SeriesKind::CounterOf(OfCaller::words()), "tributary_caller_calls_total" ["caller", "outcome"]
        "Calls of callers with limits: admitted, or beyond a limit and refused, or only counted";
    call_duration SeriesKind::HistogramOfTime(TIMES), "tributary_call_duration_seconds" ["method"]
        "Time from the last byte of a call to its reply";
    call_own SeriesKind::CounterOfTime, "tributary_call_own_seconds_total" ["method"]
        "Time of calls before their first lookup and after their last one: decoding, merging, encoding, and waiting for the loop";
    calls_in_flight SeriesKind::Gauge, "tributary_calls_in_flight" []
        "Calls that have no reply yet";
    planned SeriesKind::Counter, "tributary_lookups_planned_total" ["method"]
        "Lookups of all calls that have started";
    lookups SeriesKind::CounterOf(fates()), "tributary_lookups_total" ["method", "lookup", "fate"]
        "Lookups of a view by fate";
    failures SeriesKind::CounterOf(codes(&[])), "tributary_lookup_failures_total" ["method", "lookup", "code"]
        "Lookups of a view that failed, by code, also those whose default was used instead";
    fallbacks SeriesKind::CounterOf(FallbackOutcome::words()), "tributary_fallbacks_total" ["method", "lookup", "fallback", "outcome"]
        "What was asked instead of a lookup that failed, by what became of that";
    answers SeriesKind::CounterOf(sources()), "tributary_lookup_answers_total" ["backend", "source"]
        "Lookups by the source of their answer";
    lookup_duration SeriesKind::HistogramOfTimeIfFew(TIMES), "tributary_lookup_duration_seconds" ["backend", "lookup"]
        "Time from the start of a lookup to its fate, for lookups that were started";
    batches SeriesKind::Histogram(BATCHES), "tributary_batch_lookups" ["backend"]
        "Lookups per batch";
    backend_in_flight SeriesKind::Gauge, "tributary_backend_in_flight_lookups" ["backend"]
        "Lookups in flight to a backend";
    backend_waiting SeriesKind::Gauge, "tributary_backend_waiting_lookups" ["backend"]
        "Lookups that wait for a permit or a batch";
    backend_up SeriesKind::Least, "tributary_backend_up" ["backend"]
        "1 if the backend answers, 0 if it does not answer some loop";
    breakers_open SeriesKind::Gauge, "tributary_breakers_open" ["backend"]
        "Event loops whose breaker of the backend is open or half-open";
    breaker_events SeriesKind::CounterOf(BreakerEvent::ALL.into()), "tributary_breaker_events_total" ["backend", "event"]
        "What the breaker of a backend did: it opened or closed, let a lookup through as a probe, refused one, or would have";
    cancels SeriesKind::CounterOf(Cancelled::ALL.into()), "tributary_backend_cancels_total" ["backend", "outcome"]
        "Requests to a backend to stop an abandoned statement, by outcome";
    open_connections SeriesKind::Gauge, "tributary_backend_connections_open" ["backend"]
        "Connections to a backend that gets more of them while lookups wait behind slow ones";
    table_reloads SeriesKind::CounterOf(TableReload::ALL.into()), "tributary_table_reloads_total" ["backend", "outcome"]
        "Times that the file of a backend with `reload = \"on_change\"` changed, by outcome";
    cache_lookups SeriesKind::CounterOf(CacheLookup::words()), "tributary_cache_lookups_total" ["lookup", "outcome"]
        "Questions of a lookup with `cache` or `coalesce`, by what they found";
    cache_refreshes SeriesKind::CounterOf(Refreshed::words()), "tributary_cache_refreshes_total" ["lookup", "outcome"]
        "Stale answers that were asked again in the background, by outcome";
    invalidations SeriesKind::CounterOf(Changed::ALL.into()), "tributary_cache_invalidations_total" ["backend", "reason"]
        "Times that cached answers were no longer right: a key or all had changed, or it was no longer heard what changes";
    changes_heard SeriesKind::Least, "tributary_cache_changes_heard" ["backend"]
        "1 if it is heard which cached answers change, 0 if some loop does not hear it and so keeps none";
    cache_stale_if_error SeriesKind::Counter, "tributary_cache_stale_if_error_total" ["lookup"]
        "Questions that got an old answer because the store failed";
    cache_evictions SeriesKind::Counter, "tributary_cache_evictions_total" ["lookup"]
        "Cached answers that made room for others";
    cache_entries SeriesKind::Gauge, "tributary_cache_entries" ["lookup"]
        "Cached answers";
    cache_bytes SeriesKind::Gauge, "tributary_cache_bytes" ["lookup"]
        "Memory held by cached answers";
    connections_open SeriesKind::Gauge, "tributary_connections_open" []
        "Open connections of clients";
    buffered_bytes SeriesKind::Gauge, "tributary_buffered_bytes" []
        "Memory held for clients: bytes read, parameters, and replies not yet sent";
    store_bytes SeriesKind::Gauge, "tributary_store_bytes" []
        "Memory held by large answers of stores, from when they are read until the reply is encoded";
    store_bytes_refused SeriesKind::Counter, "tributary_store_bytes_refused_total" []
        "Answers of stores that were not read because others held too much memory";
    reads_held SeriesKind::Counter, "tributary_reads_held_total" []
        "Times that reading from a connection was paused because clients held too much memory";
    connections_accepted SeriesKind::Counter, "tributary_connections_accepted_total" []
        "Connections accepted";
    connections_closed SeriesKind::CounterOf(Closed::words()), "tributary_connections_closed_total" ["reason"]
        "Connections closed, by reason";
    accept_errors SeriesKind::Counter, "tributary_accept_errors_total" []
        "Errors of accept";
    wire_errors SeriesKind::CounterOf(codes(&["wire"])), "tributary_wire_errors_total" ["code"]
        "Connections closed because of invalid or missing bytes";
    received SeriesKind::Counter, "tributary_received_bytes_total" []
        "Bytes read from clients";
    sent SeriesKind::Counter, "tributary_sent_bytes_total" []
        "Bytes written to clients";
    loop_lag SeriesKind::HistogramOfTime(LAGS), "tributary_loop_lag_seconds" ["loop"]
        "How late the timers of a loop fire, measured twenty times a second";
    loop_lag_last SeriesKind::GaugeOfTime, "tributary_loop_lag_last_seconds" ["loop"]
        "How late the last timer of the loop fired";
    loop_lag_max SeriesKind::GaugeOfTime, "tributary_loop_lag_max_seconds" ["loop"]
        "The largest lag of the last 30 to 60 seconds";
    loop_busy SeriesKind::CounterOfTime, "tributary_loop_busy_seconds_total" ["loop"]
        "Time in which the loop worked instead of waiting: its rate is the loop's busy share";
    stalls SeriesKind::Counter, "tributary_loop_stalls_total" ["method"]
        "Times that an event loop stood still for 200 milliseconds or more, by the method it was at";
    reloads SeriesKind::CounterOf(Reloaded::words()), "tributary_config_reloads_total" ["outcome"]
        "Reloads of the configuration, by outcome";
}

/// Metrics that are computed by the scrape.
const BACKEND_DURATION: &str = "tributary_backend_duration_seconds";
const HEARTBEAT_AGE: &str = "tributary_loop_heartbeat_age_seconds";
const OFFLOADED: &str = "tributary_offloaded";
const OFFLOAD_REFUSED: &str = "tributary_offload_refused";
const OFFLOAD_WAITING: &str = "tributary_offload_waiting";
const READY: &str = "tributary_ready";
const DRAINING: &str = "tributary_draining";
const BUILD_INFO: &str = "tributary_build_info";

/// The values of `outcome`. Codes are shown once a call ended with them.
fn outcomes() -> Vec<(&'static str, bool)> {
    let first = [("ok", true), ("partial", true), ("hung_up", false)];
    first.into_iter().chain(codes(&[])).collect()
}

/// Every code, so that a code's number is its index. Those of `areas` are always shown.
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

/// Most lookups never have most fates, so the others are shown once they occur.
fn fates() -> Vec<(&'static str, bool)> {
    let shown = |fate: &Fate| (fate.as_str(), *fate == Fate::Ok);
    Fate::ALL.iter().map(shown).collect()
}

fn sources() -> Vec<(&'static str, bool)> {
    Source::ALL
        .iter()
        // Only some lookups are hedged.
        .map(|source| (source.as_str(), *source != Source::Hedged))
        .collect()
}

/// The metrics of all loops of a process, and their health.
#[derive(Debug)]
pub struct Metrics {
    families: Families,
    endpoints: endpoint_metrics::Endpoints,
    health: Health,
    served_config: ServedConfig,
    sinks: Sinks,
}

impl Metrics {
    /// Metrics for `loops` loops that end with `shutdown`.
    pub fn new(loops: usize, stopping: CancellationToken) -> Arc<Self> {
        Metrics::recording(loops, stopping, Sinks::default())
    }

    /// The same, with where calls go that ended.
    pub fn recording(loops: usize, stopping: CancellationToken, sinks: Sinks) -> Arc<Self> {
        Arc::new(Metrics {
            families: Families::new(),
            endpoints: endpoint_metrics::Endpoints::default(),
            health: Health::new(loops, stopping),
            served_config: ServedConfig::new(),
            sinks,
        })
    }

    /// The calls that are kept, if any are.
    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.sinks.kept.as_ref()
    }

    /// Counts a loop that stands still with a call of `method`.
    pub fn stalled(&self, method: &str) {
        self.families.stalls.counts(&[method]).count_one();
    }

    /// The configuration that is going to be served was read now; its certificates expire then.
    pub fn config_was_loaded(&self, expiries: &[CertificateExpiry], effective: &Arc<Effective>) {
        self.served_config.replace(expiries, effective);
    }

    /// Every value of the configuration that is served, and when it was read, in seconds of Unix time.
    pub fn effective(&self) -> (Arc<Effective>, i64) {
        self.served_config.effective()
    }

    /// The health of the loops.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// All metrics in the text format of `OpenMetrics` 1.0.
    pub fn scrape(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scraped(Arc::clone(self))));
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("a string takes what is written to it");
        out
    }
}

impl Families {
    /// Writes every series, and what is summed over several.
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.all() {
            family.encode(encoder)?;
        }
        let help = "Time of all lookups of a backend that were started, from the start to the fate";
        let durations = &self.lookup_duration;
        durations.encode_by_first((BACKEND_DURATION, help), encoder)
    }
}

impl Metrics {
    fn encode_sinks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(traces) = &self.sinks.traces {
            trace_metrics::encode(traces.tally(), encoder)?;
        }
        if let Some(log) = &self.sinks.log {
            log_metrics::encode(log, encoder)?;
        }
        match &self.sinks.access {
            Some(access) => log_metrics::encode_access(access.tally(), encoder),
            None => Ok(()),
        }
    }
}

/// All metrics, as the library collects them.
#[derive(Debug)]
struct Scraped(Arc<Metrics>);

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.families.encode(&mut encoder)?;
        self.0.endpoints.encode(&mut encoder)?;
        if let Some(recorder) = self.0.recorder() {
            gain_metrics::encode(recorder, &mut encoder)?;
        }
        self.0.encode_sinks(&mut encoder)?;
        let help = "Time since the loop last checked its timers";
        let mut metric = encoder.encode_descriptor(HEARTBEAT_AGE, help, None, MetricType::Gauge)?;
        for (at, age) in self.0.health.ages() {
            let labels = [("loop", at.to_string())];
            metric
                .encode_family(&labels)?
                .encode_gauge(&age.as_secs_f64())?;
        }
        let work = offloaded();
        let counters = [
            (
                OFFLOADED,
                "Work on large answers that was done outside of the loops",
                work.jobs,
            ),
            (
                OFFLOAD_REFUSED,
                "Work on large answers that was refused because too much waited",
                work.refused,
            ),
        ];
        for (name, help, count) in counters {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
        }
        let help = "Work on large answers that waits for a thread";
        encoder
            .encode_descriptor(OFFLOAD_WAITING, help, None, MetricType::Gauge)?
            .encode_gauge(&i64::try_from(work.waiting).unwrap_or(i64::MAX))?;
        self.0.served_config.encode(&mut encoder)?;
        let ready = self.0.health.readiness() == Readiness::Ready;
        encoder
            .encode_descriptor(
                READY,
                "1 while `/readyz` answers 200",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&i64::from(ready))?;
        let draining = i64::from(self.0.health.is_draining());
        encoder
            .encode_descriptor(
                DRAINING,
                "1 while the server is stopping",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&draining)?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor(
                BUILD_INFO,
                "Always 1; the version is a label",
                None,
                MetricType::Gauge,
            )?
            .encode_family(&labels)?
            .encode_gauge(&1_i64)?;
        process::encode(&mut encoder)
    }
}

#[cfg(test)]
mod tests;
