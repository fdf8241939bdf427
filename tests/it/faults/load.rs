//! Connections that call the server as fast as it replies, several calls deep, and record every call.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tributary::idl::Schema;
use tributary::thrift::{
    ClientCall, Framer, Limits, Protocol, ReplyContent, ReplyError, Transport, WireFormat,
};
use tributary::value::{Record, Value};

use super::history::{Call, Content, Found, Part, Reply, Violation};
use super::nonce::Nonces;
use crate::support::PATIENCE;

/// How many calls of a connection are under way.
const DEPTH: usize = 4;
const WIRE_FORMAT: WireFormat = WireFormat {
    transport: Transport::Framed,
    protocol: Protocol::Binary,
};
/// The measure of this process's own pauses.
const HEARTBEAT: Duration = Duration::from_millis(5);

/// The connections, as tasks of this thread.
pub(super) struct Load {
    shared: Rc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    schema: Schema,
    nonces: Nonces,
    stop: Cell<bool>,
    made: Cell<u64>,
    calls: RefCell<Vec<Call>>,
    found: RefCell<Vec<Found>>,
    stalls: RefCell<Vec<(Instant, Instant)>>,
}

impl Load {
    /// Starts calling `all` on so many connections.
    pub(super) fn start(
        addr: SocketAddr,
        connections: usize,
        schema: Schema,
        nonces: Nonces,
    ) -> Self {
        let shared = Rc::new(Shared {
            schema,
            nonces,
            stop: Cell::new(false),
            made: Cell::new(0),
            calls: RefCell::default(),
            found: RefCell::default(),
            stalls: RefCell::default(),
        });
        let mut tasks: Vec<_> = (0..connections)
            .map(|at| spawn_local(Rc::clone(&shared).talk(at, addr)))
            .collect();
        tasks.push(spawn_local(Rc::clone(&shared).beat()));
        Load { shared, tasks }
    }

    /// How many calls are under way.
    pub(super) fn depth(&self) -> usize {
        // The last task is the measure of pauses.
        (self.tasks.len() - 1) * DEPTH
    }

    /// How many calls have been sent.
    pub(super) fn made(&self) -> u64 {
        self.shared.made.get()
    }

    /// The calls that have ended since the last time.
    pub(super) fn take(&self) -> Vec<Call> {
        self.shared.calls.take()
    }

    /// Whether a call that was sent after `since` ended with a value of this store.
    pub(super) fn has_whole(&self, store: &str, since: Instant) -> bool {
        let calls = self.shared.calls.borrow();
        let mut newest = calls.iter().rev().take(200);
        newest.any(|call| call.sent >= since && call.whole(store))
    }

    /// The times for which this process stood still.
    pub(super) fn stalls(&self) -> Vec<(Instant, Instant)> {
        self.shared.stalls.borrow().clone()
    }

    /// Makes no more calls, and waits for the replies to the last ones. Returns what is wrong with connections.
    pub(super) async fn end(&mut self) -> Vec<Found> {
        self.shared.stop.set(true);
        for task in self.tasks.drain(..) {
            task.await.expect("it does not panic");
        }
        self.shared.found.take()
    }
}

/// A call without a reply yet.
struct Pending {
    number: u64,
    sequence: i32,
    sent: Instant,
}

impl Shared {
    async fn talk(self: Rc<Self>, connection: usize, addr: SocketAddr) {
        let mut pending = VecDeque::new();
        if let Err(why) = self.converse(connection, addr, &mut pending).await {
            for call in pending {
                self.record(connection, &call, Err(why.clone()));
            }
        }
    }

    async fn converse(
        &self,
        connection: usize,
        addr: SocketAddr,
        pending: &mut VecDeque<Pending>,
    ) -> Result<(), String> {
        let lost = |err: std::io::Error| err.to_string();
        let mut stream = TcpStream::connect(addr).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let mut framer = Framer::with_wire_format(WIRE_FORMAT, Limits::default());
        let (mut received, mut out, mut sequence) = (BytesMut::new(), BytesMut::new(), 0);
        loop {
            while pending.len() < DEPTH && !self.stop.get() {
                sequence += 1;
                pending.push_back(self.ask(sequence, &mut out));
            }
            stream.write_all(&out.split()).await.map_err(lost)?;
            if pending.is_empty() {
                return self.is_silent(stream, received).await;
            }
            let read = timeout(PATIENCE, stream.read_buf(&mut received)).await;
            if read.map_err(|_late| "nothing comes")?.map_err(lost)? == 0 {
                return Err("the connection ends".into());
            }
            while let Some(message) = framer.next(&mut received).map_err(|err| err.to_string())? {
                let Some(call) = pending.pop_front() else {
                    self.unasked(message.len());
                    continue;
                };
                let reply = self.read(&message);
                self.record(connection, &call, reply);
            }
        }
    }

