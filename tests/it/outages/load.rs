//! Several connections that call a server continuously and record each reply.

use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tributary::cli::{Client, MethodCall, MethodReply};
use tributary::idl::{self, Schema};
use tributary::thrift::{Limits, Protocol, Transport, WireFormat};
use tributary::value::{Record, Value};

use super::history::{Call, Part};
use super::stores::KEYS;
use crate::support::{PATIENCE, Tributary};

const CONNECTIONS: usize = 12;
/// The calls per second of one connection; all together make a few hundred.
const CALL_EVERY: Duration = Duration::from_millis(30);
/// The most calls of one connection, so that a run always ends.
const CALLS_MAX: usize = 10_000;
const WIRE_FORMAT: WireFormat = WireFormat {
    transport: Transport::Framed,
    protocol: Protocol::Binary,
};

/// The connections, on a separate thread.
pub(super) struct Load {
    calls: Receiver<Call>,
    stop: CancellationToken,
    thread: JoinHandle<()>,
    /// All calls so far, in order of completion.
    history: Vec<Call>,
}

impl Load {
    /// Starts calling `get` with different keys. Only these lookups are checked in the replies.
    pub(super) fn start(server: &Tributary, stores: &[&'static str]) -> Self {
        let schema = idl::load(&server.folder().join("s.thrift"), &[]);
        let schema = schema.expect("the server took it");
        let (addr, stores) = (server.addr.to_string(), stores.to_vec());
        let (sender, calls) = channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let caller = Rc::new(Caller {
                schema,
                addr,
                stores,
            });
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .expect("a runtime");
            runtime.block_on(async {
                let connections: Vec<_> = (0..CONNECTIONS)
                    .map(|at| {
                        spawn_local(Rc::clone(&caller).run(at, sender.clone(), stopped.clone()))
                    })
                    .collect();
                for connection in connections {
                    connection.await.expect("it does not panic");
                }
            });
        });
        Load {
            calls,
            stop,
            thread,
            history: Vec::new(),
        }
    }

    /// Whether a call that is `wanted` ends within this time.
    pub(super) fn wait_for(&mut self, within: Duration, wanted: impl Fn(&Call) -> bool) -> bool {
        let end = Instant::now() + within;
        while let Ok(call) = self
            .calls
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            let found = wanted(&call);
            self.history.push(call);
            if found {
                return true;
            }
        }
        false
    }

    /// Waits for the last calls and returns all calls.
    pub(super) fn end(mut self) -> Vec<Call> {
        self.stop.cancel();
        self.thread.join().expect("it does not panic");
        self.history.extend(self.calls.try_iter());
        self.history
    }
}

/// The state that the connections share.
struct Caller {
    schema: Schema,
    addr: String,
    stores: Vec<&'static str>,
}

impl Caller {
    /// Runs one connection, which is replaced only after a failure; the history records the failure.
    async fn run(self: Rc<Self>, connection: usize, calls: Sender<Call>, stop: CancellationToken) {
        let mut client = None;
        let mut ticks = interval(CALL_EVERY);
        for at in 0..CALLS_MAX {
            if stop.run_until_cancelled(ticks.tick()).await.is_none() {
                return;
            }
            // Connections request the same key now and then, and different keys most of the time.
            let key = format!("k{}", (at * 7 + connection * 31) % KEYS);
            let sent = Instant::now();
            let reply = self.call(&mut client, &key).await;
            let call = Call {
                key,
                sent,
                done: Instant::now(),
                reply,
            };
            // If the test has failed, the other end is gone.
            if calls.send(call).is_err() {
                return;
            }
        }
    }

    async fn call(&self, slot: &mut Option<Client>, key: &str) -> Result<Vec<Part>, String> {
        let mut client = match slot.take() {
            Some(client) => client,
            None => Client::connect(&self.addr, WIRE_FORMAT, Limits::default(), PATIENCE)
                .await
                .map_err(|err| err.to_string())?,
        };
        let service = &self.schema.services[0];
        let method = &service.methods[service.by_name["get"]];
        let params = Value::Record(Record {
            names: self.schema.get(method.params).names.clone(),
            values: vec![Value::from(key)],
        });
        let call = MethodCall {
            schema: &self.schema,
            method,
            service: None,
            params: &params,
            timeout: PATIENCE,
        };
        // The client has its own timeout; this one catches a client that ignores it.
        let reply = timeout(PATIENCE * 2, client.call(&call)).await;
        match reply.map_err(|late| late.to_string())? {
            Ok(MethodReply::Returned(reply)) => {
                *slot = Some(client);
                self.parts(key, &reply)
            }
            Ok(other) => Err(format!("{other:?}")),
            Err(err) => Err(err.to_string()),
        }
    }

    fn parts(&self, key: &str, reply: &Value) -> Result<Vec<Part>, String> {
        let report = reply.get("report").and_then(|report| report.get("lookups"));
        let Some(Value::List(lookups)) = report else {
            return Err(format!("no report in {reply:?}"));
        };
        let known = |name: &str| self.stores.contains(&name);
        let text = |value: &Value, field: &str| Some(value.get(field)?.as_str()?.to_owned());
        let parts = lookups.iter().map(|lookup| {
            let store = text(lookup, "name").filter(|name| known(name))?;
            Some(Part {
                fate: text(lookup, "fate")?,
                code: text(lookup, "code"),
                value: held(reply.get(&store)?, key),
                store,
            })
        });
        let parts: Option<Vec<Part>> = parts.collect();
        parts.ok_or_else(|| format!("a strange report: {lookups:?}"))
    }
}

/// The text of a field. For a row, its value if the row has this key.
fn held(field: &Value, key: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match field {
        Value::Record(row) if row.get("k")?.as_str() == Some(key) => text(row.get("v")?),
        Value::Record(row) => Some(format!("{row:?}")),
        field => text(field),
    }
}
