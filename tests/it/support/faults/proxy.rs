//! The listening socket of a proxy, and its connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until};
use tributary::random::Random;

use super::pump::{Broken, Pump};
use super::toxic::{Conditions, Direction};
use crate::support::free_port;

/// A proxy to one store. It ends when dropped.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    conditions: watch::Sender<Arc<Conditions>>,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts one to `store`, as a task of this thread.
    pub(crate) async fn start(store: SocketAddr, seed: u64) -> Self {
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await {
                Ok(listener) => break listener,
                // Another process may have taken the port meanwhile.
                Err(err) => assert!(tries < 5, "no free port: {err}"),
            }
            tries += 1;
        };
        let addr = listener.local_addr().expect("it is bound");
        let (conditions, changes) = watch::channel(Arc::new(Conditions::fair()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let front = Front {
            addr,
            store,
            random: Random::seeded(seed),
            accepted: Arc::clone(&accepted),
        };
        spawn_local(front.run(listener, changes));
        Proxy {
            addr,
            conditions,
            accepted,
        }
    }

    /// From now on, these conditions hold for all connections.
    pub(crate) fn set(&self, conditions: Conditions) {
        self.conditions.send_replace(Arc::new(conditions));
    }

    /// How many connections were made so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

struct Front {
    addr: SocketAddr,
    store: SocketAddr,
    random: Random,
    accepted: Arc<AtomicUsize>,
}

impl Front {
    async fn run(mut self, first: TcpListener, mut changes: watch::Receiver<Arc<Conditions>>) {
        let mut listener = Some(first);
        let open = watch::Sender::new(true);
        loop {
            let (is_open, until) = changes.borrow_and_update().open();
            open.send_replace(is_open);
            if !is_open {
                listener = None;
            } else if listener.is_none() {
                listener = Some(self.bind_again().await);
            }
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                accepted = accept(listener.as_ref()) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    let random = Random::seeded(self.random.draw());
                    spawn_local(link(accepted, self.store, changes.clone(), open.subscribe(), random));
                }
            }
        }
    }

    async fn bind_again(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => return listener,
                Err(_taken) => sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

/// One connection, from the server's to the store's.
async fn link(
    mut server: TcpStream,
    store: SocketAddr,
    conditions: watch::Receiver<Arc<Conditions>>,
    mut open: watch::Receiver<bool>,
    mut random: Random,
) {
    let Ok(mut store) = TcpStream::connect(store).await else {
        return reset(&server);
    };
    for stream in [&server, &store] {
        // A connection that has been reset already is noticed when it is read.
        let _ended = stream.set_nodelay(true);
    }
    let ends = {
        let (from_server, to_server) = server.split();
        let (from_store, to_store) = store.split();
        let mut pump = |direction| (direction, Random::seeded(random.draw()));
        let (up, down) = (pump(Direction::Upstream), pump(Direction::Downstream));
        let up = Pump::new(from_server, to_store, up.0, up.1).run(conditions.clone());
        let down = Pump::new(from_store, to_server, down.0, down.1).run(conditions);
        tokio::select! {
            ends = async { tokio::try_join!(up, down) } => ends.map(drop),
            _gone = open.wait_for(|open| !open) => Err(Broken::Reset),
        }
    };
    if ends == Err(Broken::Reset) {
        reset(&server);
        reset(&store);
    }
}

/// Makes the end of this socket a reset.
fn reset(stream: &TcpStream) {
    let _ended = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
