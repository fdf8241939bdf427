//! A connection beyond those that a pool always keeps: opened while questions wait, and closed when it is not needed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::availability::Availability;
use super::pace::Pace;
use super::pool_sizes::unused;

/// Whether the connection is open, and when it was needed.
pub(in crate::backend) struct Extra {
    availability: Rc<Availability<()>>,
    is_closed: Cell<bool>,
    used_at: Cell<Instant>,
    idle_max: Duration,
}

impl Extra {
    /// A closed one, which once open stays so for `idle_max` after it was last needed.
    pub(super) fn new(idle_max: Duration, pace: &Rc<Pace>) -> Rc<Self> {
        Rc::new(Extra {
            availability: Rc::new(Availability::paced(pace)),
            is_closed: Cell::new(true),
            used_at: Cell::new(Instant::now()),
            idle_max,
        })
    }

    /// It is going to be opened. Returns what its keeper reports to.
    pub(super) fn open(&self) -> Rc<Availability<()>> {
        self.used();
        self.is_closed.set(false);
        Rc::clone(&self.availability)
    }

    /// It is needed now.
    pub(in crate::backend) fn used(&self) {
        self.used_at.set(Instant::now());
    }

    /// It is closed until it is opened again, with another keeper.
    pub(in crate::backend) fn close(&self) {
        self.is_closed.set(true);
        self.availability.lost(|()| true);
    }

    pub(in crate::backend) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    pub(super) fn is_up(&self) -> bool {
        !self.is_closed() && self.availability.is_up()
    }

    /// Whether it has not been needed for long.
    pub(in crate::backend) fn is_unneeded(&self) -> bool {
        self.used_at.get().elapsed() >= self.idle_max
    }

    /// Ends when it has not been needed for long.
    pub(in crate::backend) async fn unneeded(&self) {
        unused(self.idle_max, || (self.used_at.get(), false)).await;
    }
}
