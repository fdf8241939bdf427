//! The service: Redis holds a text for each nonce, closures return nonces.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tributary::backend::{LookupError, closure::Input};
use tributary::idl::Schema;
use tributary::server::{Address, Running, Server};
use tributary::value::Value;

use crate::support::{Authority, Redis, TlsClient, Wire};

/// The kinds of listeners.
pub(super) const PLACES: [&str; 3] = ["tcp", "unix", "tls"];

const IDL: &str = "
struct Both { 1: i64 nonce, 2: string stored, 3: string late }
exception Refused { 1: i64 nonce }
service Nonces {
  i64 now(1: i64 nonce)
  i64 later(1: i64 nonce)
  string stored(1: i64 nonce)
  list<string> several(1: list<i64> nonces)
  Both both(1: i64 nonce)
  i64 refuse(1: i64 nonce) throws (1: Refused refused)
  i64 unknown(1: i64 nonce)
  oneway void tell(1: i64 nonce)
}
";

const CONFIG: &str = r#"
[server]
idl = "nonces.thrift"
listen = "127.0.0.1:0"
workers = 2
unserved = ["unknown"]
# No connection waits between its calls, so a slow build has more to do than it can.
overload = { mode = "off" }

[[server.listeners]]
listen = "unix://socket"

[[server.listeners]]
listen = "127.0.0.1:0"
tls = { certificate = "server.pem", key = "server.key" }

[backends.store]
kind = "redis"
url = "redis://REDIS"

[lookups.stored]
backend = "store"
get = "nonce:{nonce}"
timeout = "60s"

[views.now]
deadline = "60s"
lookups = { nonce = "give" }

[views.later]
deadline = "60s"
lookups = { nonce = "wait" }

[views.stored]
deadline = "60s"
lookups = { stored = { required = true } }

[views.several]
deadline = "60s"
lookups = { stored = { foreach = "nonces", with = { nonce = "item" } } }

[views.both]
deadline = "60s"
[views.both.lookups]
nonce = "give"
stored = { required = true }
late = { use = "late", with = { text = "stored", nonce = "nonce" } }

[views.refuse]
deadline = "60s"
lookups = { nonce = "refuse" }

[views.tell]
deadline = "60s"
lookups = { nonce = "tell" }
"#;

/// How often each nonce arrived.
type Told = Arc<[AtomicU8]>;

/// The running server with its Redis.
pub(super) struct Nonces {
    running: Running,
    redis: Redis,
    tls: TlsClient,
    told: Told,
    reads_before: u64,
    _folder: tempfile::TempDir,
}

/// The text that Redis holds for a nonce.
pub(super) fn stored(nonce: i64) -> String {
    format!("stored {nonce}")
}

impl Nonces {
    /// Starts it for `calls` calls.
    pub(super) fn start(calls: u32) -> Self {
        let redis = Redis::start();
        fill(&redis, calls + super::calls::SEVERAL);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("nonces.thrift", IDL);
        let config = CONFIG.replace("REDIS", &redis.addr.to_string());
        write("tributary.toml", &config);
        let authority = Authority::new();
        authority
            .issue("server.test")
            .write(folder.path(), "server");
        let told: Told = (0..calls).map(|_| AtomicU8::new(0)).collect();
        let server = Server::new(folder.path().join("tributary.toml"));
        let server = with_lookups(server, &told);
        let running = server
            .spawn()
            .unwrap_or_else(|err| panic!("the server does not start: {err}"));
        Nonces {
            running,
            reads_before: redis.reads(),
            redis,
            tls: TlsClient::new(&authority, None, &TLS13),
            told,
            _folder: folder,
        }
    }

