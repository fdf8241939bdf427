//! Counts without locks: each loop writes its own numbers, and a scrape adds them up.
//!
//! A [`Family`] is one metric. It has a series per set of label values, and a series has one group of numbers per loop
//! that counts. A group has one writer, so counting is a plain load and store: no locked instruction, and no cache line
//! that loops compete for. The scrape reads on another thread. The numbers of a group without a writer (after a reload)
//! are kept.

use std::collections::BTreeMap;
use std::fmt;
#[expect(
    clippy::disallowed_types,
    reason = "taken at start and by scrapes, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

use super::handles::{Counts, Gauge, Histogram, Slots};

/// What the numbers of a series mean.
#[derive(Clone, Debug)]
pub(super) enum SeriesKind {
    /// One count.
    Counter,
    /// The same for a duration, stored in nanoseconds and shown in seconds.
    CounterOfTime,
    /// One count per value of the last label, from a closed set. Values with `false` are shown once they occur.
    CounterOf(Vec<(&'static str, bool)>),
    /// A signed number.
    Gauge,
    /// The least of all loops' numbers.
    Least,
    /// The same for a share, stored in millionths.
    LeastShare,
    /// A duration, stored in nanoseconds and shown in seconds.
    GaugeOfTime,
    /// A histogram: for each bound, how many values are at most the bound.
    Histogram(&'static [u64]),
    /// The same for durations.
    HistogramOfTime(&'static [u64]),
    /// The same for durations that a sum over their first label shows as well: not shown if there are many.
    HistogramOfTimeIfFew(&'static [u64]),
}

/// From more series of one metric, the longest part of a scrape would be buckets: then every second bound is left out.
pub(super) const FEW: usize = 100;

/// One metric.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) kind: SeriesKind,
    #[expect(
        clippy::disallowed_types,
        reason = "taken at start and by scrapes, never by a call"
    )]
    pub(super) series: Mutex<BTreeMap<Vec<String>, Series>>,
}

/// The numbers of one set of label values.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// The sums of groups whose writers are gone.
    retired: Vec<u64>,
    live: Vec<Slots>,
}

/// A share that is stored in millionths.
fn share(millionths: u64) -> f64 {
    u32::try_from(millionths).map_or(1.0, |millionths| f64::from(millionths) / 1e6)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown times need not be exact to the nanosecond"
)]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn plain(number: u64) -> f64 {
    number as f64
}

impl Family {
    /// A group of numbers for the series with these label values. Too slow to use during a call.
    fn slots(&self, values: &[&str]) -> Slots {
        let len = match &self.kind {
            SeriesKind::CounterOf(words) => words.len(),
            SeriesKind::Histogram(bounds)
            | SeriesKind::HistogramOfTime(bounds)
            | SeriesKind::HistogramOfTimeIfFew(bounds) => bounds.len() + 2,
            SeriesKind::Counter
            | SeriesKind::CounterOfTime
            | SeriesKind::Gauge
            | SeriesKind::Least
            | SeriesKind::LeastShare
            | SeriesKind::GaugeOfTime => 1,
        };
        let slots: Slots = (0..len).map(|_| AtomicU64::new(0)).collect();
        self.add(values, Arc::clone(&slots));
        slots
    }

    fn add(&self, values: &[&str], slots: Slots) {
        let key = values.iter().map(|&value| value.to_owned()).collect();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = series.entry(key).or_default();
        // Reloads must not add up while there are no scrapes.
        series.retire(self.kind.lasts());
        series.live.push(slots);
    }

    /// Counts of the series with these label values.
    pub(super) fn counts(&self, values: &[&str]) -> Counts {
        Counts::new(self.slots(values))
    }

    /// Shows counts that are made elsewhere, in the series with these label values.
    pub(super) fn adopt(&self, values: &[&str], slots: &Slots) {
        self.add(values, Arc::clone(slots));
    }

    /// The gauge with these label values; a scrape shows the sum over all loops, or the least.
    pub(super) fn gauge(&self, values: &[&str]) -> Gauge {
        Gauge::new(self.slots(values))
    }

