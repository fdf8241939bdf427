//! Prints the results of a run as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value as Json, json};

use super::tally::{Snapshot, Tallied};
use super::usage::Usage;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{Output, count};

/// The percentiles that are printed.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];
const HELP: &str = "`--requests`, `--duration` and `--warmup` set what is measured";

/// The difference of two snapshots.
#[derive(Debug)]
pub(super) struct Measured {
    elapsed: Duration,
    /// Calls answered correctly in this time, whenever they were due; the rate counts these.
    answered: u64,
    /// All calls that were answered: costs are divided by their number.
    replied: u64,
    /// The number of calls that is printed.
    calls: u64,
    sent: u64,
    received: u64,
    server: Option<Usage>,
    own: Option<Usage>,
    tallied: Tallied,
}

impl Measured {
    /// From the first snapshot to the last.
    pub(super) fn new(first: &Snapshot, last: &Snapshot, tallied: Tallied) -> Self {
        Measured {
            elapsed: last.at - first.at,
            answered: last.answered - first.answered,
            replied: (last.answered - first.answered) + (last.refused - first.refused),
            calls: last.answered - first.answered,
            sent: last.sent - first.sent,
            received: last.received - first.received,
            server: used(first.server, last.server),
            own: used(first.own, last.own),
            tallied,
        }
    }

    /// The same for a run with a limited number of calls: prints how many of those were answered.
    pub(super) fn by_count(mut self) -> Self {
        self.calls = self.tallied.latencies.as_ref().map_or(0, Histogram::len);
        self
    }

    /// Reports how many calls failed. A run that measured nothing fails, too.
    pub(super) fn report_errors(&self, out: &mut Output) -> ExitStatus {
        let errors: u64 = self.tallied.errors.values().sum();
        if errors > 0 {
            out.error(&format!("{} failed", calls(errors)), None);
            return ExitStatus::Failed;
        }
        if self.calls == 0 {
            out.error("no call was measured", Some(HELP));
            return ExitStatus::Failed;
        }
        ExitStatus::Done
    }

    /// The results for people.
    pub(super) fn text(&self, title: &str) -> String {
        let mut text = format!("{title}\n");
        let mut line = |name: &str, words: String| {
            // Writing to a String can't fail.
            let _infallible = writeln!(text, "{name:<9} {words}");
        };
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.rate();
        line(
            "calls",
            format!("{} in {seconds:.2} s, {rate:.0} per second", self.calls),
        );
        line("latency", self.latency_words());
        line(
            "bytes",
            format!("{} sent, {} received", mib(self.sent), mib(self.received)),
        );
        if let Some(used) = &self.server {
            let [all, user, system] =
                [used.cpu, used.user, used.system].map(|time| self.each_words(time));
            let resident = mib(used.resident_bytes);
            line(
                "server",
                format!(
                    "{all} us CPU per call (user {user}, system {system}), {resident} resident"
                ),
            );
        }
        if let Some(used) = &self.own {
            let share = 100.0 * used.cpu.as_secs_f64() / seconds.max(f64::MIN_POSITIVE);
            let each = self.each_words(used.cpu);
            line(
                "this side",
                format!("{each} us CPU per call, {share:.0} % of a core"),
            );
        }
        for (kind, times) in &self.tallied.errors {
            line("error", format!("{times} x {kind}"));
        }
        if self.tallied.warmup_errors > 0 {
            let failed = calls(self.tallied.warmup_errors);
            line("warm-up", format!("{failed} failed; they do not count"));
        }
        text
    }

    /// The results for programs; `asked` is the requested load.
    pub(super) fn json(&self, title: &str, asked: &Json) -> Json {
        let mut latency = Map::new();
        if let Some(latencies) = &self.tallied.latencies {
            for (name, percentile) in PERCENTILES {
                latency.insert(name.into(), us(latencies.value_at_percentile(percentile)));
            }
            latency.insert("max".into(), us(latencies.max()));
            latency.insert("mean".into(), json!(latencies.mean() / 1000.0));
        }
        let usage = |used: &Usage| {
            json!({
                "cpu_us_per_call": self.each(used.cpu),
                "user_us_per_call": self.each(used.user),
                "system_us_per_call": self.each(used.system),
                "cpu_seconds": used.cpu.as_secs_f64(),
                "resident_bytes": used.resident_bytes,
            })
        };
        json!({
            "what": title,
            "asked": asked,
            "calls": self.calls,
            "seconds": self.elapsed.as_secs_f64(),
            "calls_per_second": self.rate(),
            "latency_us": latency,
            "errors": self.tallied.errors,
            "warmup_errors": self.tallied.warmup_errors,
            "bytes_sent": self.sent,
            "bytes_received": self.received,
            "server": self.server.as_ref().map(usage),
            "load": self.own.as_ref().map(usage),
        })
    }

