//! Scripted stores in memory, each behind the faults of a proxy.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::pump::Pump;
use super::toxic::{Conditions, Direction};
use crate::backend::net::simulated;
use crate::random::Random;

/// As much as a socket's buffers hold.
const BUFFERED: usize = 64 * 1024;

pub(super) type Speaks = fn(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize;

/// The way to one store.
pub(super) struct Way {
    conditions: watch::Sender<Arc<Conditions>>,
    /// How often clients have tried to connect.
    attempts: Rc<Cell<usize>>,
}

impl Way {
    /// A store called `name`, which clients reach at [`path`].
    pub(super) fn new(name: &'static str, speak: Speaks, random: Random) -> Self {
        let sender = watch::Sender::new(Arc::new(Conditions::fair()));
        let conditions = sender.clone();
        let random = Rc::new(RefCell::new(random));
        let attempts = Rc::new(Cell::new(0));
        let counted = Rc::clone(&attempts);
        simulated::serve(&path(name), move || {
            counted.set(counted.get() + 1);
            if !conditions.borrow().open().0 {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (client, near) = duplex(BUFFERED);
            let (far, store) = duplex(BUFFERED);
            let pump = || Random::seeded(random.borrow_mut().draw());
            let randoms = [pump(), pump()];
            spawn_local(link([near, far], conditions.subscribe(), randoms));
            spawn_local(async move {
                // The client may break the connection at any time.
                let _broken = serve(store, name, speak).await;
            });
            Ok(client)
        });
        Way {
            conditions: sender,
            attempts,
        }
    }

    pub(super) fn set(&self, conditions: Conditions) {
        self.conditions.send_replace(Arc::new(conditions));
    }

    pub(super) fn attempts(&self) -> usize {
        self.attempts.get()
    }
}

pub(super) fn path(name: &str) -> String {
    format!("/simulated/{name}")
}

/// Carries bytes both ways until one end closes, or the store can't be reached any more.
async fn link(
    [near, far]: [DuplexStream; 2],
    mut conditions: watch::Receiver<Arc<Conditions>>,
    [up, down]: [Random; 2],
) {
    let ((from_client, to_client), (from_store, to_store)) = (split(near), split(far));
    let up = Pump::new(from_client, to_store, Direction::Upstream, up);
    let down = Pump::new(from_store, to_client, Direction::Downstream, down);
    let (up, down) = (up.run(conditions.clone()), down.run(conditions.clone()));
    tokio::select! {
        biased;
        _gone = conditions.wait_for(|now| !now.open().0) => {}
        _ends = async { tokio::try_join!(up, down) } => {}
    }
}

async fn serve(mut stream: DuplexStream, name: &str, speak: Speaks) -> io::Result<()> {
    let (mut received, mut out) = (BytesMut::new(), Vec::new());
    while stream.read_buf(&mut received).await? > 0 {
        out.clear();
        speak(name, &mut received, &mut out);
        stream.write_all(&out).await?;
    }
    Ok(())
}
