//! Foretells whether the lookups of a call would have their turns in time, so that a call which can't be served whole is refused
//! before it begins: an admitted call never loses lookups to a full queue.
//!
//! A lookup waits as long as those before it take at the pace of its queue ([`super::backlog`]). It may wait half of the time
//! that it has; the other half is for its way to the store and for later lookups, and all that is under way must fit into it
//! too. So a burst is served if there is time for it, however many calls it has. Before the pace is known, calls are admitted,
//! but do not begin while a queue is long ([`super::held`]): those that had to wait too long are refused then. (A shorter wait
//! would make overload more pleasant, but clients that repeat refused calls at once would then take the loop's time from calls
//! that it could serve.)
//!
//! A sick or slow store costs only its own lookups. A store that does not answer has no pace, so no call is refused because of
//! it. A store that answers too slowly for what it is asked has one, and calls are refused that would be worth little without
//! their lookups of it: if one of these is required, or if they are half of all. Any other call begins, and is partial. But if
//! the loop itself is busy all the time, it is the loop that is overloaded, and then a call is refused for any lookup.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::backlog::{Backlog, Pace, Prospect};
use super::stores::{QueueAt, Stores};
use crate::error::Code;
use crate::log_limit::LogLimit;
use crate::plan::{Plan, Step};
use crate::program::Program;

/// What the calls of each plan ask of which queue.
pub(super) struct Forecast {
    /// By [`Plan::index`].
    needs: Vec<Vec<Need>>,
    program: Arc<Program>,
    log_limit: LogLimit<usize>,
}

/// What a call asks of one queue.
pub(super) struct Need {
    pub(super) queue: QueueAt,
    /// How many lookups it names. A `foreach` is one here.
    lookups: usize,
    /// Each `foreach` among them.
    elements: Vec<Elements>,
    /// The most lookups of which each needs the one before.
    in_sequence: u32,
    any_required: bool,
    /// The shortest timeout.
    timeout: Option<Duration>,
}

/// How many elements a `foreach` has: that is unknown before a call begins, but many calls have about as many.
struct Elements {
    /// The step.
    step: usize,
    /// Times [`Elements::UNIT`].
    lately: Cell<usize>,
}

impl Elements {
    const UNIT: usize = 16;

    /// A call had so many.
    fn saw(&self, count: usize) {
        let (before, now) = (self.lately.get(), count.saturating_mul(Elements::UNIT));
        // The first call counts fully, each later one an eighth.
        let mixed = if before == 0 {
            now
        } else {
            before - before / 8 + now / 8
        };
        self.lately.set(mixed.max(1));
    }

    fn lately(&self) -> usize {
        self.lately.get().div_ceil(Elements::UNIT).max(1)
    }
}

impl Forecast {
    pub(super) fn new(program: &Arc<Program>, stores: &Stores) -> Self {
        let mut plans: Vec<_> = program.plans().collect();
        plans.sort_by_key(|plan| plan.index);
        Forecast {
            needs: (plans.iter())
                .map(|plan| needs(plan, program, stores))
                .collect(),
            program: Arc::clone(program),
            log_limit: LogLimit::default(),
        }
    }

    /// Whether a call of `plan` that has so much time left would lose lookups without which it is worth little; if the loop is
    /// busy, whether it would lose any. `calls` are the others of its connection.
    pub(super) fn is_hopeless(
        &self,
        stores: &Stores,
        (plan, calls): (&Plan, usize),
        left: Duration,
        is_busy: bool,
    ) -> bool {
        let now = Instant::now();
        let prospect = |queue, own| {
            let held = |backlog: &mut Backlog, _| backlog.held().ahead(calls + 1);
            let held = stores.with_backlog(queue, held).unwrap_or_default();
            let prospect = stores.prospect(queue, own, now)?;
            Some(Prospect {
                ahead: prospect.ahead + held,
                ..prospect
            })
        };
        let needs = &self.needs[plan.index];
        let Some((need, wait)) = loses(needs, plan.steps.len(), (calls, left), is_busy, prospect)
        else {
            return false;
        };
        self.log(plan, need, wait);
        true
    }

