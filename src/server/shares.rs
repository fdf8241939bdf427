//! Shares the connections of a server among its loops: each goes to the loop that has the fewest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The open connections of every loop, and how many each may have. Only one thread places connections, so that the numbers
/// only fall while it chooses.
pub(super) struct Shares {
    /// The connections of each loop, by listener.
    loops: Vec<Box<[AtomicUsize]>>,
    /// The most of a loop, for all its listeners together.
    loop_max: usize,
    /// The most of a loop, by listener.
    listener_max: Vec<usize>,
    /// The loop that comes first among equals.
    turn: AtomicUsize,
}

/// A connection's place on a loop, which is free again once this is dropped.
pub(super) struct Place {
    shares: Arc<Shares>,
    at: usize,
    listener: usize,
}

impl Shares {
    /// For `loops` loops, each of which may have `loop_max` connections, and as many of each listener as
    /// `listener_max` says.
    pub(super) fn new(loops: usize, loop_max: usize, listener_max: Vec<usize>) -> Arc<Self> {
        let of_loop = || listener_max.iter().map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Shares {
            loops: (0..loops).map(|_| of_loop()).collect(),
            loop_max,
            listener_max,
            turn: AtomicUsize::new(0),
        })
    }

    /// The most connections of a loop.
    pub(super) fn loop_max(&self) -> usize {
        self.loop_max
    }

    /// A place for another connection of a listener, on the loop with the fewest connections. `Err`: every loop has reached
    /// this limit.
    pub(super) fn place(self: &Arc<Self>, listener: usize) -> Result<Place, usize> {
        let listener_max = self.listener_max[listener];
        let count = self.loops.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        let from_turn = (0..count).map(|step| (turn + step) % count);
        let has_room = |at: &usize| {
            let of_listener = self.loops[*at][listener].load(Ordering::Relaxed);
            of_listener < listener_max && self.open_on(*at) < self.loop_max
        };
        let least = from_turn
            .filter(has_room)
            .min_by_key(|at| self.open_on(*at));
        let at = least.ok_or(self.loop_max.min(listener_max))?;
        self.loops[at][listener].fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            shares: Arc::clone(self),
            at,
            listener,
        })
    }

    /// The open connections of all loops.
    pub(super) fn open(&self) -> usize {
        (0..self.loops.len()).map(|at| self.open_on(at)).sum()
    }

    fn open_on(&self, at: usize) -> usize {
        let listeners = self.loops[at].iter();
        listeners.map(|open| open.load(Ordering::Relaxed)).sum()
    }
}

impl Place {
    /// The index of the loop.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.loops[self.at][self.listener].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_goes_to_the_loop_with_the_fewest() {
        let shares = Shares::new(4, 100, vec![100]);
        let place = || shares.place(0).expect("there is room");
        let mut places: Vec<Place> = (0..8).map(|_| place()).collect();
        let mut loops: Vec<usize> = places.iter().map(Place::at).collect();
        loops.sort_unstable();
        assert_eq!(loops, [0, 0, 1, 1, 2, 2, 3, 3]);
        places.retain(|place| place.at() != 2);
        assert_eq!([place(), place()].map(|place| place.at()), [2, 2]);
        assert_eq!(shares.open(), 6);
    }

    #[test]
    fn a_loop_gets_no_more_than_its_limits() {
        let shares = Shares::new(2, 3, vec![3, 1]);
        let second: Vec<Place> = (0..2).map_while(|_| shares.place(1).ok()).collect();
        assert_eq!(second.len(), 2);
        assert_eq!(shares.place(1).err(), Some(1), "of this listener");
        let first: Vec<Place> = (0..5).map_while(|_| shares.place(0).ok()).collect();
        assert_eq!(first.len(), 4);
        assert_eq!(shares.place(0).err(), Some(3), "of all listeners");
        drop(first);
        assert!(shares.place(0).is_ok());
    }

    /// The loop with the fewest connections may have the most of one listener.
    #[test]
    fn a_connection_goes_to_a_loop_that_has_room_for_it() {
        let shares = Shares::new(2, 9, vec![9, 1]);
        let special = shares.place(1).expect("there is room");
        let others: Vec<Place> = (0..7).map_while(|_| shares.place(0).ok()).collect();
        let other_loop = 1 - special.at();
        let of_others = others.iter().filter(|place| place.at() == other_loop);
        assert_eq!(of_others.count(), 4, "as many as the other loop has in all");
        assert_eq!(shares.place(1).map(|place| place.at()), Ok(other_loop));
    }
}
