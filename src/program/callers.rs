//! Limits how much each caller may use, and counts what it has used, over all loops and reloads.
//!
//! A rate is kept by the generic cell rate algorithm (ITU-T I.371): all that has to be known of a caller's past is the
//! instant until which its rate is used up. Calls that are refused use up nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{AllowEntry, CallerConfig, GuardMode, Rate};

/// The limits of all callers that have some.
#[derive(Debug, Default)]
pub struct CallerLimits(Vec<CallerLimit>);

/// The limits of one caller, and what it has used.
#[derive(Debug)]
pub struct CallerLimit {
    config: CallerConfig,
    /// Set when it is first needed, so that a reload can take it over.
    used: OnceLock<Arc<Used>>,
}

/// What a caller has used.
#[derive(Debug)]
struct Used {
    /// The caller as the file writes it; `None` if that stands for everybody else.
    name: Option<Arc<str>>,
    /// The instant from which `until` counts.
    start: Instant,
    /// Until when its rate is used up: nanoseconds.
    until: AtomicU64,
    in_flight: AtomicUsize,
}

/// A call in flight, counted for its caller until it is dropped.
#[derive(Debug)]
pub struct CallerCall(Arc<Used>);

/// The limit that a call exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Its caller calls too often. The next call may be made after this time.
    Rate(Duration),
    /// Its caller has too many calls in flight.
    Share,
}

impl CallerLimits {
    /// Those of the configuration.
    pub(super) fn new(callers: Vec<CallerConfig>) -> Self {
        let callers = callers.into_iter().filter(|of| of.mode != GuardMode::Off);
        let limits = callers.map(|config| CallerLimit {
            config,
            used: OnceLock::new(),
        });
        CallerLimits(limits.collect())
    }

    /// Whether no caller is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what callers have used by the limits of `before`, which are replaced.
    pub fn take_over(&self, before: &CallerLimits) {
        for limit in &self.0 {
            let same = before
                .0
                .iter()
                .find(|of| of.config.label == limit.config.label);
            if let Some(same) = same {
                limit.used.get_or_init(|| Arc::clone(same.used()));
            }
        }
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &CallerLimit> {
        self.0.iter()
    }

    /// Whether any of them is for the holder of a token.
    pub fn names_tokens(&self) -> bool {
        self.0
            .iter()
            .any(|of| of.config.who.as_ref().and_then(AllowEntry::token).is_some())
    }

    /// The limits of a caller with these names in its certificate or this token, with their index. Those of a token come
    /// first, and those of everybody else last.
    pub fn of(&self, names: &[String], token: Option<&str>) -> Option<(usize, &CallerLimit)> {
        let find = |means: &dyn Fn(Option<&AllowEntry>) -> bool| {
            let mut all = self.0.iter().enumerate();
            all.find(|(_, limit)| means(limit.config.who.as_ref()))
        };
        let of_token =
            token.and_then(|token| find(&|who| who.and_then(AllowEntry::token) == Some(token)));
        of_token
            .or_else(|| find(&|who| who.is_some_and(|who| who.has_name(names))))
            .or_else(|| find(&|who| who.is_none()))
    }
}

impl CallerCall {
    /// The caller as the file writes it; `None` if that stands for everybody else.
    pub fn name(&self) -> Option<Arc<str>> {
        self.0.name.clone()
    }
}

impl CallerLimit {
    /// The caller as the file writes it.
    pub fn label(&self) -> &str {
        &self.config.label
    }

    /// Whether calls beyond the limits are refused, or only counted.
    pub fn is_enforced(&self) -> bool {
        self.config.mode == GuardMode::Enforce
    }

    /// Counts a call that begins now, if it is within the limits. `calls_max` is the most calls in flight of all callers.
    pub fn begin(&self, now: Instant, calls_max: usize) -> Result<CallerCall, Exceeded> {
        let used = self.used();
        if let Some(share) = self.config.share
            && used.in_flight.load(Ordering::Relaxed) >= part(calls_max, share)
        {
            return Err(Exceeded::Share);
        }
        if let Some(rate) = self.config.rate {
            used.take(rate, now).map_err(Exceeded::Rate)?;
        }
        Ok(self.count())
    }

    /// Counts a call that begins although it exceeds the limits.
    pub fn count(&self) -> CallerCall {
        let used = self.used();
        used.in_flight.fetch_add(1, Ordering::Relaxed);
        CallerCall(Arc::clone(used))
    }

    fn used(&self) -> &Arc<Used> {
        self.used.get_or_init(|| {
            Arc::new(Used {
                name: (self.config.who.as_ref()).map(|_| Arc::from(&*self.config.label)),
                start: Instant::now(),
                until: AtomicU64::new(0),
                in_flight: AtomicUsize::new(0),
            })
        })
    }
}

impl Used {
    /// Takes one call of `rate`. `Err`: how long it takes until there is one.
    fn take(&self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let now = nanos(now.saturating_duration_since(self.start));
        let interval = nanos(rate.interval);
        let most = interval.saturating_mul(u64::from(rate.burst));
        let taken = self
            .until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| {
                let until = until.max(now).saturating_add(interval);
                (until - now <= most).then_some(until)
            });
        let refused = |until: u64| {
            let until = until.max(now).saturating_add(interval);
            Duration::from_nanos((until - now).saturating_sub(most))
        };
        taken.map(drop).map_err(refused)
    }
}