    pub(super) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.running.program().services[0].schema)
    }

    pub(super) fn connect(&self) -> impl Future<Output = TcpStream> {
        connect_tcp(self.running.addr())
    }

    pub(super) async fn connect_unix(&self) -> UnixStream {
        let [_, Address::Unix(path), _] = self.running.listeners() else {
            panic!("{:?}", self.running.listeners());
        };
        let path: PathBuf = path.clone();
        UnixStream::connect(path).await.expect("it listens")
    }

    pub(super) async fn connect_tls(&self) -> TlsStream<TcpStream> {
        let [.., Address::Tcp(addr)] = self.running.listeners() else {
            panic!("{:?}", self.running.listeners());
        };
        let stream = connect_tcp(*addr).await;
        let name = ServerName::try_from("server.test").expect("a name");
        let connector = TlsConnector::from(self.tls.config());
        connector.connect(name, stream).await.expect("a handshake")
    }

    /// How often Redis has read from a socket since the server started.
    pub(super) fn reads_of_redis(&self) -> u64 {
        self.redis.reads() - self.reads_before
    }

    /// Stops the server, which first finishes pending oneway calls. Then exactly the calls with `nonces` have arrived,
    /// once each.
    pub(super) fn stop(self, nonces: &[i64]) {
        self.running.stop().expect("it ends well");
        let mut expected = vec![0; self.told.len()];
        for nonce in nonces {
            expected[usize::try_from(*nonce).expect("not negative")] = 1;
        }
        let times = |nonce: &usize| self.told[*nonce].load(Ordering::Acquire);
        let wrong = (0..expected.len()).filter(|nonce| times(nonce) != expected[*nonce]);
        let wrong: Vec<usize> = wrong.collect();
        assert!(
            wrong.is_empty(),
            "{} nonces, such as {:?}",
            wrong.len(),
            wrong.first()
        );
    }
}

async fn connect_tcp(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("it listens")
}

fn with_lookups(server: Server, told: &Told) -> Server {
    let told = Arc::clone(told);
    server
        .lookup("give", &["nonce"], async |input| {
            Ok(input.get("nonce").clone())
        })
        .lookup("wait", &["nonce"], async |input| {
            wait(nonce(&input)).await;
            Ok(input.get("nonce").clone())
        })
        .lookup("late", &["text", "nonce"], async |input| {
            wait(nonce(&input)).await;
            let text = input.get("text").as_str().unwrap_or_default();
            Ok(Value::from(format!("late {text}")))
        })
        .lookup("refuse", &["nonce"], async |input| {
            wait(nonce(&input)).await;
            if nonce(&input) % 2 == 0 {
                return Ok(input.get("nonce").clone());
            }
            let fields = vec![(Value::from("nonce"), input.get("nonce").clone())];
            Err(LookupError::thrown("Refused", Value::Map(fields)))
        })
        .lookup("tell", &["nonce"], move |input| {
            let told = Arc::clone(&told);
            async move {
                let nonce = usize::try_from(nonce(&input)).expect("not negative");
                told[nonce].fetch_add(1, Ordering::AcqRel);
                Ok(Value::Null)
            }
        })
}

fn nonce(input: &Input) -> i64 {
    match input.get("nonce") {
        Value::I64(nonce) => *nonce,
        other => panic!("no nonce: {other:?}"),
    }
}

/// Delays some answers, by a few iterations of the loop or for a while, so that later calls overtake them.
async fn wait(nonce: i64) {
    if nonce % 16 == 0 {
        return tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..nonce % 5 {
        tokio::task::yield_now().await;
    }
}

/// Stores the text of each nonce.
fn fill(redis: &Redis, count: u32) {
    const TOGETHER: u32 = 10_000;
    let mut wire = Wire::connect(redis.addr);
    for first in (0..count).step_by(TOGETHER as usize) {
        let chunk = first..count.min(first + TOGETHER);
        let commands = chunk.clone().map(|nonce| {
            let text = stored(i64::from(nonce));
            format!("set nonce:{nonce} \"{text}\"\r\n")
        });
        wire.send(commands.collect::<String>().as_bytes());
        let replies = wire.read(chunk.len() * b"+OK\r\n".len());
        assert!(replies.chunks(5).all(|reply| reply == b"+OK\r\n"));
    }
}
