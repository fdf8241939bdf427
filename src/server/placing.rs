//! Brings accepted connections to the loops: the only loop accepts them itself, several get them from a thread.

use std::io;

use tokio::runtime::LocalRuntime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::acceptor::Acceptor;
use super::incoming::{Detached, Stream};
use super::shares::Place;

/// Where the connections of a loop come from.
pub(super) enum Incoming {
    /// The only loop accepts them itself.
    Own(Acceptor),
    /// The thread that accepts sends them, and ends the channel after the last one. Their places bound its length.
    Placed(UnboundedReceiver<Placed>),
}

/// A connection that is placed on a loop.
pub(super) struct Placed {
    /// The index of its listener.
    listener: usize,
    stream: Detached,
    place: Place,
}

/// Accepts for several loops, on a thread of its own.
pub(super) struct Placing {
    acceptor: Acceptor,
    loops: Vec<UnboundedSender<Placed>>,
}

/// What brings the connections of `acceptor` to that many loops.
pub(super) fn bring(acceptor: Acceptor, loops: usize) -> (Vec<Incoming>, Option<Placing>) {
    if loops == 1 {
        return (vec![Incoming::Own(acceptor)], None);
    }
    let channels = (0..loops).map(|_| unbounded_channel());
    let (loops, incoming): (Vec<_>, Vec<_>) = channels.unzip();
    let incoming = incoming.into_iter().map(Incoming::Placed).collect();
    (incoming, Some(Placing { acceptor, loops }))
}

impl Incoming {
    /// Opens each connection, given with the index of its listener, until no more can come.
    pub(super) async fn open_all(self, open: impl Fn(usize, Stream, Place)) -> io::Result<()> {
        let mut placed = match self {
            Incoming::Own(acceptor) => return acceptor.run(open).await,
            Incoming::Placed(placed) => placed,
        };
        while let Some(next) = placed.recv().await {
            // If the kernel has no memory to watch it, it is closed.
            if let Ok(stream) = next.stream.attach() {
                open(next.listener, stream, next.place);
            }
        }
        Ok(())
    }
}

impl Placing {
    /// Accepts until the shutdown.
    pub(super) fn run(self, runtime: &LocalRuntime) -> io::Result<()> {
        let Placing { acceptor, loops } = self;
        runtime.block_on(acceptor.run(|listener, stream, place| {
            let at = place.at();
            if let Ok(stream) = stream.detach() {
                // A loop that has ended takes no more: the connection is closed.
                let _sent = loops[at].send(Placed {
                    listener,
                    stream,
                    place,
                });
            }
        }))
    }
}
