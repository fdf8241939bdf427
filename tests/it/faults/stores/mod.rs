//! Stores that answer each question with its own token, and notice a connection that is used while it is dirty.
//!
//! Redis, memcached, HTTP and Thrift are small servers of our own, in this process; PostgreSQL and MariaDB are the real
//! servers, asked to return their parameter. The small servers understand what Tributary sends and nothing else. They do
//! not promise to behave like the real ones: `crate::outages` has those.

mod cut;
mod redis;
mod memcached;
mod http;
mod thrift;

pub(super) use self::thrift::IDL as THRIFT_IDL;

use super::nonce::answer;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// A kind of store: the name of its backend, lookup and field, the keys of both, and how it answers.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// `ADDR` stands for the address.
    pub(super) backend: &'static str,
    pub(super) lookup: &'static str,
    /// Whether a connection carries one question at a time.
    pub(super) in_turn: bool,
    /// How many connections are kept; with `None`, one for each question under way.
    pub(super) connections: Option<usize>,
    /// Whether a question that is given up costs a connection: that of the question, or one to stop its statement.
    pub(super) gives_up: bool,
    /// `None`: a real server.
    pub(super) speaks: Option<Speaks>,
}

/// Takes all whole questions out of `received` and appends their answers to `out`; says how many there were.
type Speaks = fn(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize;

/// All kinds, in the order of the view's lookups.
pub(super) const KINDS: [Kind; 7] = [
    Kind {
        name: "redis",
        backend: "kind = \"redis\"\nurl = \"redis://ADDR\"",
        lookup: "get = \"{token}\"",
        in_turn: false,
        connections: Some(1),
        gives_up: false,
        speaks: Some(redis::speak),
    },
    Kind {
        name: "memcached",
        backend: "kind = \"memcached\"\nservers = [\"ADDR\"]",
        lookup: "get = \"{token}\"",
        in_turn: true,
        connections: Some(2),
        gives_up: false,
        speaks: Some(memcached::speak),
    },
    Kind {
        name: "http",
        backend: "kind = \"http\"\nurl = \"http://ADDR\"",
        lookup: "get = \"/{token}\"\nformat = \"text\"",
        in_turn: true,
        connections: None,
        gives_up: true,
        speaks: Some(http::speak),
    },
    Kind {
        name: "thrift",
        backend: "kind = \"thrift\"\nurl = \"thrift://ADDR\"\nidl = \"store.thrift\"",
        lookup: "call = \"get\"",
        in_turn: true,
        connections: Some(4),
        gives_up: false,
        speaks: Some(thrift::speak),
    },
    Kind {
        name: "piped",
        backend: "kind = \"thrift\"\nurl = \"thrift://ADDR\"\nidl = \"store.thrift\"\npipelined_max = 16",
        lookup: "call = \"get\"",
        in_turn: false,
        connections: Some(4),
        gives_up: false,
        speaks: Some(thrift::speak),
    },
    Kind {
        name: "postgres",
        backend: "kind = \"postgres\"\nurl = \"postgresql://postgres@ADDR/postgres\"",
        lookup: "sql = \"select t as token, 'postgres ' || t as answer from unnest(:token::text[]) as t\"\nrows = \"one\"\nbatch = { key = \"token\" }",
        in_turn: false,
        connections: Some(6),
        gives_up: true,
        speaks: None,
    },
    Kind {
        name: "mysql",
        backend: "kind = \"mysql\"\nurl = \"mysql://root@ADDR/test\"",
        lookup: "sql = \"select concat('mysql ', :token)\"\nrows = \"value\"",
        in_turn: true,
        connections: Some(8),
        gives_up: true,
        speaks: None,
    },
];

/// A small server.
pub(super) struct Scripted {
    pub(super) addr: SocketAddr,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    /// How long each answer is held back.
    slow: Cell<Duration>,
    /// How often a connection was asked while an answer was outstanding, although it carries one question at a time.
    dirty: Cell<usize>,
}

impl Scripted {
    /// Starts one, as a task of this thread.
    pub(super) async fn start(kind: &'static Kind) -> Self {
        let speak = kind.speaks.expect("it is one of ours");
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.expect("the kernel gives a port");
        let addr = listener.local_addr().expect("it is bound");
        let state = Rc::new(State::default());
        let shared = Rc::clone(&state);
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Rc::clone(&shared);
                spawn_local(async move {
                    // The other end may break the connection at any time.
                    let _broken = serve(stream, kind, speak, &state).await;
                });
            }
        });
        Scripted { addr, state }
    }

    /// From now on, holds back each answer for so long.
    pub(super) fn slow_down(&self, slow: Duration) {
        self.state.slow.set(slow);
    }

    pub(super) fn dirty(&self) -> usize {
        self.state.dirty.get()
    }
}

