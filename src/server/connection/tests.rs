//! When a connection is read: it takes turns with others, and rests after calls were refused because the loop has too much to do.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex, sink, split,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::exchange::Exchange;
use crate::backend::closure::{Closure, Input};
use crate::config::LimitsConfig;
use crate::metrics::{Beat, LoopMetrics};
use crate::program::{Registry, check};
use crate::random::Random;
use crate::server::client::Client;
use crate::server::reload::Served;
use crate::server::state::{ListenerSettings, WorkerState};
use crate::service::{Current, MemoryPool, Overload, Service};
use crate::thrift::WireFormats;

const IDL: &str = "
struct Reply { 1: optional i32 value }
service S { Reply get(1: i32 n), Reply slow(1: i32 n), Reply short(1: i32 n) }
";
const CONFIG: &str = r#"
[server]
idl = "s.thrift"
listen = "127.0.0.1:0"
workers = 1
[views.get.lookups]
value = { use = "same", with = { n = "n" } }
[views.slow.lookups]
value = { use = "slow", with = { n = "n" } }
[views.short]
deadline = "50ms"
[views.short.lookups]
value = { use = "same", with = { n = "n" } }
"#;
const MS: Duration = Duration::from_millis(1);
/// How long `slow` takes.
const SLOW: Duration = Duration::from_millis(20);
/// Messages that bring no end.
const MANY: usize = 100 * AT_ONCE;
/// So many come with one read: more than a turn.
const AT_ONCE: usize = 33;

async fn worker() -> Rc<WorkerState> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("s.toml");
    std::fs::write(folder.path().join("s.thrift"), IDL).expect("the folder is ours");
    std::fs::write(&path, CONFIG).expect("the folder is ours");
    let same = |input: Input| async move { Ok(input.get("n").clone()) };
    let slow = |input: Input| async move {
        sleep(SLOW).await;
        Ok(input.get("n").clone())
    };
    let registry: Registry = vec![
        (Arc::from("same"), Closure::new(&["n"], same)),
        (Arc::from("slow"), Closure::new(&["n"], slow)),
    ];
    let program = check(&path.to_string_lossy(), &registry);
    let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
    let (program, metrics) = (Arc::new(program), LoopMetrics::unscraped());
    let (limits, random) = (program.limits, Random::seeded(1));
    let service = Service::open(Arc::clone(&program), limits, random, &metrics, None).await;
    Rc::new(WorkerState {
        current: Current::new(service),
        shutdown: CancellationToken::new(),
        stopping: CancellationToken::new(),
        drain_is_over: CancellationToken::new(),
        memory_pool: MemoryPool::new(&limits, &metrics),
        metrics,
        overload: Rc::new(Overload::default()),
        connections_max: 10,
        handshakes: Semaphore::new(1),
        programs: watch::channel(Served::new(program)).1,
        disconnect_log: <_>::default(),
        random: RefCell::new(Random::seeded(1)),
    })
}

fn exchange(worker: &WorkerState) -> Exchange {
    let settings = ListenerSettings {
        listener: "test".to_owned(),
        limits: LimitsConfig::default(),
        wire_formats: WireFormats::default(),
        takes_tokens: false,
        meta: false,
        service: None,
    };
    let client = Client {
        names: Vec::new(),
        memory: worker.memory_pool.connection(),
    };
    Exchange::new(client, &settings, worker)
}

/// The client's end of a connection that is served.
fn connect(worker: &Rc<WorkerState>) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    let (worker, exchange) = (Rc::clone(worker), exchange(worker));
    spawn_local(async move {
        let (reader, writer) = split(server);
        drop(exchange.run(reader, writer, &worker).await);
    });
    client
}

/// A framed call in strict binary.
fn call(method: &str, seqid: u8) -> Vec<u8> {
    let name = u8::try_from(method.len()).expect("a short name");
    let message = [
        &[0x80, 1, 0, 1, 0, 0, 0, name],
        method.as_bytes(),
        &[0, 0, 0, seqid, 8, 0, 1, 0, 0, 0, 7, 0],
    ];
    let message = message.concat();
    let len = u8::try_from(message.len()).expect("a short message");
    [&[0, 0, 0, len], &*message].concat()
}

/// Whether the next reply is a result, and no refusal.
async fn is_served(client: &mut DuplexStream) -> bool {
    let len = client.read_u32().await.expect("a reply");
    let mut reply = vec![0; usize::try_from(len).expect("it fits")];
    client.read_exact(&mut reply).await.expect("a whole reply");
    let refused = String::from_utf8_lossy(&reply).contains("server.overloaded");
    assert_eq!(reply[3] == 2, !refused, "{reply:?}");
    !refused
}

/// Has the loop beat late until it admits so small a share of calls.
fn overload(worker: &WorkerState, beats: usize) {
    for _ in 0..beats {
        worker.overload.beat(&late_beat());
    }
}