    /// The queue for which a call of `plan` has to wait before it begins: it is long, its store answers, and the call is worth
    /// little without it.
    #[inline]
    pub(super) fn long_queue(
        &self,
        stores: &Stores,
        plan: &Plan,
        is_busy: impl FnOnce() -> bool,
    ) -> Option<&Need> {
        let needs = &self.needs[plan.index];
        let is_long = |need: &&Need| {
            let is_long =
                stores.with_backlog(need.queue, |backlog, waiting| backlog.is_long(waiting));
            is_long.unwrap_or(false)
        };
        if !needs.iter().any(|need| is_long(&need)) {
            return None;
        }
        let answers = |need: &&Need| {
            let pace = stores.with_backlog(need.queue, |backlog, _| backlog.pace(Instant::now()));
            pace != Some(Pace::Silent)
        };
        let long = || needs.iter().filter(is_long).filter(answers);
        let lost: usize = long().map(|need| need.lookups).sum();
        let counts =
            is_busy() || lost * 2 >= plan.steps.len() || long().any(|need| need.any_required);
        long().next().filter(|_| counts)
    }

    /// The `foreach` at `step` of `plan` has so many elements in a call.
    pub(super) fn saw_elements(&self, plan: &Plan, step: usize, count: usize) {
        let mut all = self.needs[plan.index]
            .iter()
            .flat_map(|need| &need.elements);
        if let Some(elements) = all.find(|elements| elements.step == step) {
            elements.saw(count);
        }
    }

    fn log(&self, plan: &Plan, need: &Need, wait: Duration) {
        let Some(store) = need.queue.store() else {
            return;
        };
        if let Some(suppressed) = self.log_limit.allow(store) {
            let (method, backend) = (&*plan.label, &*self.program.backends[store].name);
            let (code, wait_ms) = (Code::ServerOverloaded, wait.as_millis());
            warn!(%code, method, backend, wait_ms, suppressed, "calls refused: their lookups would wait too long");
        }
    }
}

/// What a call of so many steps would lose, and how long that would wait, if the call is worth little without. `prospect` is
/// what a lookup finds in a queue in which its client has so many.
fn loses(
    needs: &[Need],
    steps: usize,
    (calls, left): (usize, Duration),
    is_busy: bool,
    prospect: impl Fn(QueueAt, usize) -> Option<Prospect>,
) -> Option<(&Need, Duration)> {
    let mut lost = 0;
    let mut any_required = false;
    let mut last = None;
    for need in needs {
        let own = calls.saturating_add(1).saturating_mul(need.asks());
        let prospect = prospect(need.queue, own);
        if let Some(wait) = prospect.and_then(|prospect| need.too_long(left, prospect)) {
            lost += need.lookups;
            any_required |= need.any_required;
            last = Some((need, wait));
        }
    }
    last.filter(|_| any_required || lost * 2 >= steps || is_busy)
}

impl Need {
    /// How many questions a call asks, as far as can be known.
    pub(super) fn asks(&self) -> usize {
        let elements = self.elements.iter().map(Elements::lately);
        self.lookups - self.elements.len() + elements.sum::<usize>()
    }

    /// How long these lookups would wait, if that is too long.
    fn too_long(&self, left: Duration, prospect: Prospect) -> Option<Duration> {
        let pace = prospect.pace;
        let time = self.timeout.map_or(left, |timeout| timeout.min(left));
        let wait = pace.time(prospect.ahead).saturating_mul(self.in_sequence);
        // What is under way comes first too, but it has left the queue.
        let answered = pace.time(prospect.ahead.saturating_add(prospect.in_flight));
        (wait > time / 2 || answered > time).then_some(wait)
    }
}

/// A lookup with a cache counts for nothing: it waits only for what the cache does not have.
fn needs(plan: &Plan, program: &Program, stores: &Stores) -> Vec<Need> {
    let is_cached = |step: &Step| program.lookups[step.lookup.0].sharing.answers();
    let queues: Vec<_> = plan
        .steps
        .iter()
        .map(|step| stores.queue_of(step.lookup).filter(|_| !is_cached(step)))
        .collect();
    let mut needs: Vec<Need> = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let Some(queue) = queues[at] else {
            continue;
        };
        let in_sequence = sequence(plan, &queues, at);
        let elements = step.foreach.is_some().then(|| Elements {
            step: at,
            lately: Cell::new(0),
        });
        match needs.iter_mut().find(|need| need.queue == queue) {
            Some(need) => {
                need.lookups += 1;
                need.elements.extend(elements);
                need.in_sequence = need.in_sequence.max(in_sequence);
                need.any_required |= is_vital(step);
                need.timeout = need.timeout.into_iter().chain(step.timeout).min();
            }
            None => needs.push(Need {
                queue,
                lookups: 1,
                elements: elements.into_iter().collect(),
                in_sequence,
                any_required: is_vital(step),
                timeout: step.timeout,
            }),
        }
    }
    needs
}

