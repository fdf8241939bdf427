//! Estimates how long the slowest questions of a lookup take: a percentile of the last ones.
//!
//! A histogram whose buckets grow with the time, eight for each doubling, so that a percentile is known up to an eighth.
//! It is replaced once it is old and has seen enough; until then the one before counts too. A question that was answered by a
//! second endpoint counts with the whole time that it took. That is right for the percentile after which the second one is
//! asked: such a question has taken longer than that, whoever answers it.

use std::time::Duration;

use tokio::time::Instant;

/// The buckets of each doubling, as a power of two.
const PARTS_BITS: u32 = 3;
/// Times of about a minute and more share a bucket.
const DOUBLINGS: u32 = 26;
const BUCKETS: usize = ((DOUBLINGS - PARTS_BITS + 2) << PARTS_BITS) as usize;
/// With fewer questions a percentile says nothing.
pub(super) const SAMPLES_MIN: u32 = 128;
/// How old a histogram becomes.
const AGE_MAX: Duration = Duration::from_secs(10);
/// After so many questions the percentile is computed anew.
const COMPUTE_EVERY: u32 = 32;

/// The times of a lookup's last questions.
#[derive(Debug)]
pub(super) struct Latencies {
    share: f64,
    present: Histogram,
    past: Histogram,
    since: Instant,
    /// Those since the percentile was computed.
    uncounted: u32,
    percentile: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Histogram {
    buckets: Box<[u32]>,
    sum: u32,
}

impl Latencies {
    /// Estimates the time that this share of all questions does not exceed.
    pub(super) fn new(share: f64) -> Self {
        let empty = Histogram {
            buckets: vec![0; BUCKETS].into(),
            sum: 0,
        };
        Latencies {
            share,
            present: empty.clone(),
            past: empty,
            since: Instant::now(),
            uncounted: 0,
            percentile: None,
        }
    }

    /// A question took so long.
    pub(super) fn took(&mut self, time: Duration, now: Instant) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.present.buckets[bucket(micros)] += 1;
        self.present.sum += 1;
        self.uncounted += 1;
        if self.uncounted < COMPUTE_EVERY {
            return;
        }
        self.uncounted = 0;
        self.percentile = self.compute();
        let is_old = now.saturating_duration_since(self.since) >= AGE_MAX;
        if is_old && self.present.sum >= SAMPLES_MIN {
            self.since = now;
            std::mem::swap(&mut self.past, &mut self.present);
            self.present.buckets.fill(0);
            self.present.sum = 0;
        }
    }

    /// The time that the share of all questions does not exceed; `None` if too few were measured.
    pub(super) fn percentile(&self) -> Option<Duration> {
        self.percentile
    }

    fn compute(&self) -> Option<Duration> {
        let all = self.present.sum + self.past.sum;
        if all < SAMPLES_MIN {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let within = (f64::from(all) * self.share).ceil() as u32;
        let mut counted = 0;
        let both = self.present.buckets.iter().zip(&self.past.buckets);
        let mut sums = both.map(|(now, then)| {
            counted += now + then;
            counted
        });
        let at = sums.position(|counted| counted >= within)?;
        Some(Duration::from_micros(end(at)))
    }
}

/// The bucket of a time in microseconds.
fn bucket(micros: u64) -> usize {
    let micros = micros.min((1 << (DOUBLINGS + 1)) - 1);
    let doublings = micros.max(1).ilog2();
    let Some(shift) = doublings.checked_sub(PARTS_BITS) else {
        return index(micros);
    };
    // The leading bits: the first says which doubling, the others which part of it.
    index((u64::from(shift) << PARTS_BITS) + (micros >> shift))
}

/// The time at which a bucket ends.
fn end(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    match (next >> PARTS_BITS).checked_sub(1) {
        None | Some(0) => next,
        Some(shift) => ((next & ((1 << PARTS_BITS) - 1)) + (1 << PARTS_BITS)) << shift,
    }
}

fn index(bucket: u64) -> usize {
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_time_lies_within_an_eighth_below_the_end_of_its_bucket() {
        let mut last = 0;
        for micros in (0..5_000).chain((5_000..70_000_000).step_by(9_973)) {
            let at = bucket(micros);
            assert!(at >= last, "{micros}");
            last = at;
            let end = end(at);
            let far = micros + micros / 8 + 1;
            assert!(micros < end && end <= far, "{micros} ends at {end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_percentile_follows_the_last_questions() {
        let mut latencies = Latencies::new(0.95);
        let mut take = |millis: u32, count: u32| {
            for _ in 0..count {
                latencies.took(millis * MS, Instant::now());
            }
            latencies.percentile()
        };
        assert_eq!(take(10, SAMPLES_MIN - 1), None, "too few say nothing");
        let is_about = |time: Option<Duration>, millis: u32| {
            time.is_some_and(|time| time >= millis * MS && time <= millis * MS * 9 / 8 + MS)
        };
        let ten = take(10, 900);
        assert!(is_about(ten, 10), "{ten:?}");
        let rare = take(200, 32);
        assert!(is_about(rare, 10), "three in a hundred: {rare:?}");
        let more = take(200, 64);
        assert!(is_about(more, 200), "nine in a hundred: {more:?}");
        // Two ages later only the new ones count.
        for _ in 0..2 {
            tokio::time::advance(AGE_MAX).await;
            for _ in 0..2 * SAMPLES_MIN {
                latencies.took(2 * MS, Instant::now());
            }
        }
        assert!(is_about(latencies.percentile(), 2));
    }
}