    fn latency_words(&self) -> String {
        let Some(latencies) = &self.tallied.latencies else {
            return "not measured".into();
        };
        let mut words = String::new();
        for (name, percentile) in PERCENTILES {
            let value = latencies.value_at_percentile(percentile);
            // Writing to a String can't fail.
            let _infallible = write!(words, "{name} {}  ", ms(value));
        }
        words + &format!("max {}", ms(latencies.max()))
    }

    fn rate(&self) -> f64 {
        number(self.answered) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Microseconds per answered call, if there is one.
    fn each(&self, time: Duration) -> Option<f64> {
        (self.replied > 0).then(|| time.as_secs_f64() * 1e6 / number(self.replied))
    }

    fn each_words(&self, time: Duration) -> String {
        self.each(time)
            .map_or_else(|| "-".into(), |each| format!("{each:.1}"))
    }
}

fn used(first: Option<Usage>, last: Option<Usage>) -> Option<Usage> {
    let (first, last) = (first?, last?);
    Some(Usage {
        cpu: last.cpu.saturating_sub(first.cpu),
        user: last.user.saturating_sub(first.user),
        system: last.system.saturating_sub(first.system),
        resident_bytes: last.resident_bytes,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "printed with few digits; no run makes 2^53 calls"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn calls(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "call")
}

fn us(nanos: u64) -> Json {
    json!(number(nanos) / 1000.0)
}

fn ms(nanos: u64) -> String {
    format!("{:.3} ms", number(nanos) / 1e6)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", number(bytes) / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::tally::{Of, Tally};
    use super::*;

    /// Two seconds in which four calls were answered, after one during the warm-up.
    fn measured() -> Measured {
        let tally = Tally::default();
        let snapshot = |at: Instant, cpu_ms: u64| Snapshot {
            at,
            server: Some(Usage {
                cpu: Duration::from_millis(cpu_ms),
                user: Duration::from_millis(cpu_ms / 2),
                system: Duration::from_millis(cpu_ms / 2),
                resident_bytes: 3 << 20,
            }),
            own: None,
            ..tally.snapshot(None)
        };
        tally.answered(None);
        let begin = Instant::now();
        let first = snapshot(begin, 100);
        tally.sent(1 << 20);
        for ms in [1, 2, 3, 400] {
            tally.answered(Some(Duration::from_millis(ms)));
        }
        tally.failed("the connection broke (reset)", 1, Of::Measurement);
        tally.failed("server.draining", 2, Of::WarmUp);
        let last = snapshot(begin + Duration::from_secs(2), 110);
        Measured::new(&first, &last, tally.take())
    }

    #[test]
    fn the_text_has_rates_percentiles_and_costs() {
        let text = measured().text("get at a");
        let expected = "\
get at a
calls     4 in 2.00 s, 2 per second
latency   p50 2.001 ms  p90 400.032 ms  p99 400.032 ms  p99.9 400.032 ms  max 400.032 ms
bytes     1.0 MiB sent, 0.0 MiB received
server    2500.0 us CPU per call (user 1250.0, system 1250.0), 3.0 MiB resident
error     1 x the connection broke (reset)
warm-up   2 calls failed; they do not count
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_failed_call_that_was_answered_shares_the_costs() {
        let (begin, used) = (Instant::now(), Duration::from_millis(8));
        let usage = |cpu| Usage {
            cpu,
            user: cpu,
            system: Duration::ZERO,
            resident_bytes: 0,
        };
        let cost = |tally: &Tally| {
            let first = Snapshot {
                at: begin,
                server: Some(usage(Duration::ZERO)),
                ..Tally::default().snapshot(None)
            };
            let last = Snapshot {
                at: begin + Duration::from_secs(1),
                ..tally.snapshot(Some(usage(used)))
            };
            let json = Measured::new(&first, &last, tally.take()).json("get at a", &Json::Null);
            json["server"]["cpu_us_per_call"].clone()
        };
        let tally = Tally::default();
        tally.failed("the connection broke (reset)", 1, Of::Measurement);
        assert_eq!(cost(&tally), Json::Null, "no call was answered");
        let tally = Tally::default();
        tally.answered(None);
        (0..3).for_each(|_| tally.refused("call.required_failed", Of::Measurement));
        assert_eq!(cost(&tally), json!(2000.0));
    }

    #[test]
    fn the_json_has_the_same_figures() {
        let json = measured().json("get at a", &json!({ "loop": "closed" }));
        assert_eq!(json["asked"]["loop"], "closed");
        assert_eq!(
            (&json["calls"], &json["calls_per_second"]),
            (&json!(4), &json!(2.0))
        );
        assert_eq!(json["server"]["cpu_us_per_call"], 2500.0);
        assert_eq!(json["load"], Json::Null);
        assert_eq!(json["errors"], json!({ "the connection broke (reset)": 1 }));
        assert_eq!(json["warmup_errors"], 2);
        let p50 = json["latency_us"]["p50"].as_f64().expect("a number");
        assert!((1999.0..2005.0).contains(&p50), "{p50}");
    }
}
