//! Tests against services that behave by a script, in this process and over real sockets.

mod config;
mod exceptions;
mod misbehaving;
mod newer;
mod outages;
mod params;
mod pipelined;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use thrift::protocol::TMessageType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::config::Remote;
use super::*;
use crate::backend::net::Counts;
use crate::backend::testing;
use crate::error::Code;
use crate::idl::{Schema, Type};
use crate::thrift::{
    Body, Framer, Head, HeadOut, Limits, Protocol, Transport, WireFormat, decode_struct, read_head,
    write_message,
};
use crate::value::Value;

const IDL: &str = "
include 'tributary.thrift'
enum Color { RED = 1, GREEN = 2 }
union Either { 1: i64 number, 2: string text }
struct User { 1: required i64 id, 2: string name, 3: optional Color color, 4: optional Either either }
exception NotFound { 1: string message }
exception Banned { 1: i32 days }
service Base { void ping() }
service Users extends Base {
  string say(1: i64 n) throws (1: NotFound missing, 2: Banned banned)
  User getUser(1: i64 id)
  list<User> find(1: Color color, 2: optional i32 limit, 3: i16 skip = 7, 4: map<string, double> weights)
  string mine(1: tributary.Context context, 2: i64 n) throws (1: tributary.LookupFailed failed)
  oneway void forget(1: i64 n)
}
service Others { i32 other() }";

/// The keys that most tests have.
const ONE: &str = "service = 'Users'\nconnections = 1\nconnect_timeout = '20s'\n";
/// Only a failure ever waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

fn framed_binary() -> WireFormat {
    WireFormat {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    }
}

/// A folder with the IDL in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("users.thrift"), IDL).expect("the folder is ours");
    folder
}

/// A configuration of these hosts and further keys.
fn config_of(urls: &[String], keys: &str) -> Config {
    let folder = folder();
    let idl = folder.path().join("users.thrift");
    let toml = format!("urls = {urls:?}\nidl = {idl:?}\n{keys}");
    testing::config::<Thrift>(&toml).expect("a valid configuration")
}

/// What the scripted service does with one call.
enum Act {
    /// Writes the function's result for the call's head.
    Write(Box<dyn Fn(&Head) -> BytesMut>),
    /// As `Write`, and closes.
    Last(Box<dyn Fn(&Head) -> BytesMut>),
    /// As `Write`, once the gate was opened.
    Gated(Rc<Notify>, Box<dyn Fn(&Head) -> BytesMut>),
    Silence,
    Close,
}

/// A reply to `say`, perhaps not quite right.
struct SayReply {
    text: Value,
    ty: Type,
    field: i16,
    later: i32,
    name: Option<&'static str>,
}

impl SayReply {
    fn new(text: &str) -> Self {
        SayReply {
            text: text.into(),
            ty: Type::String,
            field: 0,
            later: 0,
            name: None,
        }
    }

    fn bytes(&self, head: &Head) -> BytesMut {
        let head = HeadOut {
            name: self.name.unwrap_or(head.name.as_str()),
            kind: TMessageType::Reply,
            sequence: head.sequence.wrapping_add(self.later),
        };
        let schema = &Schema::default();
        let fields = &[(self.field, &self.ty, &self.text)];
        written(framed_binary(), head, Body::Fields { schema, fields })
    }

    fn act(self) -> Act {
        Act::Write(Box::new(move |head| self.bytes(head)))
    }
}

fn say(text: &str) -> Act {
    SayReply::new(text).act()
}

fn written(wire_format: WireFormat, head: HeadOut<'_>, body: Body<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    write_message(&mut out, wire_format, head, body).expect("values that fit");
    out
}

/// A service that acts by a script, one act per call over all its connections.
struct Scripted {
    url: String,
    /// Each call as it came, and `closed` for a connection that ended; a comma joins those that came in one read.
    seen: Rc<RefCell<Vec<String>>>,
    changed: Rc<Notify>,
    _task: AbortOnDropHandle<()>,
}

struct Script {
    wire_format: WireFormat,
    schema: Arc<Remote>,
    acts: RefCell<std::vec::IntoIter<Act>>,
    seen: Rc<RefCell<Vec<String>>>,
    changed: Rc<Notify>,
}

impl Scripted {
    async fn start(acts: Vec<Act>) -> Self {
        Scripted::speaking(framed_binary(), acts).await
    }

    async fn speaking(wire_format: WireFormat, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Scripted::on(listener, wire_format, acts)
    }

