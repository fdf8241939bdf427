//! Counts the open connections of the port, and chooses the one that makes room for another.
//!
//! Anyone who reaches the port can open connections, so those without a whole request never keep a probe out: at the limit
//! the one that has been asking longest is closed. One that is being answered goes only if none is asking. Those that hear
//! events and those for which a call is made stay: they have limits of their own, which together are below this one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::events;
use super::trial;
use crate::log_limit::LogLimit;

/// At the limit, another connection takes the place of one of these.
pub(super) const CONNECTIONS_MAX: usize = 16;

const _: () = assert!(events::CLIENTS_MAX + trial::CALLS_MAX < CONNECTIONS_MAX);

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its request is not whole.
    Asking,
    /// Its response is made or written.
    Answering,
    /// It hears events, or a call is made for it.
    Held,
}

/// The open connections, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: RefCell<Vec<Open>>,
    log: LogLimit<()>,
}

#[derive(Debug)]
struct Open {
    stage: Rc<Cell<Stage>>,
    end: CancellationToken,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Rc<Connections>,
    pub(super) stage: Rc<Cell<Stage>>,
    /// Cancelled if the connection has to make room.
    pub(super) end: CancellationToken,
}

impl Connections {
    /// The place of another connection. At the limit, one makes room.
    pub(super) fn admit(self: &Rc<Self>) -> Place {
        let islast = self.open.borrow().len() >= CONNECTIONS_MAX;
        if islast && (self.close(Stage::Asking) || self.close(Stage::Answering)) {
            self.say("too many connections to the admin port: another one takes their place");
        }
        let place = Place {
            of: Rc::clone(self),
            stage: Rc::new(Cell::new(Stage::Asking)),
            end: CancellationToken::new(),
        };
        self.open.borrow_mut().push(Open {
            stage: Rc::clone(&place.stage),
            end: place.end.clone(),
        });
        place
    }

    /// Closes the connection that has been asking longest, for its descriptor.
    pub(super) fn free_descriptor(&self) {
        if self.close(Stage::Asking) {
            self.say(
                "no descriptors are left: unfinished connections to the admin port are closed",
            );
        }
    }

    /// Closes the oldest connection at this stage, if there is one.
    fn close(&self, stage: Stage) -> bool {
        let mut open = self.open.borrow_mut();
        let Some(at) = open.iter().position(|of| of.stage.get() == stage) else {
            return false;
        };
        open.remove(at).end.cancel();
        true
    }

    fn say(&self, what: &'static str) {
        if let Some(suppressed) = self.log.allow(()) {
            warn!(connections_max = CONNECTIONS_MAX, suppressed, "{what}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.of.open.borrow_mut();
        open.retain(|of| !Rc::ptr_eq(&of.stage, &self.stage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_connection_that_asks_longest_makes_room() {
        let connections = Rc::new(Connections::default());
        let places: Vec<Place> = (0..CONNECTIONS_MAX).map(|_| connections.admit()).collect();
        let ended = || {
            let places = places.iter().enumerate();
            let ended = places.filter(|(_, place)| place.end.is_cancelled());
            ended.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        assert_eq!(ended(), [0; 0]);
        places[0].stage.set(Stage::Held);
        places[1].stage.set(Stage::Answering);
        drop(connections.admit());
        assert_eq!(ended(), [2], "the oldest that asks");
        let _kept = connections.admit();
        assert_eq!(ended(), [2], "there was room");
        for place in &places {
            place.stage.set(Stage::Answering);
        }
        places[1].stage.set(Stage::Held);
        drop(connections.admit());
        assert_eq!(ended(), [2], "the one that came last was asking");
        let after = connections.admit();
        let last = connections.admit();
        last.stage.set(Stage::Held);
        after.stage.set(Stage::Held);
        drop(connections.admit());
        assert_eq!(ended(), [0, 2], "none asks");
        connections.free_descriptor();
        assert_eq!(
            ended(),
            [0, 2],
            "an answer is not given up for a descriptor"
        );
    }
}