async fn serve(
    mut stream: TcpStream,
    kind: &Kind,
    speak: Speaks,
    state: &State,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = BytesMut::with_capacity(16 * 1024);
    let mut out = Vec::new();
    while stream.read_buf(&mut received).await? > 0 {
        out.clear();
        let questions = speak(kind.name, &mut received, &mut out);
        let mut asked_again = questions > 1;
        if questions > 0 && !state.slow.get().is_zero() {
            tokio::select! {
                () = sleep(state.slow.get()) => {}
                read = stream.read_buf(&mut received), if kind.in_turn => match read? {
                    0 => return Ok(()),
                    _ => asked_again = true,
                }
            }
        }
        if asked_again && kind.in_turn {
            state.dirty.set(state.dirty.get() + 1);
        }
        stream.write_all(&out).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the bytes whole, and byte by byte.
    #[track_caller]
    fn check(name: &str, asked: &[u8], answered: &[u8], questions: usize) {
        let kind = KINDS.iter().find(|kind| kind.name == name).expect("a kind");
        let speak = kind.speaks.expect("it is one of ours");
        for step in [asked.len(), 1] {
            let (mut received, mut out, mut count) = (BytesMut::new(), Vec::new(), 0);
            for part in asked.chunks(step) {
                received.extend_from_slice(part);
                count += speak(name, &mut received, &mut out);
            }
            let text = String::from_utf8_lossy(&out);
            assert_eq!(text, String::from_utf8_lossy(answered), "by {step}");
            assert_eq!((count, received.len()), (questions, 0));
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_question_on_a_dirty_connection_is_noticed() {
        for kind in KINDS
            .iter()
            .filter(|kind| kind.name == "http" || kind.name == "piped")
        {
            let store = Scripted::start(kind).await;
            let question: &[u8] = match kind.name {
                "http" => b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
                _ => b"\0\0\0\x18\x80\x01\0\x01\0\0\0\x03get\0\0\0\x05\x0b\0\x01\0\0\0\x01a\0",
            };
            let mut stream = TcpStream::connect(store.addr).await.expect("it listens");
            let mut ask = async || {
                stream.write_all(question).await.expect("it is open");
                stream.read(&mut [0; 256]).await.expect("an answer")
            };
            assert!(ask().await > 0);
            assert!(ask().await > 0);
            assert_eq!(store.dirty(), 0, "{}", kind.name);
            store.slow_down(Duration::from_hours(1));
            let unanswered = tokio::time::timeout(Duration::from_millis(20), ask()).await;
            assert!(unanswered.is_err(), "it is held back");
            store.slow_down(Duration::ZERO);
            assert!(!kind.in_turn || ask().await > 0);
            assert_eq!(store.dirty(), usize::from(kind.in_turn), "{}", kind.name);
        }
    }

    #[test]
    fn each_speaks_its_protocol() {
        check(
            "redis",
            b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$4\r\nMGET\r\n$1\r\nb\r\n$1\r\nc\r\n",
            b"+PONG\r\n$7\r\nredis a\r\n*2\r\n$7\r\nredis b\r\n$7\r\nredis c\r\n",
            3,
        );
        check(
            "memcached",
            b"get a bc\r\n",
            b"VALUE a 0 11\r\nmemcached a\r\nVALUE bc 0 12\r\nmemcached bc\r\nEND\r\n",
            1,
        );
        check(
            "http",
            b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhttp a",
            1,
        );
        check(
            "thrift",
            b"\0\0\0\x18\x80\x01\0\x01\0\0\0\x03get\0\0\0\x05\x0b\0\x01\0\0\0\x01a\0",
            b"\0\0\0\x1f\x80\x01\0\x02\0\0\0\x03get\0\0\0\x05\x0b\0\0\0\0\0\x08thrift a\0",
            1,
        );
    }
}
