//! The cooperative budget: cuts long work into slices, so that short calls get their share of the loop.
//!
//! Long work is reading the rest of a long message, decoding many parameters, and dropping them. Each piece of it needs a
//! [`Slice`]; slices are granted in the order of asking. Once slices have used [`BUDGET`] together, the loop polls its
//! sockets before the next one. If more than [`CROWD`] tasks wait, enough to keep the loop busy forever, the rest of a
//! millisecond is left to other work as well. Short messages never ask for a slice.
//!
//! Work that can't wait for a slice, because others wait for it, takes breaks by itself: [`Breaks`], [`after_sockets`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec::IntoIter;

use futures_util::poll;
use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::value::{Record, Value};

/// Slices that run before other tasks of the loop are polled again.
const SLICES: usize = 2;
/// How long slices may run together before the loop polls its sockets.
const BUDGET: Duration = Duration::from_micros(100);
const TICK: Duration = Duration::from_millis(1);
/// With more tasks waiting, the rest of a [`TICK`] is left to other work.
const CROWD: usize = 8;
/// Values handled per slice: about 25 microseconds of work.
pub(crate) const VALUES: usize = 256;
/// Bytes handled before a break: some hundred microseconds of work.
const BYTES: usize = 64 * 1024;

/// The budget of one loop.
#[derive(Debug)]
pub(crate) struct Coop {
    slices: Semaphore,
    waiting: Cell<usize>,
    /// How long slices have run since `since`.
    spent: Cell<Duration>,
    since: Cell<Instant>,
    /// Slices that are granted again only after a break.
    withheld: Cell<usize>,
    break_due: Notify,
    dropping: RefCell<Vec<Dropping>>,
    drop_requested: Notify,
}

/// Values to be dropped: what is left of one list, record or map.
#[derive(Debug)]
enum Dropping {
    Values(IntoIter<Value>),
    Pairs(IntoIter<(Value, Value)>),
}

/// Permission to do one piece of long work. The time until it is dropped counts.
pub(crate) struct Slice<'p> {
    coop: &'p Coop,
    begun: Instant,
}

/// Counts a waiting task for as long as it waits.
struct Waiting<'p>(&'p Cell<usize>);

impl Coop {
    pub(crate) fn new() -> Self {
        Coop {
            slices: Semaphore::new(SLICES),
            waiting: Cell::new(0),
            spent: Cell::default(),
            since: Cell::new(Instant::now()),
            withheld: Cell::new(0),
            break_due: Notify::new(),
            dropping: RefCell::default(),
            drop_requested: Notify::new(),
        }
    }

