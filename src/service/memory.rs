//! Counts the memory that clients take, per loop and per connection: bytes that were read, parameters, replies.
//!
//! Code that keeps a client's bytes holds a [`Reservation`] on its [`ConnectionMemory`]; counting is adding integers. Once the
//! loop's [`MemoryPool`] holds more than `buffered_bytes_max` it is under pressure: connections with more than [`SMALL_BYTES`] get
//! no more, so the rest of their messages is not read and their replies can't grow. All others continue, so a client that takes
//! much memory can't stop clients that take little, and small calls always end.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::LimitsConfig;
use crate::context::CallerId;
use crate::coop::Coop;
use crate::metrics::LoopMetrics;

/// The memory that a connection may always have.
const SMALL_BYTES: usize = 16 * 1024;

/// The memory that the clients of one loop take.
#[derive(Debug)]
pub struct MemoryPool {
    metrics: Rc<LoopMetrics>,
    bytes_max: usize,
    connection_bytes_max: usize,
    under_pressure: Cell<bool>,
    /// Notified when the pressure ends.
    relieved: Notify,
    /// The budget for reading and decoding long messages.
    coop: Coop,
    /// How many connections there have been.
    connections: Cell<u64>,
}

/// The memory that one connection takes.
#[derive(Debug)]
pub struct ConnectionMemory {
    pool: Rc<MemoryPool>,
    bytes: Cell<usize>,
    caller: CallerId,
    /// The name of its client, if that has shown a certificate.
    name: OnceCell<Arc<str>>,
    /// The other end of the connection; `None` for a process on this machine.
    peer: Cell<Option<SocketAddr>>,
}

/// Memory that is taken for one purpose, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    memory: Rc<ConnectionMemory>,
    bytes: Cell<usize>,
}

impl MemoryPool {
    /// An empty pool, which is shown in `metrics`.
    pub fn new(limits: &LimitsConfig, metrics: &Rc<LoopMetrics>) -> Rc<Self> {
        Rc::new(MemoryPool {
            metrics: Rc::clone(metrics),
            bytes_max: limits.buffered_bytes_max,
            connection_bytes_max: limits.connection_bytes_max,
            under_pressure: Cell::new(false),
            relieved: Notify::new(),
            coop: Coop::new(),
            connections: Cell::new(0),
        })
    }

    /// The memory of one more connection.
    pub fn connection(self: &Rc<Self>) -> Rc<ConnectionMemory> {
        let number = self.connections.get() + 1;
        self.connections.set(number);
        Rc::new(ConnectionMemory {
            caller: CallerId(number),
            pool: Rc::clone(self),
            bytes: Cell::new(0),
            name: OnceCell::new(),
            peer: Cell::new(None),
        })
    }

    /// Whether more than the limit is taken.
    pub fn under_pressure(&self) -> bool {
        self.under_pressure.get()
    }

    /// The budget for long work.
    pub(crate) fn coop(&self) -> &Coop {
        &self.coop
    }

    /// Waits until the pressure ends. Each waiting task wakes the next one, as long as memory is free: thousands may wait, and
    /// woken together they would all run before any other task.
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
        // Only once an eighth is free, so that waiting tasks, of which there may be thousands, are woken rarely.
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
    /// The connection as a caller.
    pub(super) fn caller(&self) -> CallerId {
        self.caller
    }

    /// Its client has shown a certificate with these names.
    pub fn names(&self, names: &[String]) {
        if let Some(name) = names.first() {
            self.name.get_or_init(|| Arc::from(&**name));
        }
    }

    /// The address of its client.
    pub fn came_from(&self, peer: SocketAddr) {
        self.peer.set(Some(peer));
    }

    /// The address of its client; `None` for a process on this machine.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer.get()
    }

    /// The name of its client, if that is known.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.name.get()
    }

    /// The pool of the loop.
    pub fn pool(&self) -> &MemoryPool {
        &self.pool
    }

    /// How many more bytes the connection may take.
    pub fn left(&self) -> usize {
        let own = SMALL_BYTES.saturating_sub(self.bytes.get());
        self.pool.left().max(own)
    }

    /// Whether more of the client's bytes may be read.
    pub fn may_read(&self) -> bool {
        !self.pool.under_pressure() || self.bytes.get() <= SMALL_BYTES
    }

    /// Whether the connection takes so much that its client has to take replies first.
    pub fn is_full(&self) -> bool {
        self.bytes.get() >= self.pool.connection_bytes_max
    }

    /// Whether a call may have a reply of that many bytes; `own` is what the call itself takes.
    pub fn takes_reply(&self, bytes: usize, own: usize) -> bool {
        let others = self.bytes.get().saturating_sub(own);
        // A single reply is limited by `reply_bytes_max`.
        let alone = others <= SMALL_BYTES;
        bytes <= self.left() && (alone || others + bytes <= self.pool.connection_bytes_max)
    }
}

impl Reservation {
    /// Reserves `bytes` of the connection's memory.
    pub fn new(memory: &Rc<ConnectionMemory>, bytes: usize) -> Self {
        let reservation = Reservation {
            memory: Rc::clone(memory),
            bytes: Cell::new(0),
        };
        reservation.set(bytes);
        reservation
    }

    /// The connection's memory.
    pub fn memory(&self) -> &Rc<ConnectionMemory> {
        &self.memory
    }

    /// How many bytes are reserved.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Changes how many bytes are reserved.
    #[inline]
    pub fn set(&self, bytes: usize) {
        let before = self.bytes.replace(bytes);
        if bytes != before {
            self.count(before, bytes);
        }
    }

    fn count(&self, before: usize, bytes: usize) {
        let memory = &self.memory.bytes;
        memory.set(memory.get() + bytes - before);
        if bytes > before {
            self.memory.pool.take(bytes - before);
        } else {
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
    fn reservations_are_counted_once_and_released() {
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
    fn under_pressure_only_small_connections_continue() {
        let (pool, _metrics) = pool();
        let (greedy, small) = (pool.connection(), pool.connection());
        let large = Reservation::new(&greedy, MAX);
        assert!(
            !pool.under_pressure() && greedy.may_read(),
            "exactly the limit"
        );
        let _little = Reservation::new(&small, 100);
        assert!(pool.under_pressure());
        assert!(!greedy.may_read() && small.may_read());
        assert_eq!((greedy.left(), small.left()), (0, SMALL_BYTES - 100));
        assert!(!greedy.takes_reply(1, 0) && small.takes_reply(1000, 100));
        assert!(!small.takes_reply(SMALL_BYTES, 100));
        // A few bytes less do not end the pressure: waiting tasks would be woken in vain.
        large.set(MAX - 1000);
        assert!(pool.under_pressure());
        let mut waits = Box::pin(pool.relieved());
        assert!(waits.as_mut().now_or_never().is_none());
        large.set(MAX / 2);
        assert!(!pool.under_pressure() && greedy.may_read());
        assert!(waits.now_or_never().is_some(), "it is notified");
    }

    #[test]
    fn waiting_tasks_wake_each_other_while_memory_is_free() {
        let (pool, _metrics) = pool();
        let large = Reservation::new(&pool.connection(), MAX + 1);
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(pool.relieved())).collect();
        let mut wakes = |at: usize| waiting[at].as_mut().now_or_never().is_some();
        assert!(!wakes(0) && !wakes(1) && !wakes(2));
        large.set(0);
        assert!(!wakes(1) && wakes(0) && wakes(1));
        large.set(MAX + 1);
        assert!(wakes(2), "it was woken before");
        large.set(0);
        assert!(
            pool.relieved().now_or_never().is_some(),
            "no task was waiting"
        );
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
