//! What is known of the connections to one server by those who wait for one of them.

use tokio::sync::watch;

use super::LookupError;

/// The connections of one queue.
pub(super) struct Links(watch::Sender<States>);

/// How they are.
#[derive(Debug)]
pub(super) struct States {
    pub(super) up: usize,
    /// Being made, and worth waiting for: the first time, and after one broke.
    pub(super) hopeful: usize,
    /// Why there is none.
    why: LookupError,
}

/// How one connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Hopeful,
    Up,
    Down,
}

impl Links {
    /// So many that are being made; `why` is said when none comes about and says no reason of its own.
    pub(super) fn new(connections: usize, why: LookupError) -> Self {
        Links(watch::Sender::new(States {
            up: 0,
            hopeful: connections,
            why,
        }))
    }

    /// Why there is nothing to wait for, if there is not.
    pub(super) fn hopeless(&self) -> Option<LookupError> {
        let states = self.0.borrow();
        (states.up + states.hopeful == 0).then(|| states.why.clone())
    }

    /// A connection is another now than it was.
    pub(super) fn moved(&self, was: &mut Link, is: Link) {
        self.0.send_modify(|states| {
            for (link, change) in [(*was, -1), (is, 1)] {
                let count = match link {
                    Link::Hopeful => &mut states.hopeful,
                    Link::Up => &mut states.up,
                    Link::Down => continue,
                };
                *count = count.saturating_add_signed(change);
            }
        });
        *was = is;
    }

    /// A connection can't be made; whether none is left to hope for.
    pub(super) fn failed(&self, was: &mut Link, why: &LookupError) -> bool {
        self.0.send_modify(|states| states.why = why.clone());
        self.moved(was, Link::Down);
        self.hopeless().is_some()
    }

    /// Their states and their changes, for tests to wait on.
    #[cfg(test)]
    pub(super) fn watch(&self) -> watch::Receiver<States> {
        self.0.subscribe()
    }
}
