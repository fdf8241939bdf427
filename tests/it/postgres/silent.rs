//! Sessions that are open and say nothing any more, as after a firewall has forgotten their connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tributary::backend::{Backend as _, Cancelled};
use tributary::value::Value;

use super::{Lookup, Store};
use crate::support::Postgres;

const VALUE: &str = "rows = \"value\"";
/// The server's own limits are far away.
const LONG: Duration = Duration::from_secs(20);

/// Passes connections on to the server, and loses the answers of some.
struct Relay {
    port: u16,
    /// Those that were made so far; whether their answers are lost.
    connections: Rc<RefCell<Vec<Rc<Cell<bool>>>>>,
    /// An answer was lost.
    lost: Rc<Notify>,
}

impl Relay {
    async fn start(server: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let relay = Relay {
            port: listener.local_addr().expect("it is bound").port(),
            connections: Rc::default(),
            lost: Rc::default(),
        };
        let (connections, lost) = (Rc::clone(&relay.connections), Rc::clone(&relay.lost));
        let to = server.port;
        drop(spawn_local(async move {
            while let Ok((near, _)) = listener.accept().await {
                let is_mute = Rc::new(Cell::new(false));
                connections.borrow_mut().push(Rc::clone(&is_mute));
                let lost = Rc::clone(&lost);
                drop(spawn_local(async move {
                    let far = TcpStream::connect(("127.0.0.1", to)).await;
                    carry(near, far.expect("it runs"), &is_mute, &lost).await;
                }));
            }
        }));
        relay
    }

    fn url(&self, server: &Postgres) -> String {
        let port = self.port.to_string();
        server.url().replace(&server.port.to_string(), &port)
    }

    /// From now on, the answers of these connections are lost.
    fn mute(&self, connections: std::ops::Range<usize>) {
        for is_mute in &self.connections.borrow()[connections] {
            is_mute.set(true);
        }
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, is_mute: &Cell<bool>, lost: &Notify) {
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    let answers = async {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from_far.read(&mut buffer).await {
            if is_mute.get() {
                lost.notify_one();
            } else if to_near.write_all(&buffer[..len]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ended = copy(&mut from_near, &mut to_far) => {}
        () = answers => {}
    }
}

/// Asks until an answer is lost, and gives that question up.
async fn meets_silence(store: &Store, relay: &Relay, pid: &Lookup) {
    let answered = async {
        loop {
            store.ask(pid, &[]).await.expect("an answer");
        }
    };
    tokio::select! {
        () = answered => {}
        () = relay.lost.notified() => {}
    }
    let sent = || {
        store.backend.cancels().expect("it makes requests").counts()[Cancelled::Sent as usize]
            .load(Ordering::Relaxed)
    };
    while sent() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "local")]
async fn nothing_is_sent_over_a_session_that_has_not_answered_since_its_statement_was_stopped() {
    let server = Postgres::shared();
    let relay = Relay::start(&server).await;
    let keys = "connections = 2\nconnections_min = 2\nstatement_timeout = \"10m\"";
    let store = Store::new(&relay.url(&server), keys).await;
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let ask = async || store.ask(&pid, &[]).await.expect("an answer");
    while ask().await == ask().await {}
    relay.mute(0..1);
    meets_silence(&store, &relay, &pid).await;
    let mut pids = Vec::new();
    for _ in 0..10 {
        pids.push(
            timeout(LONG, ask())
                .await
                .expect("the other session answers"),
        );
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "{pids:?}");
}

#[tokio::test(flavor = "local")]
async fn a_session_that_does_not_answer_after_its_statement_was_stopped_is_replaced() {
    let server = Postgres::shared();
    let relay = Relay::start(&server).await;
    let keys = "connections = 1\nstatement_timeout = \"200ms\"";
    let store = Store::new(&relay.url(&server), keys).await;
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let before = store.ask(&pid, &[]).await.expect("an answer");
    relay.mute(0..1);
    meets_silence(&store, &relay, &pid).await;
    let after = timeout(LONG, store.ask(&pid, &[])).await;
    let after = after.expect("one question is enough").expect("an answer");
    assert_ne!(after, before);
    assert!(matches!(after, Value::I64(_)), "{after:?}");
}
