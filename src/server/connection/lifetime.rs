//! Ends a connection for its age, or for the number of its calls, so that long-lived clients spread over new servers.
//!
//! Plain Thrift has no word for "connect again". So the end is announced in the headers of replies, for clients that read
//! them, and the connection is closed between two calls: when its client has been quiet for a moment, or after a reply
//! if it never is.

use std::time::Duration;

use tokio::time::Instant;

/// A client that has sent nothing for this long is not expected to be about to call.
const QUIET: Duration = Duration::from_millis(100);
/// A client that is never quiet is disconnected after a reply once this time has passed since the announcement.
const GRACE: Duration = Duration::from_secs(10);

/// The limits on the life of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lifetime {
    ends_at: Option<Instant>,
    calls_left: Option<usize>,
    /// When its end was announced.
    announced: Option<Instant>,
}

impl Lifetime {
    /// For a connection that is to be at most about `age_max` old and to make `calls_max` calls. `share` is between 0.9 and
    /// 1.1, so that connections that began together do not end together.
    pub(super) fn new(age_max: Option<Duration>, calls_max: Option<usize>, share: f64) -> Self {
        let age_max = age_max.map(|age_max| age_max.mul_f64(share));
        Lifetime {
            ends_at: age_max.and_then(|age_max| Instant::now().checked_add(age_max)),
            calls_left: calls_max,
            announced: None,
        }
    }

    /// Counts a call. True if the end is to be announced now.
    pub(super) fn count_call(&mut self) -> bool {
        let Some(left) = &mut self.calls_left else {
            return false;
        };
        *left = left.saturating_sub(1);
        let first = *left == 0 && self.announced.is_none();
        if first {
            self.announced = Some(Instant::now());
        }
        first
    }

    /// To be called when [`before`](Lifetime::before) says. True if the end is to be announced now.
    pub(super) fn has_aged(&mut self) -> bool {
        let now = Instant::now();
        let first = self.announced.is_none() && self.ends_at.is_some_and(|at| at <= now);
        if first {
            self.announced = Some(now);
        }
        first
    }

    /// Whether it ends now, at a moment at which there is no call. Its client was last active at `last_heard`.
    pub(super) fn is_over(&self, last_heard: Instant) -> bool {
        self.announced.is_some_and(|announced| {
            let now = Instant::now();
            last_heard + QUIET <= now || announced + GRACE <= now
        })
    }

    /// When to look next: at `other`, or sooner.
    pub(super) fn before(&self, other: Instant) -> Instant {
        let own = match self.announced {
            Some(_) => Some(Instant::now() + QUIET),
            None => self.ends_at,
        };
        own.map_or(other, |own| own.min(other))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn it_ends_at_its_age_when_its_client_is_quiet() {
        let mut lifetime = Lifetime::new(Some(MINUTE), None, 1.1);
        let (now, hour) = (Instant::now(), Instant::now() + MINUTE * 60);
        assert_eq!(lifetime.before(hour), now + MINUTE.mul_f64(1.1));
        assert_eq!(lifetime.before(now), now);
        advance(MINUTE).await;
        assert!(!lifetime.has_aged() && !lifetime.is_over(Instant::now()));
        advance(MINUTE / 10).await;
        assert!(lifetime.has_aged(), "announced");
        assert!(!lifetime.has_aged(), "once");
        let last_heard = Instant::now();
        assert!(!lifetime.is_over(last_heard), "it may be about to call");
        advance(QUIET).await;
        assert!(lifetime.is_over(last_heard));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_never_quiet_has_ten_more_seconds() {
        let mut lifetime = Lifetime::new(None, Some(2), 1.0);
        assert!(!lifetime.count_call());
        assert!(lifetime.count_call(), "announced with its last call");
        assert!(!lifetime.count_call(), "once");
        advance(GRACE * 9 / 10).await;
        assert!(!lifetime.is_over(Instant::now()));
        advance(GRACE / 10).await;
        assert!(lifetime.is_over(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_it_never_ends() {
        let mut lifetime = Lifetime::new(None, None, 1.0);
        advance(MINUTE * 60 * 24).await;
        assert!(!lifetime.has_aged() && !lifetime.count_call());
        assert!(!lifetime.is_over(Instant::now() - MINUTE));
        let hour = Instant::now() + MINUTE * 60;
        assert_eq!(lifetime.before(hour), hour);
    }
}