    /// After the last reply, nothing else comes.
    async fn is_silent(&self, mut stream: TcpStream, received: BytesMut) -> Result<(), String> {
        stream.shutdown().await.map_err(|err| err.to_string())?;
        let mut rest = received.to_vec();
        let read = stream.read_to_end(&mut rest).await;
        read.map_err(|err| err.to_string())?;
        if !rest.is_empty() {
            self.unasked(rest.len());
        }
        Ok(())
    }

    fn unasked(&self, bytes: usize) {
        self.found.borrow_mut().push(Found {
            call: None,
            violation: Violation::Unasked(bytes),
        });
    }

    fn record(&self, connection: usize, call: &Pending, reply: Result<Reply, String>) {
        self.calls.borrow_mut().push(Call {
            number: call.number,
            connection,
            sequence: call.sequence,
            sent: call.sent,
            done: Instant::now(),
            reply,
        });
    }

    fn ask(&self, sequence: i32, out: &mut BytesMut) -> Pending {
        let number = self.made.replace(self.made.get() + 1);
        let call = self.call(sequence);
        let params = Value::Record(Record {
            names: self.schema.get(call.method.params).names.clone(),
            values: vec![self.nonces.token(number).into()],
        });
        let written = call.write(out, WIRE_FORMAT, &params, &[]);
        written.expect("a token fits");
        Pending {
            number,
            sequence,
            sent: Instant::now(),
        }
    }

    fn call(&self, sequence: i32) -> ClientCall<'_> {
        let service = &self.schema.services[0];
        ClientCall {
            schema: &self.schema,
            method: &service.methods[service.by_name["all"]],
            name: "all",
            sequence,
        }
    }

    /// The sequence id is read here, so that the judge sees it, and not only the codec.
    fn read(&self, message: &Bytes) -> Result<Reply, String> {
        let number = |at: usize| {
            let bytes = message.get(at..)?.first_chunk()?;
            Some(i32::from_be_bytes(*bytes))
        };
        let name = number(4).and_then(|len| usize::try_from(len).ok());
        let sequence = name
            .and_then(|len| number(8 + len))
            .ok_or("a short message")?;
        let said = self
            .call(sequence)
            .read(Protocol::Binary, message, &Limits::default());
        let content = match said {
            Ok(ReplyContent::Returned(reply)) => Content::Parts(parts(&reply)?),
            Ok(other) => return Err(format!("{other:?}")),
            Err(ReplyError::Application { message, .. }) => {
                let code = message.as_str().split(':').next().unwrap_or_default();
                Content::Refused(code.to_owned())
            }
            Err(err) => return Err(err.to_string()),
        };
        Ok(Reply { sequence, content })
    }

    /// Notes when this thread did not run.
    async fn beat(self: Rc<Self>) {
        let mut ticks = interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = ticks.tick().await;
        while !self.stop.get() {
            ticks.tick().await;
            let now = Instant::now();
            if now - last > 4 * HEARTBEAT {
                self.stalls.borrow_mut().push((last, now));
            }
            last = now;
        }
    }
}

fn parts(reply: &Value) -> Result<Vec<Part>, String> {
    let report = reply.get("report").and_then(|report| report.get("lookups"));
    let Some(Value::List(lookups)) = report else {
        return Err(format!("no report in {reply:?}"));
    };
    let text = |value: &Value, field: &str| Some(value.get(field)?.as_str()?.to_owned());
    let parts = lookups.iter().map(|lookup| {
        let store = text(lookup, "name")?;
        Some(Part {
            fate: text(lookup, "fate")?,
            code: text(lookup, "code"),
            done: micros(lookup.get("done_us")?)?,
            value: held(reply.get(&store)?),
            store,
        })
    });
    let parts: Option<Vec<Part>> = parts.collect();
    parts.ok_or_else(|| format!("a strange report: {lookups:?}"))
}

fn micros(value: &Value) -> Option<Duration> {
    match value {
        Value::I64(micros) => Some(Duration::from_micros(u64::try_from(*micros).ok()?)),
        _ => None,
    }
}

/// The text of a field. For a row, the answer, if it has the same token as the row's key.
fn held(field: &Value) -> Option<String> {
    match field {
        Value::Record(row) => {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let (token, answer) = (text("token"), text("answer"));
            Some(if answer.ends_with(token) {
                answer.to_owned()
            } else {
                format!("{answer} under {token}")
            })
        }
        field => field.as_str().map(str::to_owned),
    }
}
