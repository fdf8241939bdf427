//! What clients take up in memory, on one loop and by connection: what was read of them, parameters, replies.
//!
//! Whoever keeps a client's bytes has a [`Reservation`] on its connection's [`ConnectionMemory`] and says how many they are; that
//! is adding integers. Once the loop holds more than `buffered_bytes_max` it is pressed: who has more than
//! [`SMALL_BYTES`] gets no more, neither of its message read nor a longer reply. All others go on as ever, so
//! that whoever takes up much can't stop those who take up little, and small calls always come to their end.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::config::LimitsConfig;
use crate::coop::Coop;
use crate::metrics::LoopMetrics;

/// What a connection may always have.
const SMALL_BYTES: usize = 16 * 1024;

/// One loop's.
#[derive(Debug)]
pub struct MemoryPool {
    metrics: Rc<LoopMetrics>,
    bytes_max: usize,
    connection_bytes_max: usize,
    under_pressure: Cell<bool>,
    /// Tells that the loop is pressed no longer.
    relieved: Notify,
    /// How fast long messages are read.
    coop: Coop,
}

/// One connection's.
#[derive(Debug)]
pub struct ConnectionMemory {
    pool: Rc<MemoryPool>,
    bytes: Cell<usize>,
}

/// Bytes that are kept for one purpose, as long as they are kept.
#[derive(Debug)]
pub struct Reservation {
    memory: Rc<ConnectionMemory>,
    bytes: Cell<usize>,
}

impl MemoryPool {
    /// Whose bytes show in `metrics`.
    pub fn new(limits: &LimitsConfig, metrics: &Rc<LoopMetrics>) -> Rc<Self> {
        Rc::new(MemoryPool {
            metrics: Rc::clone(metrics),
            bytes_max: limits.buffered_bytes_max,
            connection_bytes_max: limits.connection_bytes_max,
            under_pressure: Cell::new(false),
            relieved: Notify::new(),
            coop: Coop::new(),
        })
    }

    /// For one more connection.
    pub fn connection(self: &Rc<Self>) -> Rc<ConnectionMemory> {
        Rc::new(ConnectionMemory {
            pool: Rc::clone(self),
            bytes: Cell::new(0),
        })
    }

    /// Whether there is less than there should be.
    pub fn under_pressure(&self) -> bool {
        self.under_pressure.get()
    }

    /// Turns of long work.
    pub(crate) fn coop(&self) -> &Coop {
        &self.coop
    }

    /// Waits until it is pressed no longer. One of those that wait wakes the next, as long as there is room: they may
    /// be thousands, and woken at once they would all be served before anybody else.
    pub async fn relieved(&self) {
        self.relieved.notified().await;
        if !self.under_pressure() {
            self.relieved.notify_one();
        }
    }

    fn take(&self, bytes: usize) {
        let gauge = &self.metrics.buffered_bytes;
        gauge.more(bytes);
        if gauge.get() > self.bytes_max {
            self.under_pressure.set(true);
        }
    }

    fn give(&self, bytes: usize) {
        let gauge = &self.metrics.buffered_bytes;
        gauge.less(bytes);
        // An eighth, so that those who wait, who may be thousands, are woken seldom.
        if self.under_pressure.get() && gauge.get() <= self.bytes_max - self.bytes_max / 8 {
            self.under_pressure.set(false);
            self.relieved.notify_one();
        }
    }

    fn left(&self) -> usize {
        let used = self.metrics.buffered_bytes.get();
        self.bytes_max.saturating_sub(used)
    }
}

impl ConnectionMemory {
    /// The loop's.
    pub fn pool(&self) -> &MemoryPool {
        &self.pool
    }

    /// How many more bytes there may be.
    pub fn left(&self) -> usize {
        let own = SMALL_BYTES.saturating_sub(self.bytes.get());
        self.pool.left().max(own)
    }

    /// Whether more of the client's bytes may be read.
    pub fn may_read(&self) -> bool {
        !self.pool.under_pressure() || self.bytes.get() <= SMALL_BYTES
    }

    /// Whether the connection has so much that its client has to take some of it first.
    pub fn is_full(&self) -> bool {
        self.bytes.get() >= self.pool.connection_bytes_max
    }