/// Whether a call is lost without its answer. If another one can be asked instead, it is not.
fn is_vital(step: &Step) -> bool {
    step.required && step.fallback.is_none()
}

/// How many lookups of the same queue end, one after another, with the one at `at`.
fn sequence(plan: &Plan, queues: &[Option<QueueAt>], at: usize) -> u32 {
    // By step: the longest sequence that ends before it or with it.
    let mut longest = vec![0_u32; at + 1];
    for (step, needed) in plan.steps[..=at].iter().enumerate() {
        let before = needed.after.iter().map(|&need| longest[need]).max();
        longest[step] = before.unwrap_or(0) + u32::from(queues[step] == queues[at]);
    }
    longest[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACE: Pace = Pace::PerSecond(1000.0);

    fn need(store: usize, lookups: usize) -> Need {
        Need {
            queue: QueueAt::Permits(store),
            lookups,
            elements: Vec::new(),
            in_sequence: 1,
            any_required: false,
            timeout: None,
        }
    }

    /// The store because of which a call of seven lookups that has 500 ms is refused. `queues` are the paces and lengths of the
    /// stores' queues.
    fn refused(needs: &[Need], queues: &[(Pace, usize)], is_busy: bool) -> Option<usize> {
        let prospect = |queue: QueueAt, _own| {
            let (pace, ahead) = queues[queue.store()?];
            Some(Prospect {
                pace,
                ahead,
                in_flight: 240,
            })
        };
        let lost = loses(needs, 7, (0, 500 * MS), is_busy, prospect);
        lost.and_then(|(need, _)| need.queue.store())
    }

    #[test]
    fn a_burst_is_served_if_there_is_time_for_it() {
        let all = [need(0, 7)];
        let is_refused = |pace, ahead| refused(&all, &[(pace, ahead)], false).is_some();
        assert!(!is_refused(Pace::Unknown, 1_000_000), "a burst");
        assert!(!is_refused(Pace::Silent, 1_000_000), "a sick store");
        assert!(!is_refused(PACE, 250));
        assert!(is_refused(PACE, 251), "half of its time");
        // With the 240 lookups that are under way.
        let slow = Pace::PerSecond(490.0);
        assert!(!is_refused(slow, 5) && is_refused(slow, 6));
    }

    #[test]
    fn one_slow_store_costs_only_its_lookups_unless_the_call_is_nothing_without_them() {
        let queues = [(PACE, 300), (Pace::Unknown, 0)];
        let is_refused = |slow: Need, is_busy| {
            let rest = need(1, 7 - slow.lookups);
            refused(&[slow, rest], &queues, is_busy) == Some(0)
        };
        assert!(!is_refused(need(0, 3), false));
        assert!(is_refused(need(0, 4), false), "more than half");
        assert!(
            is_refused(need(0, 3), true),
            "the loop itself is overloaded"
        );
        let required = Need {
            any_required: true,
            ..need(0, 1)
        };
        assert!(is_refused(required, false));
    }

    #[test]
    fn a_foreach_asks_as_much_as_it_did_lately() {
        let lists = Need {
            elements: vec![Elements {
                step: 3,
                lately: Cell::new(0),
            }],
            ..need(0, 3)
        };
        let saw = |count| {
            lists.elements[0].saw(count);
            lists.asks()
        };
        assert_eq!(lists.asks(), 3, "nothing is known");
        assert_eq!(saw(40), 42);
        assert_eq!(saw(0), 37);
        let saw_often = |count| [count; 100].map(saw)[99];
        assert_eq!(saw_often(0), 3);
        assert_eq!(saw_often(1000), 1002);
    }

    #[test]
    fn lookups_in_sequence_wait_one_after_another_and_a_timeout_counts() {
        let queues = [(PACE, 100)];
        let lookups = |in_sequence, timeout| Need {
            in_sequence,
            timeout,
            ..need(0, 7)
        };
        let is_refused = |need| refused(&[need], &queues, false).is_some();
        assert!(!is_refused(lookups(2, None)) && is_refused(lookups(3, None)));
        assert!(!is_refused(lookups(1, Some(340 * MS))));
        assert!(is_refused(lookups(1, Some(339 * MS))));
    }
}
