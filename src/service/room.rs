//! What clients take up in memory, on one loop and by connection: what was read of them, parameters, replies.
//!
//! Whoever keeps a client's bytes has a [`Charge`] on its connection's [`Account`] and says how many they are; that
//! is adding integers. Once the loop holds more than `buffered_bytes_max` it is pressed: who has more than
//! [`SMALL_BYTES`] gets no more, neither of its message read nor a longer reply. All others go on as ever, so
//! that whoever takes up much can't stop those who take up little, and small calls always come to their end.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::config::LimitsConfig;
use crate::metrics::LoopMetrics;
use crate::pace::Pace;

/// What a connection may always have.
const SMALL_BYTES: usize = 16 * 1024;

/// One loop's.
#[derive(Debug)]
pub struct Room {
    metrics: Rc<LoopMetrics>,
    bytes_max: usize,
    connection_bytes_max: usize,
    pressed: Cell<bool>,
    /// Tells that the loop is pressed no longer.
    eased: Notify,
    /// How fast long messages are read.
    pace: Pace,
}

/// One connection's.
#[derive(Debug)]
pub struct Account {
    room: Rc<Room>,
    bytes: Cell<usize>,
}

/// Bytes that are kept for one purpose, as long as they are kept.
#[derive(Debug)]
pub struct Charge {
    account: Rc<Account>,
    bytes: Cell<usize>,
}

impl Room {
    /// Whose bytes show in `metrics`.
    pub fn new(limits: &LimitsConfig, metrics: &Rc<LoopMetrics>) -> Rc<Self> {
        Rc::new(Room {
            metrics: Rc::clone(metrics),
            bytes_max: limits.buffered_bytes_max,
            connection_bytes_max: limits.connection_bytes_max,
            pressed: Cell::new(false),
            eased: Notify::new(),
            pace: Pace::new(),
        })
    }

    /// For one more connection.
    pub fn account(self: &Rc<Self>) -> Rc<Account> {
        Rc::new(Account {
            room: Rc::clone(self),
            bytes: Cell::new(0),
        })
    }

    /// Whether there is less than there should be.
    pub fn is_pressed(&self) -> bool {
        self.pressed.get()
    }

    /// Turns of long work.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Waits until it is pressed no longer. One of those that wait wakes the next, as long as there is room: they may
    /// be thousands, and woken at once they would all be served before anybody else.
    pub async fn eased(&self) {
        self.eased.notified().await;
        if !self.is_pressed() {
            self.eased.notify_one();
        }
    }

    fn take(&self, bytes: usize) {
        let gauge = &self.metrics.buffered_bytes;
        gauge.more(bytes);
        if gauge.get() > self.bytes_max {
            self.pressed.set(true);
        }
    }

    fn give(&self, bytes: usize) {
        let gauge = &self.metrics.buffered_bytes;
        gauge.less(bytes);
        // An eighth, so that those who wait, who may be thousands, are woken seldom.
        if self.pressed.get() && gauge.get() <= self.bytes_max - self.bytes_max / 8 {
            self.pressed.set(false);
            self.eased.notify_one();
        }
    }

    fn left(&self) -> usize {
        let used = self.metrics.buffered_bytes.get();
        self.bytes_max.saturating_sub(used)
    }
}

impl Account {
    /// The loop's.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// How many more bytes there may be.
    pub fn left(&self) -> usize {
        let own = SMALL_BYTES.saturating_sub(self.bytes.get());
        self.room.left().max(own)
    }

    /// Whether more of the client's bytes may be read.
    pub fn may_read(&self) -> bool {
        !self.room.is_pressed() || self.bytes.get() <= SMALL_BYTES
    }

    /// Whether the connection has so much that its client has to take some of it first.
    pub fn is_full(&self) -> bool {
        self.bytes.get() >= self.room.connection_bytes_max
    }

    /// Whether there may be a reply of so many bytes to a call that has `own` of the connection's.
    pub fn takes_reply(&self, bytes: usize, own: usize) -> bool {
        let others = self.bytes.get().saturating_sub(own);
        // A reply that is alone is bounded by itself.
        let alone = others <= SMALL_BYTES;
        bytes <= self.left() && (alone || others + bytes <= self.room.connection_bytes_max)
    }
}