fn late_beat() -> Beat {
    Beat {
        late: 100 * MS,
        elapsed: 150 * MS,
        busy: 1.0,
        is_busy: true,
        kept_waiting: Duration::ZERO,
        next: Instant::now() + Duration::from_hours(1),
    }
}

/// Sends calls without end, some with each read, and waits once all are read.
struct Endless {
    left: usize,
    reads: Rc<Cell<usize>>,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= AT_ONCE;
        self.reads.set(self.reads.get() + 1);
        buffer.put_slice(&call("get", 1).repeat(AT_ONCE));
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_client_that_always_sends_leaves_others_their_turns() {
    let worker = worker().await;
    let reads = Rc::new(Cell::new(0));
    let endless = Endless {
        left: MANY,
        reads: Rc::clone(&reads),
    };
    let exchange = exchange(&worker);
    let serving = spawn_local(async move {
        drop(exchange.run(endless, sink(), &worker).await);
    });
    let (mut before, mut most) = (0, 0);
    while reads.get() < MANY / AT_ONCE {
        yield_now().await;
        most = most.max(reads.get() - before);
        before = reads.get();
    }
    assert!(most <= 2, "{most} reads without a turn for others");
    serving.abort();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_connection_rests_after_refusals_and_is_read_again() {
    let worker = worker().await;
    overload(&worker, 30);
    for (method, usual) in [("get", 60 * MS), ("short", 50 * MS / 8)] {
        let mut client = connect(&worker);
        let begun = Instant::now();
        client
            .write_all(&call(method, 1).repeat(8))
            .await
            .expect("it is read");
        for _ in 0..8 {
            assert!(!is_served(&mut client).await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "refusals come at once");
        client
            .write_all(&call(method, 2).repeat(8))
            .await
            .expect("there is room");
        is_served(&mut client).await;
        let rested = begun.elapsed();
        let spread = usual.mul_f64(0.69)..usual.mul_f64(1.31) + MS;
        assert!(spread.contains(&rested), "{method}: {rested:?}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_rest_delays_no_call_that_was_admitted() {
    let worker = worker().await;
    overload(&worker, 4);
    let mut client = connect(&worker);
    let begun = Instant::now();
    client
        .write_all(&call("slow", 1).repeat(4))
        .await
        .expect("it is read");
    let mut served = 0;
    for _ in 0..4 {
        served += usize::from(is_served(&mut client).await);
    }
    assert!((1..4).contains(&served), "{served}");
    assert!(
        (SLOW..SLOW + 2 * MS).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_refusals_a_connection_does_not_rest() {
    let worker = worker().await;
    let mut client = connect(&worker);
    let begun = Instant::now();
    for _ in 0..3 {
        client
            .write_all(&call("get", 1).repeat(8))
            .await
            .expect("it is read");
        for _ in 0..8 {
            assert!(is_served(&mut client).await);
        }
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// Sends more calls than can be read at once.
struct Flood {
    sent: usize,
    reads: Rc<Cell<usize>>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let message = call("get", 1);
        while buffer.remaining() > 0 {
            buffer.put_slice(&[message[self.sent % message.len()]]);
            self.sent += 1;
        }
        self.reads.set(self.reads.get() + 1);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_connection_that_sends_faster_than_it_is_read_rests_once_many_calls_were_refused() {
    let worker = worker().await;
    overload(&worker, 30);
    let of_loop = Rc::clone(&worker.overload);
    let reads = Rc::new(Cell::new(0));
    let flood = Flood {
        sent: 0,
        reads: Rc::clone(&reads),
    };
    let exchange = exchange(&worker);
    let serving = spawn_local(async move {
        drop(exchange.run(flood, sink(), &worker).await);
    });
    while !of_loop.has_refused_many() {
        assert!(!serving.is_finished());
        yield_now().await;
    }
    let before = reads.get();
    assert!(before > 1, "it is read though it was told to rest");
    sleep(MS).await;
    assert!(reads.get() - before <= 1, "it rests");
    let rested = reads.get();
    of_loop.beat(&late_beat());
    sleep(100 * MS).await;
    assert!(reads.get() > rested, "it is read again");
    serving.abort();
}

/// Counts writes.
struct Writes(Rc<Cell<usize>>);

impl tokio::io::AsyncWrite for Writes {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.set(self.0.get() + 1);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn refusals_and_replies_from_memory_are_written_together() {
    let worker = worker().await;
    overload(&worker, 8);
    let (writes, reads) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let once = Endless {
        left: AT_ONCE,
        reads: Rc::clone(&reads),
    };
    let (exchange, writer) = (exchange(&worker), Writes(Rc::clone(&writes)));
    let (in_flight, counted) = (Rc::clone(&worker), Rc::clone(&worker));
    let serving = spawn_local(async move {
        drop(exchange.run(once, writer, &in_flight).await);
    });
    while reads.get() == 0 || writes.get() == 0 {
        yield_now().await;
    }
    for _ in 0..4 {
        yield_now().await;
    }
    assert!(counted.overload.is_limiting());
    assert_eq!(writes.get(), 1);
    serving.abort();
}
