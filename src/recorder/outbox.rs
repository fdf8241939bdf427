//! A bounded queue of calls from the loops to a thread that sends or writes them, and the count of what became of each.
//!
//! A loop never waits: a call that finds the queue full is dropped and counted. Nor does it wake the other thread, which
//! would cost a system call: that thread looks at the queue from time to time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The queue was full.
    QueueFull,
    /// Too many calls in that second.
    Rate,
    /// The receiver does not want it.
    Refused,
    /// The receiver could not be reached, or did not take it in time.
    Unreachable,
    /// The server stopped first.
    Stopped,
}

impl Dropped {
    /// Every reason, in the order of its number.
    pub const ALL: [Dropped; 5] = [
        Dropped::QueueFull,
        Dropped::Rate,
        Dropped::Refused,
        Dropped::Unreachable,
        Dropped::Stopped,
    ];

    /// The word of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Dropped::QueueFull => "queue_full",
            Dropped::Rate => "rate",
            Dropped::Refused => "refused",
            Dropped::Unreachable => "unreachable",
            Dropped::Stopped => "stopped",
        }
    }
}

/// What became of the calls of one queue.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Tally {
    /// So many were sent.
    pub fn count_sent(&self, calls: usize) {
        self.sent.fetch_add(calls as u64, Ordering::Relaxed);
    }

    /// So many were dropped.
    pub fn count_dropped(&self, why: Dropped, calls: usize) {
        self.dropped[why as usize].fetch_add(calls as u64, Ordering::Relaxed);
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many were dropped for this reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].load(Ordering::Relaxed)
    }
}

/// Where loops put calls.
#[derive(Debug)]
pub struct Outbox<T> {
    sender: SyncSender<T>,
    tally: Arc<Tally>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Outbox {
            sender: self.sender.clone(),
            tally: Arc::clone(&self.tally),
        }
    }
}

impl<T> Outbox<T> {
    /// A queue in which so many calls may wait, and its other end.
    pub fn new(waiting_max: usize) -> (Self, Receiver<T>) {
        let (sender, receiver) = sync_channel(waiting_max);
        let tally = Arc::default();
        (Outbox { sender, tally }, receiver)
    }

    /// What became of its calls.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Takes a call, or drops it.
    pub fn put(&self, call: T) {
        if self.sender.try_send(call).is_err() {
            self.tally.count_dropped(Dropped::QueueFull, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        for (at, why) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
        }
        let (outbox, receiver) = Outbox::new(2);
        for call in 0..5 {
            outbox.clone().put(call);
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(outbox.tally().dropped(Dropped::QueueFull), 3);
        drop(receiver);
        outbox.put(6);
        assert_eq!(outbox.tally().dropped(Dropped::QueueFull), 4);
    }
}