    fn on(listener: TcpListener, wire_format: WireFormat, acts: Vec<Act>) -> Self {
        let addr = listener.local_addr().expect("bound");
        let url = format!("thrift://{addr}");
        let script = Rc::new(Script {
            wire_format,
            schema: config_of(std::slice::from_ref(&url), ONE).remote,
            acts: RefCell::new(acts.into_iter()),
            seen: Rc::default(),
            changed: Rc::new(Notify::new()),
        });
        let (seen, changed) = (Rc::clone(&script.seen), Rc::clone(&script.changed));
        let accept = async move {
            let mut served = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                served.spawn_local(serve(stream, Rc::clone(&script)));
            }
        };
        Scripted {
            url,
            seen,
            changed,
            _task: AbortOnDropHandle::new(tokio::task::spawn_local(accept)),
        }
    }

    /// A backend of it with further keys.
    async fn backend(&self, keys: &str) -> Thrift {
        let config = config_of(std::slice::from_ref(&self.url), &format!("{ONE}{keys}"));
        Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await
    }

    /// A backend that waits for replies to dropped lookups as long as a busy machine may need.
    async fn patient_backend(&self, keys: &str) -> Thrift {
        let mut config = config_of(std::slice::from_ref(&self.url), &format!("{ONE}{keys}"));
        config.abandoned_max = PATIENCE;
        Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await
    }

    /// Waits until it has seen the wanted calls.
    async fn sees(&self, wanted: impl Fn(&[String]) -> bool) {
        let seen = async {
            while !wanted(&self.seen.borrow()) {
                self.changed.notified().await;
            }
        };
        timeout(PATIENCE, seen).await.expect("the service sees it");
    }
}

async fn serve(mut stream: TcpStream, script: Rc<Script>) {
    let mut framer = Framer::with_wire_format(script.wire_format, Limits::default());
    // Large enough for everything that a client writes at a time.
    let mut received = BytesMut::with_capacity(16 * 1024);
    let note = |line: String| {
        script.seen.borrow_mut().push(line);
        script.changed.notify_one();
    };
    'open: while stream
        .read_buf(&mut received)
        .await
        .is_ok_and(|read| read > 0)
    {
        let mut calls = Vec::new();
        while let Some(message) = framer.next(&mut received).expect("messages") {
            calls.push(read_call(&script, &message));
        }
        if calls.is_empty() {
            continue;
        }
        let lines: Vec<&str> = calls.iter().map(|(_, line)| &**line).collect();
        note(lines.join(", "));
        for (head, _) in &calls {
            let act = script.acts.borrow_mut().next().expect("an act for it");
            let (bytes, last) = match act {
                Act::Write(bytes) => (bytes(head), false),
                Act::Last(bytes) => (bytes(head), true),
                Act::Gated(gate, bytes) => {
                    gate.notified().await;
                    (bytes(head), false)
                }
                Act::Silence => continue,
                Act::Close => break 'open,
            };
            if stream.write_all(&bytes).await.is_err() || last {
                break 'open;
            }
        }
    }
    note("closed".into());
}

/// The head of a call, and the call as text: `say 7`.
fn read_call(script: &Script, message: &bytes::Bytes) -> (Head, String) {
    let protocol = script.wire_format.protocol;
    let (head, body) = read_head(protocol, message).expect("a head");
    assert_eq!(head.kind, TMessageType::Call);
    let name = head.name.as_str();
    let bare = name.rsplit(':').next().expect("a name");
    let schema = &script.schema.schema;
    let method = script.schema.service().method(bare).expect("a method");
    let params = decode_struct(schema, method.params, protocol, &body, &Limits::default());
    let Value::Record(params) = params.expect("parameters") else {
        unreachable!("a struct is a record");
    };
    let words: Vec<String> = params.values.iter().map(word).collect();
    let line = format!("{name} {}", words.join(" "));
    (head, line.trim_end().to_owned())
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::I64(number) => number.to_string(),
        Value::Text(text) => text.as_str().into(),
        other => format!("{other:?}"),
    }
}

/// A lookup with these keys.
fn compiled(keys: &str) -> Compiled<Arc<RemoteMethod>> {
    let config = config_of(&["thrift://127.0.0.1:1".into()], ONE);
    testing::lookup::<Thrift>(&config, keys).expect("a lookup")
}

/// Asks with parameters by name.
async fn ask(backend: &Thrift, keys: &str, params: &[(&str, Value)]) -> Result<Value, LookupError> {
    let compiled = compiled(keys);
    let asked = testing::ask_within(backend, &compiled, params, PATIENCE);
    timeout(PATIENCE, asked).await.expect("an end")
}

/// Asks `say`; only the code of an error.
async fn said(backend: &Thrift, n: i64) -> Result<Value, Code> {
    let asked = ask(backend, "call = 'say'", &[("n", n.into())]).await;
    asked.map_err(|err| err.code)
}

/// Waits until the connections are as wanted.
async fn until(backend: &Thrift, wanted: impl FnMut(&Counts) -> bool) {
    let Servers::Pool(pool) = &backend.servers else {
        panic!("it has one pool");
    };
    pool.until(wanted).await;
}

/// Drives a future until something else has happened, and drops it then.
async fn dropped_when(asked: impl Future, happened: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        _ = asked => unreachable!("it was to be dropped first"),
        () = happened => {}
    }
}