    /// Waits for a slice.
    pub(crate) async fn slice(&self) -> Slice<'_> {
        let _waiting = Waiting::new(&self.waiting);
        let slice = self.slices.acquire().await;
        slice.expect("the semaphore is never closed").forget();
        Slice {
            coop: self,
            begun: Instant::now(),
        }
    }

    /// Polls `future` within slices only. Returns `None` as soon as it would be polled and `may_go_on` returns false.
    pub(crate) async fn in_slices<F: Future>(
        &self,
        may_go_on: impl Fn() -> bool,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let slice = self.slice().await;
            if !may_go_on() {
                return None;
            }
            if let Poll::Ready(output) = poll!(future.as_mut()) {
                return Some(output);
            }
            drop(slice);
            woken().await;
        }
    }

    /// Drops `values` in slices, however many values they hold.
    pub(crate) fn drop_later(&self, values: Vec<Value>) {
        let values = Dropping::Values(values.into_iter());
        self.dropping.borrow_mut().push(values);
        self.drop_requested.notify_one();
    }

    /// Grants withheld slices again after breaks, and drops what [`Coop::drop_later`] was given. Runs for as long as it
    /// is polled and sleeps while there is nothing to do.
    pub(crate) async fn tick(&self) {
        tokio::join!(self.take_breaks(), self.drop_all());
    }

    async fn take_breaks(&self) {
        loop {
            self.break_due.notified().await;
            if self.waiting.get() > CROWD {
                sleep(TICK).await;
            } else {
                // The loop polls its sockets before it polls this task again.
                yield_now().await;
            }
            self.spent.set(Duration::ZERO);
            self.since.set(Instant::now());
            self.slices.add_permits(self.withheld.take());
        }
    }

    async fn drop_all(&self) {
        loop {
            self.drop_requested.notified().await;
            while !self.dropping.borrow().is_empty() {
                // Every slice drops some, so an empty slice is enough.
                drop(self.slice().await);
            }
        }
    }

    /// Drops up to [`VALUES`] values. What a value holds is put on the list, so nested values need no recursion.
    fn drop_some(&self) {
        let mut dropping = self.dropping.borrow_mut();
        for _ in 0..VALUES {
            let (first, second) = match dropping.last_mut() {
                None => return,
                Some(Dropping::Values(values)) => match values.next() {
                    Some(value) => (value, None),
                    None => {
                        dropping.pop();
                        continue;
                    }
                },
                Some(Dropping::Pairs(pairs)) => match pairs.next() {
                    Some((key, value)) => (key, Some(value)),
                    None => {
                        dropping.pop();
                        continue;
                    }
                },
            };
            let held = [Some(first), second].into_iter().flatten();
            dropping.extend(held.filter_map(|value| match value {
                Value::List(values) => Some(Dropping::Values(values.into_iter())),
                Value::Record(record) => Some(Dropping::Values(record.values.into_iter())),
                Value::Map(pairs) => Some(Dropping::Pairs(pairs.into_iter())),
                _ => None,
            }));
        }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        let coop = self.coop;
        // Work that makes new values also drops old ones, so old ones can't pile up.
        coop.drop_some();
        let now = Instant::now();
        let took = now.saturating_duration_since(self.begun);
        let mut spent = coop.spent.get() + took;
        if now.saturating_duration_since(coop.since.get()) > TICK {
            coop.since.set(self.begun);
            spent = took;
        }
        coop.spent.set(spent);
        if spent < BUDGET {
            coop.slices.add_permits(1);
        } else {
            coop.withheld.set(coop.withheld.get() + 1);
            coop.break_due.notify_one();
        }
    }
}