    /// The histogram with these label values.
    pub(super) fn histogram(&self, values: &[&str]) -> Histogram {
        let bounds = match self.kind {
            SeriesKind::Histogram(bounds)
            | SeriesKind::HistogramOfTime(bounds)
            | SeriesKind::HistogramOfTimeIfFew(bounds) => bounds,
            _ => &[],
        };
        Histogram::new(self.slots(values), bounds)
    }

    /// The label values and the numbers of every series.
    pub(super) fn read(&self) -> Vec<(Vec<String>, Vec<u64>)> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let is_least = matches!(self.kind, SeriesKind::Least | SeriesKind::LeastShare);
        let read = series.iter_mut().map(|(values, series)| {
            let sums = series.sum(self.kind.lasts());
            let least = is_least.then(|| series.least().into_iter().collect());
            (values.clone(), least.unwrap_or(sums))
        });
        read.collect()
    }

    /// The sums of the series, by the values of the last label.
    pub(super) fn totals(&self) -> Vec<u64> {
        let mut totals = Vec::new();
        for (_, sums) in self.read() {
            totals.resize(sums.len().max(totals.len()), 0);
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        totals
    }

    /// Writes every series.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // The text form adds `_total` by itself.
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let kind = match self.kind {
            SeriesKind::Counter | SeriesKind::CounterOfTime | SeriesKind::CounterOf(_) => {
                MetricType::Counter
            }
            SeriesKind::Gauge
            | SeriesKind::Least
            | SeriesKind::LeastShare
            | SeriesKind::GaugeOfTime => MetricType::Gauge,
            SeriesKind::Histogram(_)
            | SeriesKind::HistogramOfTime(_)
            | SeriesKind::HistogramOfTimeIfFew(_) => MetricType::Histogram,
        };
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let are_many = series.len() > FEW;
        if are_many && matches!(self.kind, SeriesKind::HistogramOfTimeIfFew(_)) {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(name, self.help, None, kind)?;
        for (values, series) in &mut *series {
            let values = values.iter().map(String::as_str);
            let labels: Vec<_> = self.labels.iter().copied().zip(values).collect();
            let sums = series.sum(self.kind.lasts());
            if !matches!(self.kind, SeriesKind::Least | SeriesKind::LeastShare) {
                self.encode_series(&mut metric, labels, (&sums, are_many))?;
            } else if let Some(least) = series.least() {
                self.encode_series(&mut metric, labels, (&[least], are_many))?;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::cast_possible_wrap,
        reason = "numbers that went below zero wrapped"
    )]
    fn encode_series(
        &self,
        metric: &mut MetricEncoder<'_>,
        mut labels: Vec<(&str, &str)>,
        (sums, are_many): (&[u64], bool),
    ) -> fmt::Result {
        let number = |at: usize| sums.get(at).copied().unwrap_or(0);
        match &self.kind {
            SeriesKind::CounterOf(words) => {
                let label = self.labels.last().copied().unwrap_or_default();
                for (at, (word, always)) in words.iter().enumerate() {
                    if *always || number(at) > 0 {
                        labels.push((label, *word));
                        labelled(metric, &labels, |metric| counter(metric, number(at)))?;
                        labels.pop();
                    }
                }
                Ok(())
            }
            SeriesKind::Counter => labelled(metric, &labels, |metric| counter(metric, number(0))),
            SeriesKind::CounterOfTime => labelled(metric, &labels, |metric| {
                metric.encode_counter::<NoLabels, f64, u64>(&seconds(number(0)), None)
            }),
            // A method without calls would be a dozen lines of zeros.
            SeriesKind::Histogram(_)
            | SeriesKind::HistogramOfTime(_)
            | SeriesKind::HistogramOfTimeIfFew(_)
                if sums.iter().all(|number| *number == 0) =>
            {
                Ok(())
            }
            SeriesKind::Gauge | SeriesKind::Least => labelled(metric, &labels, |metric| {
                metric.encode_gauge(&(number(0) as i64))
            }),
            SeriesKind::LeastShare => labelled(metric, &labels, |metric| {
                metric.encode_gauge(&share(number(0)))
            }),
            SeriesKind::GaugeOfTime => labelled(metric, &labels, |metric| {
                metric.encode_gauge(&seconds(number(0)))
            }),
            SeriesKind::Histogram(bounds) => labelled(metric, &labels, |metric| {
                histogram(metric, (bounds, false), sums, plain)
            }),
            SeriesKind::HistogramOfTime(bounds) | SeriesKind::HistogramOfTimeIfFew(bounds) => {
                labelled(metric, &labels, |metric| {
                    histogram(metric, (bounds, are_many), sums, seconds)
                })
            }
        }
    }

    /// Writes a histogram of times whose series are sums of these, by the first label.
    pub(super) fn encode_by_first(
        &self,
        (name, help): (&str, &str),
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let mut by_first: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (mut values, sums) in self.read() {
            let total = by_first.entry(values.swap_remove(0)).or_default();
            total.resize(sums.len().max(total.len()), 0);
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let label = self.labels.first().copied().unwrap_or_default();
        for (value, sums) in &by_first {
            self.encode_series(&mut metric, vec![(label, value)], (sums, false))?;
        }
        Ok(())
    }
}

/// Without labels there are no braces.
fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Vec<(&str, &str)>,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        encode(metric)
    } else {
        encode(&mut metric.encode_family(labels)?)
    }
}

