//! Leaves optional lookups out when calls of a view take too long, so that the rest of them is quick.
//!
//! A feedback on a percentile, as in Twitter's Product Mixer (`LinearLatencyQualityFactor`): each view has a quality between
//! 0 and 1. A call within the target raises it a little, a longer one lowers it by as many times as much as there should be
//! calls within the target for each beyond it. So the quality stays where just that percentage keeps to the target.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::ProgramMetrics;
use crate::plan::{Brownout, Plan};
use crate::program::Program;

/// Calls of the first seconds, with cold caches and new connections, say little.
const WARM_UP: Duration = Duration::from_secs(10);

/// The quality of each view of one loop that has a brownout.
pub struct Brownouts {
    /// By the index of the plan.
    views: Vec<Option<View>>,
    metrics: Rc<ProgramMetrics>,
}

#[derive(Clone)]
struct View {
    label: Rc<str>,
    of: Brownout,
    quality: Cell<f64>,
    since: Instant,
}

impl Brownouts {
    /// For the views of `program`. Those that `before` had in the same form keep their quality.
    pub(super) fn new(
        program: &Program,
        metrics: &Rc<ProgramMetrics>,
        before: Option<&Brownouts>,
    ) -> Self {
        let mut plans: Vec<_> = program.plans().collect();
        plans.sort_by_key(|plan| plan.index);
        let known = |plan: &Plan, of: Brownout| {
            let mut views = before?.views.iter().flatten();
            let found = views.find(|view| *view.label == *plan.label && view.of == of);
            found.cloned()
        };
        let view = |plan: &Plan| {
            let of = plan.brownout?;
            Some(known(plan, of).unwrap_or_else(|| View::new(&plan.label, of)))
        };
        let brownouts = Brownouts {
            views: plans.into_iter().map(|plan| view(plan)).collect(),
            metrics: Rc::clone(metrics),
        };
        for (at, view) in brownouts.views.iter().enumerate() {
            brownouts.show(at, view.as_ref());
        }
        brownouts
    }

    /// Whether a lookup is left out that may be at any quality below this one.
    #[cold]
    pub fn drops(&self, plan: &Plan, below: f64) -> bool {
        let Some(view) = &self.views[plan.index] else {
            return false;
        };
        if view.quality.get() >= below {
            return false;
        }
        if let Some((_, counts)) = &self.metrics.view(plan.index).brownout {
            counts.count(usize::from(!view.of.enforced));
        }
        view.of.enforced
    }

    /// A call of `plan` took so long. Calls that failed through the caller's fault say nothing.
    #[inline]
    pub fn observe(&self, plan: &Plan, took: Duration) {
        if let Some(view) = &self.views[plan.index]
            && view.since.elapsed() >= WARM_UP
        {
            view.observe(took);
            self.show(plan.index, Some(view));
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1"
    )]
    fn show(&self, at: usize, view: Option<&View>) {
        if let (Some(view), Some((quality, _))) = (view, &self.metrics.view(at).brownout) {
            quality.set((view.quality.get() * 1e6) as usize);
        }
    }
}

impl View {
    fn new(label: &str, of: Brownout) -> Self {
        View {
            label: label.into(),
            of,
            quality: Cell::new(1.0),
            since: Instant::now(),
        }
    }

    fn observe(&self, took: Duration) {
        let change = if took <= self.of.target {
            self.of.raise
        } else {
            -self.of.lower
        };
        let changed = self.quality.get() + change;
        self.quality.set(changed.clamp(0.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn view(percentile: f64) -> View {
        let of = Brownout {
            target: Duration::from_millis(80),
            raise: 0.001,
            lower: 0.001 * percentile / (100.0 - percentile),
            enforced: true,
        };
        View::new("m", of)
    }

    /// The quality after many calls, of which this share takes longer than the target.
    fn settles(percentile: f64, slow: f64) -> f64 {
        let (view, mut random) = (view(percentile), Random::seeded(3));
        for _ in 0..20_000 {
            let took = if random.chance(slow) { 81 } else { 80 };
            view.observe(Duration::from_millis(took));
        }
        view.quality.get()
    }

    #[tokio::test(start_paused = true)]
    async fn the_quality_falls_only_if_too_many_calls_are_slow() {
        assert!(settles(95.0, 0.03) > 0.8);
        assert!(settles(95.0, 0.08) < 0.2);
        assert!(settles(50.0, 0.3) > 0.9);
    }

    /// Without its optional lookups a call is always quick, with them one in five is slow.
    #[tokio::test(start_paused = true)]
    async fn as_many_calls_are_slow_as_may_be() {
        let (view, mut random) = (view(95.0), Random::seeded(5));
        let mut slow = 0;
        for call in 0..60_000 {
            let dropped = view.quality.get() < 0.5;
            let is_slow = !dropped && random.chance(0.2);
            view.observe(Duration::from_millis(if is_slow { 200 } else { 10 }));
            slow += u32::from(is_slow && call >= 10_000);
        }
        let expected = 50_000 / 20;
        assert!(
            slow.abs_diff(expected) < expected / 5,
            "{slow} of {expected}"
        );
    }
}