impl<'p> Waiting<'p> {
    fn new(waiting: &'p Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counts pieces of work that may all be there already, such as rows, and says when a break is due.
#[derive(Debug, Default)]
pub(crate) struct Breaks {
    pieces: usize,
    bytes: usize,
}

impl Breaks {
    /// Counts a piece with that many bytes. After some of them, waits until the loop has polled its sockets.
    pub(crate) async fn after(&mut self, bytes: usize) {
        self.count(1, bytes).await;
    }

    /// Counts that many pieces, and waits as [`Breaks::after`] does.
    async fn after_values(&mut self, pieces: usize) {
        self.count(pieces, 0).await;
    }

    async fn count(&mut self, pieces: usize, bytes: usize) {
        if self.is_due(pieces, bytes) {
            yield_now().await;
        }
    }

    /// Counts a piece with that many bytes, and says whether the caller has to let the loop poll its sockets: as
    /// [`Breaks::after`], without a future for each piece.
    #[inline]
    pub(crate) fn is_due_after(&mut self, bytes: usize) -> bool {
        self.is_due(1, bytes)
    }

    #[inline]
    fn is_due(&mut self, pieces: usize, bytes: usize) -> bool {
        self.pieces += pieces;
        self.bytes += bytes;
        let is_due = self.pieces >= VALUES || self.bytes >= BYTES;
        if is_due {
            *self = Breaks::default();
        }
        is_due
    }
}

/// Copies values, however many they hold, and takes breaks meanwhile.
pub(crate) async fn copy_all(values: &[Value], breaks: &mut Breaks) -> Vec<Value> {
    let mut copies = Vec::with_capacity(values.len());
    for value in values {
        copies.push(copy(value, breaks).await);
    }
    copies
}

/// Copies a value, however many it holds, and takes breaks meanwhile.
pub(crate) async fn copy(value: &Value, breaks: &mut Breaks) -> Value {
    if let Some(count) = value.count_up_to(VALUES) {
        breaks.after_values(count).await;
        return value.clone();
    }
    // Boxed, as values are in values.
    Box::pin(copy_large(value, breaks)).await
}

async fn copy_large(value: &Value, breaks: &mut Breaks) -> Value {
    match value {
        Value::List(values) => Value::List(copy_all(values, breaks).await),
        Value::Record(record) => Value::Record(Record {
            names: record.names.clone(),
            values: copy_all(&record.values, breaks).await,
        }),
        Value::Map(pairs) => {
            let mut copies = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                copies.push((copy(key, breaks).await, copy(value, breaks).await));
            }
            Value::Map(copies)
        }
        single => single.clone(),
    }
}

/// Has a task polled again once the loop has polled its sockets. A task that wakes itself instead is polled again up to 61
/// times before that, as tokio polls sockets only after so many tasks.
pub(crate) fn after_sockets(cx: &mut Context<'_>) {
    let is_ready = pin!(yield_now()).poll(cx).is_ready();
    debug_assert!(!is_ready, "it always waits first");
}

/// Waits until the task is woken.
async fn woken() {
    let mut before = true;
    poll_fn(|_| {
        if std::mem::take(&mut before) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::advance;

    use super::*;

    /// Runs `slices` slices of length `each`; returns how long all of them took.
    async fn take(slices: usize, each: Duration) -> Duration {
        let coop = Coop::new();
        let begun = Instant::now();
        let slice = async || {
            let _slice = coop.slice().await;
            advance(each).await;
        };
        tokio::select! {
            () = coop.tick() => {}
            _ = join_all((0..slices).map(|_| slice())) => {}
        }
        begun.elapsed()
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_crowd_leaves_the_loop_most_of_its_time() {
        let took = take(100, BUDGET / 2).await;
        let worked = BUDGET / 2 * 100;
        assert!(took > worked * 4, "{took:?}");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_few_tasks_get_all_remaining_time() {
        assert_eq!(take(CROWD, BUDGET).await, BUDGET * 8);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn slices_over_the_budget_are_granted_again_after_a_break() {
        let coop = Coop::new();
        for _ in 0..SLICES {
            let _slice = coop.slice().await;
            advance(BUDGET).await;
        }
        assert!(coop.slice().now_or_never().is_none());
        tokio::select! {
            () = coop.tick() => {}
            _slice = coop.slice() => {}
        }
        // Old slices do not count.
        for _ in 0..100 {
            drop(coop.slice().await);
            advance(TICK * 2).await;
        }
        assert!(coop.slice().now_or_never().is_some());
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_sliced_future_ends_when_it_may_not_go_on() {
        let coop = Coop::new();
        let may_go_on = Cell::new(true);
        let mut waits = pin!(coop.in_slices(|| may_go_on.get(), std::future::pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(
            coop.slices.available_permits(),
            SLICES,
            "it holds no slice while it waits"
        );
        may_go_on.set(false);
        assert_eq!(waits.now_or_never(), Some(None));
        assert_eq!(coop.in_slices(|| true, async { 1 }).await, Some(1));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn values_are_copied_in_pieces_whatever_their_shape() {
        let leaf = || Value::I64(1);
        let pairs = (0..1000).map(|_| (leaf(), Value::List(vec![leaf()])));
        let mut deep = Value::Null;
        for _ in 0..VALUES {
            deep = Value::List(vec![deep, leaf()]);
        }
        let rows = (0..1000).map(|_| Value::List(vec![leaf(); 2]));
        let values = [
            Value::Map(pairs.collect()),
            deep,
            Value::List(rows.collect()),
        ];
        let count: usize = values
            .iter()
            .map(|value| value.count_up_to(usize::MAX).expect("so many"))
            .sum();
        let mut breaks = Breaks::default();
        let mut copying = pin!(copy_all(&values, &mut breaks));
        let mut polls = 1;
        let copies = loop {
            match poll!(copying.as_mut()) {
                Poll::Ready(copies) => break copies,
                Poll::Pending => polls += 1,
            }
        };
        assert_eq!(copies, values);
        // A piece and the values before it are less than two pieces.
        assert!(polls >= count / (2 * VALUES), "{polls} for {count}");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn values_are_dropped_in_pieces_whatever_their_shape() {
        let coop = Coop::new();
        let leaf = || Value::I64(1);
        let pairs = (0..1000).map(|_| (leaf(), Value::List(vec![leaf()])));
        let mut deep = Value::Null;
        for _ in 0..VALUES {
            deep = Value::List(vec![deep]);
        }
        coop.drop_later(vec![Value::Map(pairs.collect()), deep]);
        drop(coop.slice().await);
        assert!(!coop.dropping.borrow().is_empty(), "not all at once");
        let mut ticks = pin!(coop.tick());
        while !coop.dropping.borrow().is_empty() {
            assert!(ticks.as_mut().now_or_never().is_none());
            yield_now().await;
        }
    }
}
