//! What can be wrong between a server and a store.

use std::time::Duration;

use tokio::time::Instant;

/// A fault of the bytes in one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Toxic {
    /// Delays all bytes by `latency`, plus or minus `jitter`.
    Latency { latency: Duration, jitter: Duration },
    /// Lets through so many kilobytes a second.
    Bandwidth { rate: u32 },
    /// Passes on the end of the connection that much later.
    SlowClose { delay: Duration },
    /// Lets no byte through, and closes the connection after this time; zero: never.
    Timeout { timeout: Duration },
    /// Resets the connection after this time.
    ResetPeer { timeout: Duration },
    /// Cuts the bytes into slices of about this size, with a pause after each.
    Slicer {
        average_size: usize,
        size_variation: usize,
        delay: Duration,
    },
    /// Closes the connection after so many bytes.
    LimitData { bytes: usize },
    /// Lets no byte through until it is taken away, and loses none: a network that is interrupted.
    Hold,
    /// Overwrites a run of so many bytes in this share of the chunks. A run is longer than a sequence id or a number, so
    /// that no damage turns one of them into another that is in use.
    Corrupt { run: usize, share: f64 },
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the server to the store.
    Upstream,
    /// From the store to the server.
    Downstream,
}

/// Whether the store can be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reach {
    Open,
    /// Connections are refused, and open ones are reset.
    Refused,
    /// Refused for the second time, then open for the first, and so on.
    Flapping {
        up: Duration,
        down: Duration,
    },
}

/// All that is wrong with a proxy at a time.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) reach: Reach,
    /// Each with its direction, and the share of connections that it acts on.
    pub(crate) toxics: Vec<(Direction, f64, Toxic)>,
    /// Since when.
    pub(crate) since: Instant,
}

impl Conditions {
    /// Nothing is wrong.
    pub(crate) fn fair() -> Self {
        Conditions::reach(Reach::Open)
    }

    pub(crate) fn reach(reach: Reach) -> Self {
        Conditions {
            reach,
            toxics: Vec::new(),
            since: Instant::now(),
        }
    }

    /// One toxic on all connections, on the way from the store unless it is told otherwise, as Toxiproxy does.
    pub(crate) fn toxic(toxic: Toxic) -> Self {
        Conditions {
            toxics: vec![(Direction::Downstream, 1.0, toxic)],
            ..Conditions::fair()
        }
    }

    pub(crate) fn and(mut self, direction: Direction, toxicity: f64, toxic: Toxic) -> Self {
        self.toxics.push((direction, toxicity, toxic));
        self
    }

    /// Whether the store can be reached now, and when that changes by itself.
    pub(super) fn open(&self) -> (bool, Option<Instant>) {
        match self.reach {
            Reach::Open => (true, None),
            Reach::Refused => (false, None),
            Reach::Flapping { up, down } => {
                let mut at = self.since;
                let (mut open, now) = (false, Instant::now());
                loop {
                    at += if open { up } else { down };
                    if at > now {
                        return (open, Some(at));
                    }
                    open = !open;
                }
            }
        }
    }
}
