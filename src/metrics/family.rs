//! Counts without locks: each loop writes its own numbers, and a scrape adds them up.
//!
//! A [`Family`] is one metric. It has a series per set of label values, and a series has one group of numbers per loop
//! that counts. A group has one writer, so counting is a plain load and store: no locked instruction, and no cache line
//! that loops compete for. The scrape reads on another thread. The numbers of a group without a writer (after a reload)
//! are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
#[expect(
    clippy::disallowed_types,
    reason = "taken at start and by scrapes, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// What the numbers of a series mean.
#[derive(Clone, Debug)]
pub(super) enum SeriesKind {
    /// One count.
    Counter,
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
}

/// One number per slot: a count per label value, or a count per bucket followed by the sum.
type Slots = Arc<[AtomicU64]>;

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

/// A handle on counts: one per label value, or a single one. It stays on its loop, the only writer.
#[derive(Clone, Debug)]
pub struct Counts(Slots, OneThread);

/// A handle on a number that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(Slots, OneThread);

/// A handle on a histogram.
#[derive(Clone, Debug)]
pub struct Histogram(Slots, &'static [u64], OneThread);

/// Makes a handle neither `Send` nor `Sync`.
type OneThread = PhantomData<Rc<()>>;

/// With one writer, nothing is lost between the load and the store.
fn bump(slot: &AtomicU64, by: u64) {
    let now = slot.load(Ordering::Relaxed);
    slot.store(now.wrapping_add(by), Ordering::Relaxed);
}

impl Counts {
    /// Adds one to the count at `at`.
    pub fn count(&self, at: usize) {
        self.add(at, 1);
    }

    /// Adds one to the count of a metric without a choice of label values.
    pub fn count_one(&self) {
        self.count(0);
    }

    /// Adds `by` to the count at `at`.
    pub fn add(&self, at: usize, by: usize) {
        bump(&self.0[at], by as u64);
    }
}

#[cfg(test)]
impl Counts {
    /// The count at `at`.
    pub(crate) fn get(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets the number.
    pub fn set(&self, now: usize) {
        self.0[0].store(now as u64, Ordering::Relaxed);
    }

    /// The number.
    #[expect(clippy::cast_possible_truncation, reason = "a `usize` was set")]
    pub fn get(&self) -> usize {
        self.0[0].load(Ordering::Relaxed) as usize
    }

    /// Adds one.
    pub fn up(&self) {
        bump(&self.0[0], 1);
    }

    /// Subtracts one.
    pub fn down(&self) {
        bump(&self.0[0], 1_u64.wrapping_neg());
    }

    /// Adds `by`.
    pub fn more(&self, by: usize) {
        bump(&self.0[0], by as u64);
    }

    /// Subtracts `by`.
    pub fn less(&self, by: usize) {
        bump(&self.0[0], (by as u64).wrapping_neg());
    }

    /// Sets a duration.
    pub fn set_time(&self, time: Duration) {
        self.0[0].store(nanoseconds(time), Ordering::Relaxed);
    }
}

impl Histogram {
    /// Records a value.
    pub fn observe(&self, value: u64) {
        self.observe_in(self.bucket_of(value), value);
    }

    /// Records a value whose bucket is known.
    #[inline]
    pub fn observe_in(&self, bucket: usize, value: u64) {
        bump(&self.0[bucket], 1);
        bump(&self.0[self.1.len() + 1], value);
    }

    /// The bucket of a value.
    pub fn bucket_of(&self, value: u64) -> usize {
        self.1.partition_point(|bound| *bound < value)
    }

    /// Records a duration.
    pub fn observe_time(&self, time: Duration) {
        self.observe(nanoseconds(time));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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
            SeriesKind::Histogram(bounds) | SeriesKind::HistogramOfTime(bounds) => bounds.len() + 2,
            SeriesKind::Counter
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
        // Reloads must not add up if nobody scrapes.
        series.retire(self.kind.lasts());
        series.live.push(slots);
    }

    /// Counts of the series with these label values.
    pub(super) fn counts(&self, values: &[&str]) -> Counts {
        Counts(self.slots(values), PhantomData)
    }

    /// Shows counts that are made elsewhere, in the series with these label values.
    pub(super) fn adopt(&self, values: &[&str], slots: &Slots) {
        self.add(values, Arc::clone(slots));
    }

    /// The gauge with these label values; a scrape shows the sum over all loops, or the least.
    pub(super) fn gauge(&self, values: &[&str]) -> Gauge {
        Gauge(self.slots(values), PhantomData)
    }

    /// The histogram with these label values.
    pub(super) fn histogram(&self, values: &[&str]) -> Histogram {
        let bounds = match self.kind {
            SeriesKind::Histogram(bounds) | SeriesKind::HistogramOfTime(bounds) => bounds,
            _ => &[],
        };
        Histogram(self.slots(values), bounds, PhantomData)
    }

    /// Writes every series.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // The text form adds `_total` by itself.
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let kind = match self.kind {
            SeriesKind::Counter | SeriesKind::CounterOf(_) => MetricType::Counter,
            SeriesKind::Gauge
            | SeriesKind::Least
            | SeriesKind::LeastShare
            | SeriesKind::GaugeOfTime => MetricType::Gauge,
            SeriesKind::Histogram(_) | SeriesKind::HistogramOfTime(_) => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(name, self.help, None, kind)?;
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, series) in &mut *series {
            let values = values.iter().map(String::as_str);
            let labels: Vec<_> = self.labels.iter().copied().zip(values).collect();
            let sums = series.sum(self.kind.lasts());
            if !matches!(self.kind, SeriesKind::Least | SeriesKind::LeastShare) {
                self.encode_series(&mut metric, labels, &sums)?;
            } else if let Some(least) = series.least() {
                self.encode_series(&mut metric, labels, &[least])?;
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
        sums: &[u64],
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
                histogram(metric, bounds, sums, plain)
            }),
            SeriesKind::HistogramOfTime(bounds) => labelled(metric, &labels, |metric| {
                histogram(metric, bounds, sums, seconds)
            }),
        }
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

fn histogram(
    metric: &mut MetricEncoder<'_>,
    bounds: &[u64],
    sums: &[u64],
    shown: fn(u64) -> f64,
) -> fmt::Result {
    let (Some(counts), Some(sum)) = (sums.get(..=bounds.len()), sums.last()) else {
        return Ok(());
    };
    let bounds = bounds.iter().map(|&bound| shown(bound));
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
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