impl Drop for CallerCall {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The share of `whole`, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a small number"
)]
fn part(whole: usize, share: f64) -> usize {
    ((whole as f64 * share) as usize).max(1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::config::{document, read_callers, whole};

    fn limits(text: &str) -> CallerLimits {
        let document = document(text);
        let limits = CallerLimits::new(read_callers(&mut whole(&document)));
        let problems = document.problems.into_vec();
        assert!(problems.is_empty(), "{problems:?}");
        limits
    }

    /// How many of `calls` calls that come at once are within the rate.
    fn admitted(limit: &CallerLimit, calls: usize) -> usize {
        (0..calls)
            .filter(|_| limit.begin(Instant::now(), 100).is_ok())
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_followed_by_the_rate() {
        let limits = limits("[callers.\"*\"]\nrate = \"100/s\"\nburst = 5");
        let limit = limits.of(&[], None).expect("everybody").1;
        assert_eq!(admitted(limit, 20), 5);
        let wait = Duration::from_millis(10);
        assert_eq!(
            limit.begin(Instant::now(), 100).map(drop),
            Err(Exceeded::Rate(wait))
        );
        advance(wait).await;
        assert_eq!(
            admitted(limit, 20),
            1,
            "what was refused has used up nothing"
        );
        advance(Duration::from_millis(25)).await;
        assert_eq!(admitted(limit, 20), 2);
        advance(Duration::from_mins(1)).await;
        assert_eq!(
            admitted(limit, 20),
            5,
            "a long pause earns no more than the burst"
        );
    }

    /// The rate over a long time, whenever the calls come: compared with a list of all calls.
    #[tokio::test(start_paused = true)]
    async fn no_second_ever_has_more_than_the_rate_and_the_burst() {
        let limits = limits("[callers.\"*\"]\nrate = \"50/s\"\nburst = 7");
        let limit = limits.of(&[], None).expect("everybody").1;
        let mut random = crate::random::Random::seeded(1);
        let mut times: Vec<Instant> = Vec::new();
        for _ in 0..5000 {
            advance(Duration::from_micros(random.draw() % 12_000)).await;
            if limit.begin(Instant::now(), 100).is_ok() {
                times.push(Instant::now());
            }
        }
        let longest = times
            .windows(58)
            .map(|of| of[57] - of[0])
            .min()
            .expect("many");
        assert!(
            longest >= Duration::from_secs(1),
            "58 calls took {longest:?}"
        );
        let all = times[times.len() - 1] - times[0];
        let expected = all.as_millis() * 50 / 1000;
        let (least, most) = (expected * 98 / 100, expected * 102 / 100);
        assert!(
            (least..most).contains(&(times.len() as u128)),
            "{} of {expected}",
            times.len()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_counts_calls_until_they_end() {
        let limits = limits("[callers.\"*\"]\nshare = 0.25");
        let limit = limits.of(&[], None).expect("everybody").1;
        let first = limit.begin(Instant::now(), 8).expect("one of two");
        let _second = limit.begin(Instant::now(), 8).expect("two of two");
        assert_eq!(
            limit.begin(Instant::now(), 8).map(drop),
            Err(Exceeded::Share)
        );
        drop(first);
        assert!(limit.begin(Instant::now(), 8).is_ok());
        assert!(
            limit.begin(Instant::now(), 1).is_err(),
            "one call of one is allowed, and there is one"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_caller_has_its_own_limits() {
        let limits = limits(
            "[callers.\"*\"]\nrate = \"1/s\"\n[callers.\"spiffe://prod/*\"]\nrate = \"1/s\"\n\
             [callers.\"token:batch\"]\nrate = \"1/s\"\n[callers.\"token:off\"]\nmode = \"off\"\nrate = \"1/s\"",
        );
        let at = |names: &[&str], token| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            limits.of(&names, token).map(|(_, limit)| limit.label())
        };
        assert_eq!(at(&[], None), Some("*"));
        assert_eq!(at(&["other"], None), Some("*"));
        assert_eq!(
            at(&["other", "spiffe://prod/web"], None),
            Some("spiffe://prod/*")
        );
        assert_eq!(
            at(&["spiffe://prod/web"], Some("batch")),
            Some("token:batch")
        );
        assert_eq!(at(&[], Some("off")), Some("*"));
        assert!(limits.names_tokens());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_keeps_what_was_used() {
        let text = "[callers.\"*\"]\nrate = \"1/s\"\nshare = 0.5";
        let before = limits(text);
        let call = before
            .of(&[], None)
            .expect("everybody")
            .1
            .begin(Instant::now(), 2);
        let after = limits(text);
        after.take_over(&before);
        let limit = after.of(&[], None).expect("everybody").1;
        assert_eq!(
            limit.begin(Instant::now(), 2).map(drop),
            Err(Exceeded::Share)
        );
        drop(call);
        let refused = limit.begin(Instant::now(), 2).map(drop);
        assert_eq!(refused, Err(Exceeded::Rate(Duration::from_secs(1))));
    }
}
