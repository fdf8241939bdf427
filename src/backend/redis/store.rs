//! Holds the connections of one loop to a Redis, and uses them in turn.

use std::cell::Cell;

use super::batch::Spare;
use super::cluster::Cluster;
use super::connection::Connection;
use super::sentinel::Replicas;
use super::tracking::Tracking;

/// One loop's connections to a Redis.
pub struct Redis {
    /// To one server, or to the master. Empty for a cluster, which has its own.
    pub(super) connections: Vec<Connection>,
    /// The connection to use next.
    pub(super) turn: Cell<usize>,
    /// Replicas, asked before the master if they are configured.
    pub(super) replicas: Option<Replicas>,
    pub(super) cluster: Option<Cluster>,
    /// Hears which keys have changed, if answers are kept until then.
    pub(super) tracking: Option<Tracking>,
    /// The buffers of earlier batches, to be reused.
    pub(super) spare: Spare,
}

impl Redis {
    /// The connection to use: the next one that is up.
    pub(super) fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.get() % count;
        self.turn.set(turn + 1);
        let mut from_turn = (0..count).map(|step| &self.connections[(turn + step) % count]);
        from_turn
            .find(|connection| connection.is_up())
            .unwrap_or(&self.connections[turn])
    }
}