impl Charge {
    /// For `bytes` of that connection.
    pub fn new(account: &Rc<Account>, bytes: usize) -> Self {
        let charge = Charge {
            account: Rc::clone(account),
            bytes: Cell::new(0),
        };
        charge.set(bytes);
        charge
    }

    /// Whose they are.
    pub fn account(&self) -> &Rc<Account> {
        &self.account
    }

    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// How many they are now.
    pub fn set(&self, bytes: usize) {
        let before = self.bytes.replace(bytes);
        let account = &self.account.bytes;
        account.set(account.get() + bytes - before);
        if bytes > before {
            self.account.room.take(bytes - before);
        } else if bytes < before {
            self.account.room.give(before - bytes);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MAX: usize = 1024 * 1024;

    fn room() -> (Rc<Room>, Rc<LoopMetrics>) {
        let metrics = LoopMetrics::unscraped();
        let limits = LimitsConfig {
            buffered_bytes_max: MAX,
            connection_bytes_max: MAX / 2,
            ..LimitsConfig::default()
        };
        (Room::new(&limits, &metrics), metrics)
    }

    #[test]
    fn what_is_kept_is_counted_once_and_given_back() {
        let (room, metrics) = room();
        let one = room.account();
        let first = Charge::new(&one, 1000);
        let second = Charge::new(&one, 50);
        first.set(300);
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (350, 350));
        let other = Charge::new(&room.account(), 7);
        drop(first);
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (50, 57));
        drop((second, other));
        assert_eq!((one.bytes.get(), metrics.buffered_bytes.get()), (0, 0));
    }

    #[test]
    fn over_the_limit_only_who_has_little_goes_on() {
        let (room, _metrics) = room();
        let (greedy, small) = (room.account(), room.account());
        let large = Charge::new(&greedy, MAX);
        assert!(!room.is_pressed() && greedy.may_read(), "as much as may be");
        let _little = Charge::new(&small, 100);
        assert!(room.is_pressed());
        assert!(!greedy.may_read() && small.may_read());
        assert_eq!((greedy.left(), small.left()), (0, SMALL_BYTES - 100));
        assert!(!greedy.takes_reply(1, 0) && small.takes_reply(1000, 100));
        assert!(!small.takes_reply(SMALL_BYTES, 100));
        // A byte less does not end it: who waits would be woken for nothing.
        large.set(MAX - 1000);
        assert!(room.is_pressed());
        let mut waits = Box::pin(room.eased());
        assert!(waits.as_mut().now_or_never().is_none());
        large.set(MAX / 2);
        assert!(!room.is_pressed() && greedy.may_read());
        assert!(waits.now_or_never().is_some(), "it is told");
    }

    #[test]
    fn those_that_wait_for_room_wake_each_other_as_long_as_there_is_some() {
        let (room, _metrics) = room();
        let large = Charge::new(&room.account(), MAX + 1);
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(room.eased())).collect();
        let mut wakes = |at: usize| waiting[at].as_mut().now_or_never().is_some();
        assert!(!wakes(0) && !wakes(1) && !wakes(2));
        large.set(0);
        assert!(!wakes(1) && wakes(0) && wakes(1));
        large.set(MAX + 1);
        assert!(wakes(2), "it was its turn before");
        large.set(0);
        assert!(room.eased().now_or_never().is_some(), "nobody waited");
    }

    #[test]
    fn a_connection_is_full_by_itself_but_one_reply_always_fits() {
        let (room, _metrics) = room();
        let account = room.account();
        let call = Charge::new(&account, 1000);
        assert!(account.takes_reply(MAX / 2 + 1000, 1000));
        let waiting = Charge::new(&account, MAX / 4);
        assert!(account.takes_reply(MAX / 4, 1000) && !account.takes_reply(MAX / 2, 1000));
        assert!(!account.is_full());
        waiting.set(MAX / 2);
        assert!(account.is_full() && !room.is_pressed());
        drop((call, waiting));
        assert!(!account.is_full());
    }
}