    /// Whether there may be a reply of so many bytes to a call that has `own` of the connection's.
    pub fn takes_reply(&self, bytes: usize, own: usize) -> bool {
        let others = self.bytes.get().saturating_sub(own);
        // A reply that is alone is bounded by itself.
        let alone = others <= SMALL_BYTES;
        bytes <= self.left() && (alone || others + bytes <= self.pool.connection_bytes_max)
    }
}

impl Reservation {
    /// For `bytes` of that connection.
    pub fn new(memory: &Rc<ConnectionMemory>, bytes: usize) -> Self {
        let reservation = Reservation {
            memory: Rc::clone(memory),
            bytes: Cell::new(0),
        };
        reservation.set(bytes);
        reservation
    }

    /// Whose they are.
    pub fn memory(&self) -> &Rc<ConnectionMemory> {
        &self.memory
    }

    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// How many they are now.
    pub fn set(&self, bytes: usize) {
        let before = self.bytes.replace(bytes);
        let memory = &self.memory.bytes;
        memory.set(memory.get() + bytes - before);
        if bytes > before {
            self.memory.pool.take(bytes - before);
        } else if bytes < before {
            self.memory.pool.give(before - bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MAX: usize = 1024 * 1024;

    fn pool() -> (Rc<MemoryPool>, Rc<LoopMetrics>) {
        let metrics = LoopMetrics::unscraped();
        let limits = LimitsConfig {
            buffered_bytes_max: MAX,
            connection_bytes_max: MAX / 2,
            ..LimitsConfig::default()
        };
        (MemoryPool::new(&limits, &metrics), metrics)
    }

    #[test]
    fn what_is_kept_is_counted_once_and_given_back() {
        let (pool, metrics) = pool();
        let one = pool.connection();
        let first = Reservation::new(&one, 1000);
        let second = Reservation::new(&one, 50);
        first.set(300);
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (350, 350));
        let other = Reservation::new(&pool.connection(), 7);
        drop(first);
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (50, 57));
        drop((second, other));
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (0, 0));
    }

    #[test]
    fn over_the_limit_only_who_has_little_goes_on() {
        let (pool, _metrics) = pool();
        let (greedy, small) = (pool.connection(), pool.connection());
        let large = Reservation::new(&greedy, MAX);
        assert!(
            !pool.under_pressure() && greedy.may_read(),
            "as much as may be"
        );
        let _little = Reservation::new(&small, 100);
        assert!(pool.under_pressure());
        assert!(!greedy.may_read() && small.may_read());
        assert_eq!((greedy.left(), small.left()), (0, SMALL_BYTES - 100));
        assert!(!greedy.takes_reply(1, 0) && small.takes_reply(1000, 100));
        assert!(!small.takes_reply(SMALL_BYTES, 100));
        // A byte less does not end it: who waits would be woken for nothing.
        large.set(MAX - 1000);
        assert!(pool.under_pressure());
        let mut waits = Box::pin(pool.relieved());
        assert!(waits.as_mut().now_or_never().is_none());
        large.set(MAX / 2);
        assert!(!pool.under_pressure() && greedy.may_read());
        assert!(waits.now_or_never().is_some(), "it is told");
    }

    #[test]
    fn those_that_wait_for_room_wake_each_other_as_long_as_there_is_some() {
        let (pool, _metrics) = pool();
        let large = Reservation::new(&pool.connection(), MAX + 1);
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(pool.relieved())).collect();
        let mut wakes = |at: usize| waiting[at].as_mut().now_or_never().is_some();
        assert!(!wakes(0) && !wakes(1) && !wakes(2));
        large.set(0);
        assert!(!wakes(1) && wakes(0) && wakes(1));
        large.set(MAX + 1);
        assert!(wakes(2), "it was its turn before");
        large.set(0);
        assert!(pool.relieved().now_or_never().is_some(), "nobody waited");
    }

    #[test]
    fn a_connection_is_full_by_itself_but_one_reply_always_fits() {
        let (pool, _metrics) = pool();
        let memory = pool.connection();
        let call = Reservation::new(&memory, 1000);
        assert!(memory.takes_reply(MAX / 2 + 1000, 1000));
        let waiting = Reservation::new(&memory, MAX / 4);
        assert!(memory.takes_reply(MAX / 4, 1000) && !memory.takes_reply(MAX / 2, 1000));
        assert!(!memory.is_full());
        waiting.set(MAX / 2);
        assert!(memory.is_full() && !pool.under_pressure());
        drop((call, waiting));
        assert!(!memory.is_full());
    }
}