type NoLabels = prometheus_client::encoding::NoLabelSet;

fn counter(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabels, u64, u64>(&value, None)
}

/// With `are_many`, without every second bound.
fn histogram(
    metric: &mut MetricEncoder<'_>,
    (bounds, are_many): (&[u64], bool),
    sums: &[u64],
    shown: fn(u64) -> f64,
) -> fmt::Result {
    let (Some(counts), Some(sum)) = (sums.get(..=bounds.len()), sums.last()) else {
        return Ok(());
    };
    let mut buckets = Vec::with_capacity(counts.len());
    let mut left_out = 0;
    for (at, count) in counts.iter().enumerate() {
        left_out += count;
        let bound = bounds.get(at);
        if bound.is_none() || !are_many || at % 2 == 1 {
            let bound = bound.map_or(f64::INFINITY, |bound| shown(*bound));
            buckets.push((bound, std::mem::take(&mut left_out)));
        }
    }
    let count = counts.iter().sum();
    metric.encode_histogram::<NoLabels>(shown(*sum), count, &buckets, None)
}

impl SeriesKind {
    /// Whether the numbers are kept when their writer is gone.
    fn lasts(&self) -> bool {
        !matches!(
            self,
            SeriesKind::Gauge
                | SeriesKind::Least
                | SeriesKind::LeastShare
                | SeriesKind::GaugeOfTime
        )
    }
}

impl Series {
    /// Keeps the sums of groups without a writer aside, if they last.
    fn retire(&mut self, lasts: bool) {
        let retired = &mut self.retired;
        self.live.retain_mut(|slots| match Arc::get_mut(slots) {
            Some(slots) => {
                if lasts {
                    add(retired, slots);
                }
                false
            }
            None => true,
        });
    }

    /// The sums of all groups.
    fn sum(&mut self, lasts: bool) -> Vec<u64> {
        self.retire(lasts);
        let mut sums = self.retired.clone();
        for slots in &self.live {
            add(&mut sums, slots);
        }
        sums
    }

    /// The least number of any group that has a writer; `None` if there is no such group.
    fn least(&self) -> Option<u64> {
        let numbers = self.live.iter().filter_map(|slots| slots.first());
        numbers.map(|number| number.load(Ordering::Relaxed)).min()
    }
}

fn add(sums: &mut Vec<u64>, slots: &[AtomicU64]) {
    sums.resize(slots.len().max(sums.len()), 0);
    for (sum, slot) in sums.iter_mut().zip(slots) {
        *sum = sum.wrapping_add(slot.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_without_a_writer_do_not_add_up() {
        let family = Family {
            name: "calls_total",
            help: "calls",
            labels: &[],
            kind: SeriesKind::Counter,
            series: BTreeMap::new().into(),
        };
        for _ in 0..100 {
            family.counts(&[]).count_one();
        }
        let _last = family.counts(&[]);
        let mut series = family.series.lock().expect("nothing panicked");
        let series = series.get_mut(&Vec::new()).expect("it counts");
        assert_eq!(series.live.len(), 1);
        assert_eq!(series.sum(true), [100]);
    }
}
