//! What a run prints: a line per fault and store.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::history::{Call, Content, Fault, Reply};
use hdrhistogram::Histogram;

/// The lines, and the calls without a fault that they are compared with.
pub(super) struct Table {
    lines: BTreeMap<(&'static str, &'static str), Line>,
    baseline: Histogram<u64>,
    /// When all lookups of those calls were done.
    baseline_done: Histogram<u64>,
}

/// The calls of all times of one fault at one store.
struct Line {
    calls: usize,
    whole: usize,
    partial: usize,
    refused: usize,
    wrong: usize,
    /// Calls that were sent after the fault's first second.
    later: Histogram<u64>,
    /// When the lookups of the other stores were done in those calls.
    others: Histogram<u64>,
    recovery: Duration,
    connections: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Table {
            lines: BTreeMap::new(),
            baseline: histogram(),
            baseline_done: histogram(),
        }
    }

    /// Adds a call that met no fault.
    pub(super) fn undisturbed(&mut self, call: &Call) {
        record(&mut self.baseline, call.done - call.sent);
        if let Some(done) = call.others_done(None) {
            record(&mut self.baseline_done, done);
        }
    }

    /// Adds a call that was sent during a fault.
    pub(super) fn during(
        &mut self,
        weather: &'static str,
        fault: &Fault,
        call: &Call,
        wrong: bool,
    ) {
        let line = self.line(weather, fault.store);
        line.calls += 1;
        line.wrong += usize::from(wrong);
        match &call.reply {
            Ok(Reply {
                content: Content::Refused(_),
                ..
            }) => line.refused += 1,
            _ if call.parts().iter().all(|part| part.value.is_some()) => line.whole += 1,
            _ => line.partial += 1,
        }
        if call.sent >= fault.from + Duration::from_secs(1) {
            record(&mut line.later, call.done - call.sent);
            if let Some(done) = call.others_done(Some(fault.store)) {
                record(&mut line.others, done);
            }
        }
    }

    /// Adds what was seen after a fault.
    pub(super) fn after(
        &mut self,
        weather: &'static str,
        store: &'static str,
        recovery: Duration,
        connections: usize,
    ) {
        let line = self.line(weather, store);
        line.recovery = line.recovery.max(recovery);
        line.connections = line.connections.max(connections);
    }

    fn line(&mut self, weather: &'static str, store: &'static str) -> &mut Line {
        let new = || Line {
            calls: 0,
            whole: 0,
            partial: 0,
            refused: 0,
            wrong: 0,
            later: histogram(),
            others: histogram(),
            recovery: Duration::ZERO,
            connections: 0,
        };
        self.lines.entry((weather, store)).or_insert_with(new)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let baseline = millis(&self.baseline);
        writeln!(
            f,
            "p99 of {} calls without a fault: {baseline}, of their lookups: {}\n",
            self.baseline.len(),
            millis(&self.baseline_done)
        )?;
        writeln!(
            f,
            "| fault | store | calls | whole | partial | refused | wrong | p99 after 1 s | of the other lookups | recovery, longest | connections, most |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for ((weather, store), line) in &self.lines {
            writeln!(
                f,
                "| {weather} | {store} | {} | {} | {} | {} | {} | {} | {} | {} ms | {} |",
                line.calls,
                line.whole,
                line.partial,
                line.refused,
                line.wrong,
                millis(&line.later),
                millis(&line.others),
                line.recovery.as_millis(),
                line.connections,
            )?;
        }
        Ok(())
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).expect("a call is short");
    histogram.record(micros).expect("it grows");
}

fn millis(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return "-".into();
    }
    let micros = Duration::from_micros(histogram.value_at_quantile(0.99));
    format!("{:.1} ms", micros.as_secs_f64() * 1000.0)
}
